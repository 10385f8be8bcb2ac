import {
  formatCount,
  formatDuration,
  formatFraction,
  formatPercent,
  formatShape,
  formatTable,
} from "@secateur/report/text";
import type { SensitivityDocument } from "@secateur/run";

/** What `secateur sensitivity` prints for people: points of accuracy lost, layer by layer, then the proposal. */
export function sensitivityText(document: SensitivityDocument): string {
  const { dense, layers, gradients, solver, arch, data, timing } = document;
  const right = { align: "right" } as const;
  const sparsities = layers[0]!.measures.map(({ sparsity }) => sparsity);
  const table = formatTable(
    [
      { title: "layer alone" },
      { title: "shape" },
      { title: "weights", ...right },
      ...sparsities.map((sparsity) => ({ title: `at ${formatFraction(sparsity)}`, ...right })),
    ],
    layers.map(({ name, shape, size, measures }) => [
      name,
      formatShape(shape),
      formatCount(size),
      ...measures.map(({ accuracy }) => formatChange(accuracy - dense.accuracy)),
    ]),
  );
  const before = `${arch} on ${data}: ${formatPercent(dense.accuracy)} of ${formatCount(dense.examples)} training examples held out from the gradients\n`;
  const how = `Points of accuracy gained or lost when ${solver} prunes one layer alone, in one stage, on one set of ${formatCount(gradients.examples)} gradient rows:\n`;
  return `${before}${how}\n${table}\n${proposalText(document)}took ${formatDuration(timing.totalMs)}, gradients ${formatDuration(timing.gradientMs)}\n`;
}

/** The proposal in sentences. */
export function proposalText({ proposal, model }: SensitivityDocument): string {
  const { sparsity, keepDense, accuracyAll, accuracyKept, candidates, reason, flag } = proposal;
  const measured =
    accuracyAll === undefined || accuracyKept === undefined
      ? ""
      : `All layers pruned to ${formatFraction(sparsity)} in one stage: ${formatPercent(accuracyAll)}; with ${candidates.join(", ")} dense and as many weights in all: ${formatPercent(accuracyKept)}.\n`;
  const verdict =
    keepDense.length === 0
      ? `Keep no layer dense at ${formatFraction(sparsity)}: ${reason}.\n`
      : `Keep ${keepDense.join(", ")} dense at ${formatFraction(sparsity)}: ${reason}.\nThe flag that does it: secateur prune ${model} ${flag ?? ""} ...\n`;
  return `${measured}${verdict}`;
}

function formatChange(points: number): string {
  const text = points.toFixed(2);
  return points > 0 ? `+${text}` : text === "0.00" ? "0.00" : text;
}
