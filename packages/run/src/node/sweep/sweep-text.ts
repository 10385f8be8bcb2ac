import {
  formatBytes,
  formatCount,
  formatFraction,
  formatMeasure,
  formatTable,
  shellCommand,
  shownArchitecture,
} from "@secateur/report/text";
import { pruneArguments } from "../../sweep/prune-command.ts";
import type { Spread, SweepConfiguration, SweepDocument } from "../../sweep/sweep-document.ts";

/** What `secateur sweep` prints for people: a line for every configuration, marked where none beats it, and the best under the goal. */
export function sweepText(document: SweepDocument): string {
  const { configurations, measure, dense, arch, data, prunable, goal, best, failed = [], runs, measuredOn } = document;
  const right = { align: "right" } as const;
  const spread = ({ mean, lowest, highest }: Spread): string =>
    `${formatMeasure({ ...measure, value: mean })}${lowest === highest ? "" : ` (${formatMeasure({ ...measure, value: lowest })} to ${formatMeasure({ ...measure, value: highest })})`}`;
  const table = formatTable(
    [
      { title: "solver" },
      { title: "sparsity", ...right },
      { title: "ridge", ...right },
      { title: measure.name, ...right },
      { title: measuredOn === "test" ? "on test" : "on all", ...right },
      { title: "kept", ...right },
      { title: "packed", ...right },
      { title: "ms", ...right },
      { title: "front" },
    ],
    configurations.map((one) => [
      one.solver,
      formatFraction(one.sparsity),
      String(one.ridge ?? ""),
      spread(one.choice),
      spread(one.test),
      formatCount(Math.round(one.nonzeros)),
      one.bytes === undefined ? "" : formatBytes(one.bytes),
      one.milliseconds === undefined ? "" : one.milliseconds.toPrecision(3),
      [one.onFront.bytes ? "bytes" : "", one.onFront.milliseconds ? "ms" : ""].filter((word) => word !== "").join(", "),
    ]),
  );
  const before = `${shownArchitecture(arch)} on ${data}: ${formatMeasure(measure)} ${measure.name} on ${formatCount(dense.examples)} ${measuredOn} examples, ${document.remeasured ? "statistics of batch normalisation measured anew, " : ""}${formatCount(prunable)} prunable weights\n${measure.name} is that of ${formatCount(runs[0]!.choice.examples)} training examples that were held out from all runs (the dense network may have been trained on them): by it configurations are compared\n`;
  const failures = failed.map((one) => `${one.solver} at ${one.sparsity} failed: ${one.message} [${one.code}]\n`);
  return `${before}\n${table}\n${failures.join("")}${goal === undefined ? "" : bestText(document, goal, best === undefined ? undefined : configurations[best])}`;
}

function bestText(document: SweepDocument, goal: string, best: SweepConfiguration | undefined): string {
  if (!best) return `no configuration meets ${goal}\n`;
  const { command, seeds, takesGradients } = document;
  const gradients = takesGradients.includes(best.solver);
  const argv = pruneArguments({ ...best, command, seed: seeds[0]!, takesGradients: gradients });
  return `the best that meets ${goal}: ${shellCommand("secateur", argv)}\n`;
}
