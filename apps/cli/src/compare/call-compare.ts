/** One call of `secateur compare`. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { mainMeasure } from "@secateur/core";
import { writeFileAtomic } from "@secateur/formats";
import { formatMeasure, shellCommand } from "@secateur/report/text";
import { type ComparedRun, mapDataPaths, optionsFromPairs, type ReestimateTime, type Session } from "@secateur/run";
import {
  asksForJobs,
  compareText,
  comparisonStatePath,
  type EngineChoice,
  findReporter,
  isFinishedRun,
  modelFile,
  runCompare,
  runsElsewhere,
  workText,
} from "@secateur/run/node";
import { interrupted, missingFlag, someFailed, stateLeftBehind } from "../errors.ts";
import type { DataFlags } from "../flags/common-flags.ts";
import { type PlanFlags, planFromFlags } from "../flags/plan-flags.ts";
import { type JobFlags, workFlags } from "../flags/work-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { checkReport } from "../run/check-report.ts";
import { loadReport } from "../run/load-report.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";
import { comparedSolvers } from "./compared-solvers.ts";

/** The flags of `secateur compare` as commander hands them over. */
export interface CompareFlags extends SessionFlags, PlanFlags, DataFlags, JobFlags {
  readonly arch?: string;
  readonly engine?: EngineChoice;
  readonly includeFrozen?: boolean;
  readonly reestimateBatchNorm?: ReestimateTime;
  readonly solvers?: readonly string[];
  readonly option?: readonly string[];
  readonly curvatureOption?: readonly string[];
  readonly sparsities?: readonly number[];
  readonly keepDense?: readonly string[];
  readonly report?: string;
  readonly force?: boolean;
  readonly resume?: boolean;
}

interface CompareCall {
  /** MODEL as typed. */
  readonly model: string;
  readonly flags: CompareFlags;
  readonly terminal: Terminal;
  /** As typed, for the report. */
  readonly argv: readonly string[];
}

/** Runs everything, prints the table, writes the report. @throws whatever is wrong with the input, ERR_ABORTED */
export async function callCompare(call: CompareCall): Promise<void> {
  const { flags, terminal, argv } = call;
  const { data, solvers, sparsities } = flags;
  if (data === undefined) throw missingFlag("--data", "say what to prune and measure with, for example --data mnist");
  if (!solvers) throw missingFlag("--solvers", "name the methods, for example --solvers magnitude,cbs,chita");
  if (!sparsities) throw missingFlag("--sparsities", "say how far to prune, for example --sparsities 0.5,0.9");
  const overwrite = flags.force === true;
  const path = modelFile(absolutePath(terminal, call.model));
  const report = flags.report === undefined ? undefined : absolutePath(terminal, flags.report);
  if (report !== undefined) await findReporter(report, terminal.cwd); // refuses an ending that names none
  const resume = flags.resume === true;
  const state = comparisonStatePath({ model: path, report });
  const source = mapDataPaths(data, (file) => absolutePath(terminal, file));
  await checkReport({
    // With --resume a report that is there may be this very comparison's: that shows when the model is read.
    ...{ report, terminal, overwrite: overwrite || resume },
    ...{ events: flags.events, model: path, data: source },
  });
  if (existsSync(state) && !resume && !overwrite) throw stateLeftBehind(state);
  const compared = await comparedSolvers(solvers, flags.option ?? [], terminal);
  const curvatureOptions = optionsFromPairs("--curvature-option", flags.curvatureOption ?? []);
  const work = workFlags(flags, terminal);
  const { document, runs, jobs } = await withSession(
    { flags, terminal, overwrite, appendEvents: resume },
    async (session) => {
      const place = { flags: work, fallback: `${path}.store`, cwd: terminal.cwd, session, curvatureOptions };
      const elsewhere = asksForJobs(work) ? runsElsewhere(place) : undefined;
      const compare = runCompare({
        ...(elsewhere ? { elsewhere } : {}),
        ...{ path, state, resume, report, overwrite },
        ...{ arch: flags.arch, engine: flags.engine, task: flags.task },
        ...{ normalize: flags.normalize, preprocess: flags.preprocess },
        includeFrozen: flags.includeFrozen,
        reestimateBatchNorm: flags.reestimateBatchNorm,
        data: source,
        ...{ solvers: compared, sparsities, keepDense: flags.keepDense ?? [], plan: planFromFlags(flags) },
        curvatureOptions,
        ...{ cwd: terminal.cwd, session },
        ...(flags.json ? {} : { onRun: (run, at) => note(session, run, at) }),
        onFailure: ({ solver, sparsity, message }, { done, total }) => {
          const text = `${done} of ${total}: ${solver} at ${sparsity} failed: ${message}`;
          session.onEvent({ type: "note", level: "warn", code: "compare-failed", message: text });
        },
      });
      const result = await compare.finally(() => elsewhere?.close());
      return { ...result, jobs: elsewhere?.report() ?? [] };
    },
  );
  if (isFinishedRun(document)) {
    printResult({ terminal, flags, document, text: () => "" });
    return;
  }
  // Hours of work are printed first, whatever becomes of the report.
  const whole = jobs.length === 0 ? document : { ...document, work: jobs };
  printResult({ terminal, flags, document: whole, text: () => `${compareText(document)}${workText(jobs)}` });
  if (report !== undefined) {
    const { compareContent, plottingLibrary } = await loadReport();
    const content = compareContent({ document, runs, command: shellCommand("secateur", argv) });
    const reporter = await findReporter(report, terminal.cwd);
    await writeFileAtomic(report, await reporter.report({ ...content, plottingLibrary }), {
      overwrite: overwrite || resume,
    });
    if (!flags.json && !flags.quiet) terminal.stdout.write(`\nwrote ${report}\n`);
  }
  if (document.interrupted) {
    throw interrupted(`the finished runs are above and in ${state}: repeat the command with --resume to go on`);
  }
  if (document.failed) {
    const remedy = `the others are kept in ${state}: repeat the command with --resume to try the failed ones again`;
    throw someFailed({ what: "runs", failed: document.failed.length, finished: runs.length, remedy });
  }
  await rm(state, { force: true });
}

function note(session: Session, run: ComparedRun, { done, total }: { done: number; total: number }): void {
  const { solver, sparsity, pruned } = run;
  const message = `${done} of ${total}: ${solver} at ${sparsity}: ${formatMeasure(mainMeasure(pruned))}`;
  session.onEvent({ type: "note", level: "info", code: "compare", message });
}
