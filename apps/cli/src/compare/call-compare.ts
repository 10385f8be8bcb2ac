/** One call of `secateur compare`. */
import { checkOutput, writeFileAtomic } from "@secateur/formats";
import { shellCommand } from "@secateur/report/text";
import { badUsage, type ComparedRun, mapDataPaths, type ReestimateTime, type Session } from "@secateur/run";
import { type EngineChoice, findReporter, findSolver, modelFile, runCompare } from "@secateur/run/node";
import { interrupted, missingFlag, someFailed } from "../errors.ts";
import { type PlanFlags, planFromFlags } from "../flags/plan-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { loadReport } from "../run/load-report.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";
import { compareText } from "./compare-text.ts";

/** The flags of `secateur compare` as commander hands them over. */
export interface CompareFlags extends SessionFlags, PlanFlags {
  readonly arch?: string;
  readonly engine?: EngineChoice;
  readonly includeFrozen?: boolean;
  readonly data?: string;
  readonly normalize?: string;
  readonly task?: string;
  readonly reestimateBatchNorm?: ReestimateTime;
  readonly solvers?: readonly string[];
  readonly sparsities?: readonly number[];
  readonly keepDense?: readonly string[];
  readonly report?: string;
  readonly force?: boolean;
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
  const report = flags.report === undefined ? undefined : absolutePath(terminal, flags.report);
  if (report !== undefined) {
    await findReporter(report, terminal.cwd); // refuses an ending that names none
    await checkOutput(report, { overwrite });
  }
  if (report !== undefined && flags.events !== undefined && report === absolutePath(terminal, flags.events)) {
    throw badUsage(`${report}: two outputs would go there; give each its own name`, { report });
  }
  const found = await Promise.all(solvers.map((name) => findSolver(name, terminal.cwd)));
  const { document, runs } = await withSession({ flags, terminal, overwrite }, (session) =>
    runCompare({
      path: modelFile(absolutePath(terminal, call.model)),
      ...{ arch: flags.arch, engine: flags.engine, normalize: flags.normalize, task: flags.task },
      includeFrozen: flags.includeFrozen,
      reestimateBatchNorm: flags.reestimateBatchNorm,
      data: mapDataPaths(data, (file) => absolutePath(terminal, file)),
      ...{ solvers: found, sparsities, keepDense: flags.keepDense ?? [], plan: planFromFlags(flags) },
      ...{ cwd: terminal.cwd, session },
      ...(flags.json ? {} : { onRun: (run, at) => note(session, run, at) }),
      onFailure: ({ solver, sparsity, message }, { done, total }) => {
        const text = `${done} of ${total}: ${solver} at ${sparsity} failed: ${message}`;
        session.onEvent({ type: "note", level: "warn", code: "compare-failed", message: text });
      },
    }),
  );
  // Hours of work are printed first, whatever becomes of the report.
  printResult({ terminal, flags, document, text: () => compareText(document) });
  if (report !== undefined) {
    const { compareContent, plottingLibrary } = await loadReport();
    const content = compareContent({ document, runs, command: shellCommand("secateur", argv) });
    const reporter = await findReporter(report, terminal.cwd);
    await writeFileAtomic(report, await reporter.report({ ...content, plottingLibrary }), { overwrite });
    if (!flags.json && !flags.quiet) terminal.stdout.write(`\nwrote ${report}\n`);
  }
  if (document.interrupted) throw interrupted("the finished runs are above");
  if (document.failed) throw someFailed({ failed: document.failed.length, finished: runs.length });
}

function note(session: Session, run: ComparedRun, { done, total }: { done: number; total: number }): void {
  const { solver, sparsity, pruned } = run;
  const message = `${done} of ${total}: ${solver} at ${sparsity}: ${pruned.accuracy.toFixed(2)} %`;
  session.onEvent({ type: "note", level: "info", code: "compare", message });
}
