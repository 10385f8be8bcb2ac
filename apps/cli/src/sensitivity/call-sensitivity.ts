/** One call of `secateur sensitivity`. */
import { writeFileAtomic } from "@secateur/formats";
import { hashOf } from "@secateur/jobs";
import { sensitivityText, shellCommand } from "@secateur/report/text";
import { mapDataPaths, type ReestimateTime } from "@secateur/run";
import { assertEnding } from "@secateur/run/node/check-places";
import { layersElsewhere } from "@secateur/run/node/jobs/layers-elsewhere";
import { asksForJobs, clearWorkStore } from "@secateur/run/node/jobs/work-place";
import { runSensitivity } from "@secateur/run/node/sensitivity/run-sensitivity";
import { interrupted, missingFlag, someFailed } from "../errors.ts";
import type { DataFlags } from "../flags/common-flags.ts";
import { type JobFlags, shownArguments, workFlags } from "../flags/work-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { checkReport } from "../run/check-report.ts";
import { loadReport } from "../run/load-report.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

/** The flags of `secateur sensitivity` as commander hands them over. */
export interface SensitivityFlags extends SessionFlags, DataFlags, JobFlags {
  readonly arch?: string;
  readonly solver?: string;
  readonly sparsity?: number;
  readonly sparsities?: readonly number[];
  readonly tolerance?: number;
  readonly examples?: number;
  readonly heldOut?: number;
  readonly ridge?: number | "auto";
  readonly reestimateBatchNorm?: ReestimateTime;
  readonly report?: string;
  readonly force?: boolean;
}

interface SensitivityCall {
  /** MODEL as typed. */
  readonly model: string;
  readonly flags: SensitivityFlags;
  readonly terminal: Terminal;
  /** As typed, for the report. */
  readonly argv: readonly string[];
}

/** Scans, proposes, prints, writes the report. @throws whatever is wrong with the input, ERR_ABORTED */
export async function callSensitivity(call: SensitivityCall): Promise<void> {
  const { flags, terminal, argv } = call;
  const { data } = flags;
  if (data === undefined) {
    throw missingFlag("--data", "say what to prune and measure with, for example --data mnist");
  }
  const overwrite = flags.force === true;
  const report = flags.report === undefined ? undefined : absolutePath(terminal, flags.report);
  assertEnding({ flag: "--report", path: report }, [".html", ".htm"]);
  const path = absolutePath(terminal, call.model);
  const source = mapDataPaths(data, (file) => absolutePath(terminal, file));
  await checkReport({ report, terminal, overwrite, events: flags.events, model: path, data: source });
  const work = workFlags(flags, terminal);
  let workStore = "";
  const document = await withSession({ flags, terminal, overwrite }, async (session) => {
    const spec = {
      path,
      ...{ arch: flags.arch, normalize: flags.normalize, preprocess: flags.preprocess, task: flags.task },
      solver: flags.solver,
      data: source,
      ...{ sparsity: flags.sparsity, sparsities: flags.sparsities, tolerance: flags.tolerance },
      ...{ examples: flags.examples, heldOut: flags.heldOut, ridge: flags.ridge },
      reestimateBatchNorm: flags.reestimateBatchNorm,
      ...{ cwd: terminal.cwd, session },
    };
    // The same scan finds it again after an interrupt, and no other one that runs beside it.
    const { session: _, ...deciding } = spec;
    const words = new TextEncoder().encode(JSON.stringify([deciding, session.seed, session.kernelChoice]));
    workStore = `${path}.sensitivity-${hashOf(words).slice(0, 12)}.work`;
    const elsewhere = asksForJobs(work) ? layersElsewhere({ ...spec, flags: work, fallback: workStore }) : undefined;
    return await runSensitivity({ ...spec, elsewhere });
  });
  // Hours of work are printed first, whatever becomes of the report.
  printResult({ terminal, flags, document, text: () => sensitivityText(document) });
  if (report !== undefined) {
    const { sensitivityReport, plottingLibrary } = await loadReport();
    await writeFileAtomic(
      report,
      sensitivityReport({
        plottingLibrary,
        document,
        command: shellCommand("secateur", shownArguments(argv)),
      }),
      { overwrite },
    );
  }
  if (report !== undefined && !flags.json && !flags.quiet) terminal.stdout.write(`\nwrote ${report}\n`);
  if (document.interrupted) throw interrupted("the layers that were reached are above");
  if (document.failed) {
    const finished = document.layers.reduce((sum, { measures }) => sum + measures.length, 0);
    throw someFailed({ what: "trials", failed: document.failed.length, finished });
  }
  await clearWorkStore(work, workStore);
}
