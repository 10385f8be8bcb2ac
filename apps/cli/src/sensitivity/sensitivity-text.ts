import type { MeasuredValue } from "@secateur/core";
import {
  formatCount,
  formatDuration,
  formatFraction,
  formatMeasure,
  formatNumber,
  formatShape,
  formatTable,
} from "@secateur/report/text";
import { type SensitivityDocument, scannedSparsities } from "@secateur/run";

/** What `secateur sensitivity` prints for people: points of accuracy lost, layer by layer, then the proposal. */
export function sensitivityText(document: SensitivityDocument): string {
  const { dense, measure, layers, gradients, solver, arch, data, timing } = document;
  const right = { align: "right" } as const;
  const sparsities = scannedSparsities(layers);
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
      ...sparsities.map((sparsity) => {
        const found = measures.find((one) => one.sparsity === sparsity);
        return found ? formatChange(found.value - measure.value, measure) : "none";
      }),
    ]),
  );
  const before = `${arch} on ${data}: ${formatMeasure(measure)} ${measure.name} on ${formatCount(dense.examples)} training examples held out from the gradients\n`;
  const points =
    measure.unit === "%" ? `Points of ${measure.name}` : `What ${measure.name} (${measure.better} is better)`;
  const how = `${points} ${measure.unit === "%" ? "gained or lost" : "changes by"} when ${solver} prunes one layer alone, in one stage, on one set of ${formatCount(gradients.examples)} gradient rows:\n`;
  const failed = (document.failed ?? []).map(
    ({ layer, sparsity, message, code }) => `${layer} at ${formatFraction(sparsity)} failed: ${message} [${code}]\n`,
  );
  return `${before}${how}\n${table}\n${failed.join("")}${proposalText(document)}took ${formatDuration(timing.totalMs)}, gradients ${formatDuration(timing.gradientMs)}\n`;
}

/** The proposal in sentences. */
export function proposalText({ proposal, model, measure: { unit } }: SensitivityDocument): string {
  const { sparsity, keepDense, valueAll, valueKept, candidates, reason, flag } = proposal;
  const measured =
    valueAll === undefined || valueKept === undefined
      ? ""
      : `All layers pruned to ${formatFraction(sparsity)} in one stage: ${formatMeasure({ value: valueAll, unit })}; with ${candidates.join(", ")} dense and as many weights in all: ${formatMeasure({ value: valueKept, unit })}.\n`;
  const verdict =
    keepDense.length === 0
      ? `Keep no layer dense at ${formatFraction(sparsity)}: ${reason}.\n`
      : `Keep ${keepDense.join(", ")} dense at ${formatFraction(sparsity)}: ${reason}.\nThe flag that does it: secateur prune ${model} ${flag ?? ""} ...\n`;
  return `${measured}${verdict}`;
}

function formatChange(points: number, { unit }: MeasuredValue): string {
  const text = unit === "%" ? points.toFixed(2) : formatNumber(points);
  return points > 0 ? `+${text}` : text === "0.00" ? "0.00" : text;
}
