/** One call of `secateur train`. */
import { existsSync } from "node:fs";
import { isPruneError } from "@secateur/core";
import { checkOutput, writeFileAtomic } from "@secateur/formats";
import {
  formatCount,
  formatDuration,
  formatLoss,
  formatMeasure,
  formatNumber,
  formatPercent,
  formatTable,
  shellCommand,
} from "@secateur/report/text";
import { flagWithoutEffect, mapDataPaths } from "@secateur/run";
import { assertEnding, assertInputsThere, assertNotInput, dataPaths } from "@secateur/run/node/check-places";
import { findEncoder } from "@secateur/run/node/plugins/find-format";
import { optimizerOf, trainDefaults } from "@secateur/run/node/retrain/training-settings";
import { isFinishedRun } from "@secateur/run/node/state/finished-run";
import { trainingPath } from "@secateur/run/node/state/training-file";
import { epochPath, runTrain, type TrainDocument } from "@secateur/run/node/train/run-train";
import type { TrainSettings } from "@secateur/run/node/train/train-settings";
import { interrupted, missingFlag, stateLeftBehind } from "../errors.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { loadReport } from "../run/load-report.ts";
import { printResult } from "../run/print-result.ts";
import { type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";

/** The flags of `secateur train` as commander hands them over. */
export interface TrainFlags extends SessionFlags, TrainSettings {
  readonly data?: string;
  readonly out?: string;
  readonly report?: string;
  readonly force?: boolean;
  readonly resume?: boolean;
}

/** Trains, writes the network, prints the result. @throws whatever is wrong with the input, ERR_DIVERGED, ERR_ABORTED */
export async function callTrain(call: {
  model: string | undefined;
  flags: TrainFlags;
  terminal: Terminal;
  /** As typed, for the report. */
  argv: readonly string[];
}): Promise<void> {
  const { flags, terminal, argv } = call;
  if (flags.data === undefined) throw missingFlag("--data", "say what to train on, for example --data mnist");
  if (flags.out === undefined)
    throw missingFlag("--out", "say where the trained network goes, for example --out net.safetensors");
  const data = mapDataPaths(flags.data, (path) => absolutePath(terminal, path));
  const out = absolutePath(terminal, flags.out);
  const overwrite = flags.force === true;
  const report = flags.report === undefined ? undefined : absolutePath(terminal, flags.report);
  assertEnding({ flag: "--report", path: report }, [".html", ".htm"]);
  await findEncoder(out, terminal.cwd); // refuses an ending that names no format
  const model = call.model === undefined ? undefined : absolutePath(terminal, call.model);
  assertNotInput({
    outputs: [
      { flag: "--out", path: out },
      { flag: "--report", path: report },
      { flag: "--events", path: flags.events === undefined ? undefined : absolutePath(terminal, flags.events) },
    ],
    inputs: [model, ...dataPaths(data)],
  });
  await assertInputsThere([model], data);
  // A run that was killed after it wrote the network and before it took its state away goes on.
  // Of one that is finished the output is there: whether it is that run's shows when the model is read.
  await checkOutput(out, { overwrite: overwrite || flags.resume === true });
  if (report !== undefined) await checkOutput(report, { overwrite: overwrite || flags.resume === true });
  const { epochs: planned = trainDefaults.epochs, keepEpochs = [] } = flags;
  const beyond = keepEpochs.find((epoch) => epoch > planned);
  if (beyond !== undefined) {
    const reason = `there is no epoch ${beyond} of ${planned}`;
    throw flagWithoutEffect({ flag: `--keep-epochs ${beyond}`, reason });
  }
  for (const epoch of keepEpochs) {
    // A continued run may have written some already.
    await checkOutput(epochPath(out, epoch), { overwrite: overwrite || flags.resume === true });
  }

  optimizerOf(flags); // refuses settings it does not have
  const resume = flags.resume === true;
  const state = trainingPath(out);
  if (existsSync(state) && !resume && !overwrite) throw stateLeftBehind(state);
  const document = await withSession({ flags, terminal, overwrite, appendEvents: resume }, (session) =>
    runTrain({ model, data, settings: flags, out, overwrite, resume, cwd: terminal.cwd, session }),
  ).catch((error: unknown) => {
    throw explainInterrupt(error, state);
  });
  printResult({ terminal, flags, document, text: () => (isFinishedRun(document) ? "" : trainText(document)) });
  if (report === undefined) return;
  if (isFinishedRun(document)) {
    terminal.stderr.write(
      "no report is written: its curves are those of a training, and this one was finished before\n",
    );
    return;
  }
  const { trainingReport, plottingLibrary } = await loadReport();
  const page = trainingReport({ document, plottingLibrary, command: shellCommand("secateur", argv) });
  await writeFileAtomic(report, page, { overwrite: overwrite || resume });
  if (!flags.json && !flags.quiet) terminal.stdout.write(`wrote ${report}\n`);
}

function explainInterrupt(error: unknown, state: string): unknown {
  if (!isPruneError(error) || error.code !== "ERR_ABORTED") return error;
  return interrupted(
    existsSync(state)
      ? `the finished epochs are saved in ${state}: repeat the command with --resume to go on from there`
      : "nothing was written",
  );
}

function trainText(document: TrainDocument): string {
  const right = { align: "right" } as const;
  const hasAccuracy = document.epochs.some(({ accuracy }) => Number.isFinite(accuracy));
  const epochs = formatTable(
    ["epoch", "training loss", ...(hasAccuracy ? ["training accuracy"] : [])].map((title) => ({ title, ...right })),
    document.epochs.map(({ loss, accuracy }, index) => [
      String(index + 1),
      formatNumber(loss),
      ...(hasAccuracy ? [formatPercent(accuracy)] : []),
    ]),
  );
  const { test, measuredOn, trainMs, steps, out, nonzeros, prunable } = document;
  const kept =
    nonzeros === undefined || prunable === undefined
      ? ""
      : `; ${formatCount(nonzeros)} of ${formatCount(prunable)} weights left`;
  const measured = test.measures.map((measure) => `${measure.name} ${formatMeasure(measure)}, `).join("");
  return `${epochs}\n${measuredOn === "test" ? "test" : "on the examples of training (there is no test split):"} ${measured}loss ${formatLoss(test)}; ${steps} steps in ${formatDuration(trainMs)}${kept}\nwrote ${out}\n`;
}
