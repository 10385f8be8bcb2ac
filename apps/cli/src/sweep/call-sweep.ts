/** One call of `secateur sweep`. */
import { checkOutput, writeFileAtomic } from "@secateur/formats";
import { shellCommand } from "@secateur/report/text";
import { badUsage, sweepBytes } from "@secateur/run";
import { assertEnding, assertNotInput, dataPaths } from "@secateur/run/node/check-places";
import { workText } from "@secateur/run/node/jobs/work-text";
import { runSweep } from "@secateur/run/node/sweep/run-sweep";
import { sweepText } from "@secateur/run/node/sweep/sweep-text";
import { interrupted, missingFlag, someFailed } from "../errors.ts";
import { type MethodFlags, methodSettings } from "../flags/method-flags.ts";
import { shownArguments, workFlags } from "../flags/work-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { checkReport } from "../run/check-report.ts";
import { loadReport } from "../run/load-report.ts";
import { printResult } from "../run/print-result.ts";
import { withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

/** The flags of `secateur sweep` as commander hands them over. */
export interface SweepFlags extends MethodFlags {
  readonly seeds?: readonly number[];
  readonly ridges?: readonly (number | "auto")[];
  readonly goal?: string;
  readonly out?: string;
  readonly report?: string;
  readonly force?: boolean;
}

/** Runs what is not finished, prints the table, writes the outputs. @throws whatever is wrong with the input, ERR_ABORTED */
export async function callSweep(call: {
  model: string;
  flags: SweepFlags;
  terminal: Terminal;
  argv: readonly string[];
}): Promise<void> {
  const { flags, terminal, argv } = call;
  const { seeds, ridges = [], shard, force: overwrite = false } = flags;
  const settings = methodSettings(call.model, flags, terminal);
  const { path, data, findSolvers } = settings;
  if (seeds && flags.seed !== undefined) throw badUsage("--seed and --seeds both say the seeds; give one of them");
  if (ridges.length > 0 && flags.ridge !== undefined)
    throw badUsage("--ridge and --ridges both say the ridge; give one of them");
  const [out, report] = [flags.out, flags.report].map((one) => one && absolutePath(terminal, one));
  assertEnding({ flag: "--out", path: out }, [".json"]);
  assertEnding({ flag: "--report", path: report }, [".html", ".htm"]);
  if (shard && out === undefined)
    throw missingFlag("--out", "with --shard, say where the part goes, for example --out part-1.json");
  if (shard && report !== undefined)
    throw badUsage("--report draws a whole sweep, and --shard makes a part of one; give it to secateur merge");
  await checkReport({ report, terminal, overwrite, events: flags.events, model: path, data });
  const events = flags.events === undefined ? undefined : absolutePath(terminal, flags.events);
  assertNotInput({ outputs: [{ flag: "--out", path: out }], inputs: [path, ...dataPaths(data), report, events] });
  if (out !== undefined) await checkOutput(out, { overwrite });
  const solvers = await findSolvers();
  const result = await withSession({ flags, terminal, overwrite }, (session) =>
    runSweep({
      ...{ ...settings, solvers, seeds: seeds ?? [flags.seed ?? 0], ridges, goal: flags.goal },
      ...{ typed: { model: call.model, data: flags.data! }, argv: shownArguments(argv) },
      ...{ work: workFlags(flags, terminal, true), storeFallback: `${path}.store`, session },
      onRun(label, { done, total, ...outcome }) {
        const text = "error" in outcome ? `failed: ${outcome.error}` : outcome.value;
        const level = "error" in outcome ? "warn" : "info";
        if (!flags.json)
          session.onEvent({ type: "note", level, code: "sweep", message: `${done} of ${total}: ${label}: ${text}` });
      },
    }),
  );
  const write = async (place: string | undefined, content: Uint8Array | string): Promise<void> => {
    if (place === undefined) return;
    await writeFileAtomic(place, content, { overwrite });
    if (!flags.json && !flags.quiet) terminal.stderr.write(`wrote ${place}\n`);
  };
  if ("part" in result) {
    await write(out, result.part);
    const { part: _part, ...document } = result;
    printResult({
      terminal,
      flags,
      document,
      text: () =>
        `${result.runs} of ${result.total} runs; secateur merge puts all parts together\n${workText(result.work)}`,
    });
    return;
  }
  const { document, work } = result;
  // Hours of work are printed first, whatever becomes of the outputs.
  printResult({
    terminal,
    flags,
    document: { ...document, work },
    text: () => `${sweepText(document)}${workText(work)}`,
  });
  // What is not whole is not written: the command that goes on would find its own output in the way.
  if (!document.interrupted) await write(out, sweepBytes(document));
  if (report !== undefined && !document.interrupted) {
    const { sweepReport, plottingLibrary } = await loadReport();
    await write(
      report,
      sweepReport({ document, command: shellCommand("secateur", shownArguments(argv)), plottingLibrary }),
    );
  }
  if (document.interrupted)
    throw interrupted("the finished runs are above and in the store: repeat the command to go on");
  if (document.failed) {
    const remedy = "the others are in the store: repeat the command to try the failed ones again";
    throw someFailed({ what: "runs", failed: document.failed.length, finished: document.runs.length, remedy });
  }
}
