/** One call of `secateur compare`. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { mainMeasure } from "@secateur/core";
import { writeFileAtomic } from "@secateur/formats";
import { formatMeasure, shellCommand } from "@secateur/report/text";
import type { ComparedRun, Session } from "@secateur/run";
import { compareText } from "@secateur/run/node/compare/compare-text";
import { runCompare } from "@secateur/run/node/compare/run-compare";
import { runsElsewhere } from "@secateur/run/node/jobs/runs-elsewhere";
import { asksForJobs, clearWorkStore } from "@secateur/run/node/jobs/work-place";
import { workText } from "@secateur/run/node/jobs/work-text";
import { findReporter } from "@secateur/run/node/plugins/find-reporter";
import { comparisonStatePath } from "@secateur/run/node/state/comparison-file";
import { isFinishedRun } from "@secateur/run/node/state/finished-run";
import { interrupted, someFailed, stateLeftBehind } from "../errors.ts";
import { type MethodFlags, methodSettings } from "../flags/method-flags.ts";
import { shownArguments, workFlags } from "../flags/work-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { checkReport } from "../run/check-report.ts";
import { loadReport } from "../run/load-report.ts";
import { printResult } from "../run/print-result.ts";
import { withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

/** The flags of `secateur compare` as commander hands them over. */
export interface CompareFlags extends MethodFlags {
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
  const settings = methodSettings(call.model, flags, terminal);
  const { path, data: source, findSolvers, curvatureOptions } = settings;
  const overwrite = flags.force === true;
  const report = flags.report === undefined ? undefined : absolutePath(terminal, flags.report);
  if (report !== undefined) await findReporter(report, terminal.cwd); // refuses an ending that names none
  const resume = flags.resume === true;
  const state = comparisonStatePath({ model: path, report });
  await checkReport({
    // With --resume a report that is there may be this very comparison's: that shows when the model is read.
    ...{ report, terminal, overwrite: overwrite || resume },
    ...{ events: flags.events, model: path, data: source },
  });
  if (existsSync(state) && !resume && !overwrite) throw stateLeftBehind(state);
  const compared = await findSolvers();
  const work = workFlags(flags, terminal);
  const workStore = `${state}.work`;
  const { document, runs, jobs } = await withSession(
    { flags, terminal, overwrite, appendEvents: resume },
    async (session) => {
      const place = { flags: work, fallback: workStore, cwd: terminal.cwd, session, curvatureOptions };
      const elsewhere = asksForJobs(work) ? runsElsewhere(place) : undefined;
      const compare = runCompare({
        ...(elsewhere ? { elsewhere } : {}),
        ...{ ...settings, solvers: compared, session },
        ...{ state, resume, report, overwrite },
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
    const content = compareContent({ document, runs, command: shellCommand("secateur", shownArguments(argv)) });
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
  await clearWorkStore(work, workStore);
}

function note(session: Session, run: ComparedRun, { done, total }: { done: number; total: number }): void {
  const { solver, sparsity, pruned } = run;
  const message = `${done} of ${total}: ${solver} at ${sparsity}: ${formatMeasure(mainMeasure(pruned))}`;
  session.onEvent({ type: "note", level: "info", code: "compare", message });
}
