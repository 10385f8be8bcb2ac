import type { MeasuredValue } from "@secateur/core";
import { formatCount, formatDuration, formatFraction, formatMeasure, formatNumber, formatShape } from "./format.ts";
import { shownArchitecture } from "./shown-architecture.ts";
import { formatTable } from "./table.ts";

/** The parts of the JSON document of `secateur sensitivity` that its text and its report read. */
export interface SensitivityReportDocument {
  readonly model: string;
  readonly modelSha256: string;
  readonly arch: string;
  readonly data: string;
  readonly solver: string;
  readonly seed: number;
  readonly dense: { readonly examples: number };
  /** Statistics of batch normalisation were measured anew before. */
  readonly remeasured?: true;
  /** By what layers are compared, with its value before pruning. */
  readonly measure: MeasuredValue;
  readonly gradients: { readonly examples: number; readonly ridge: number; readonly gradientMs: number };
  readonly layers: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly size: number;
    readonly measures: readonly { readonly sparsity: number; readonly value: number }[];
  }[];
  readonly failed?: readonly {
    readonly layer: string;
    readonly sparsity: number;
    readonly code: string;
    readonly message: string;
  }[];
  readonly proposal: {
    readonly sparsity: number;
    readonly keepDense: readonly string[];
    readonly candidates: readonly string[];
    readonly valueAll?: number;
    readonly valueKept?: number;
    readonly flag?: string;
    readonly undecided?: true;
    readonly reason: string;
  };
  readonly timing: { readonly gradientMs: number; readonly totalMs: number };
  readonly backend: string;
  readonly peakMemoryBytes: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** The sparsities at which at least one layer was measured, ascending. */
export function scannedSparsities({ layers }: Pick<SensitivityReportDocument, "layers">): readonly number[] {
  const all = layers.flatMap(({ measures }) => measures.map(({ sparsity }) => sparsity));
  return [...new Set(all)].sort((a, b) => a - b);
}

/** What stands behind a number that is not that of the file as it is. */
export function remeasuredWords({ remeasured }: Pick<SensitivityReportDocument, "remeasured">): string {
  return remeasured ? ", statistics of batch normalisation measured anew" : "";
}

/** What `secateur sensitivity` prints for people: points of accuracy lost, layer by layer, then the proposal. */
export function sensitivityText(document: SensitivityReportDocument): string {
  const { dense, measure, layers, gradients, solver, arch, data, timing } = document;
  const right = { align: "right" } as const;
  const sparsities = scannedSparsities(document);
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
        return found ? formatChange(found.value - measure.value, measure) : "-";
      }),
    ]),
  );
  const before = `${shownArchitecture(arch)} on ${data}: ${formatMeasure(measure)} ${measure.name} on ${formatCount(dense.examples)} training examples held out from the gradients${remeasuredWords(document)}\n`;
  const points =
    measure.unit === "%" ? `Points of ${measure.name}` : `What ${measure.name} (${measure.better} is better)`;
  const how = `${points} ${measure.unit === "%" ? "gained or lost" : "changes by"} when ${solver} prunes one layer alone, in one stage, on one set of ${formatCount(gradients.examples)} gradient rows:\n`;
  const failed = (document.failed ?? []).map(
    ({ layer, sparsity, message, code }) => `${layer} at ${formatFraction(sparsity)} failed: ${message} [${code}]\n`,
  );
  return `${before}${how}\n${table}\n${failed.join("")}${proposalText(document)}took ${formatDuration(timing.totalMs)}, gradients ${formatDuration(timing.gradientMs)}\n`;
}

/** The proposal in sentences. */
export function proposalText({ proposal, model, measure: { unit } }: SensitivityReportDocument): string {
  const { sparsity, keepDense, valueAll, valueKept, candidates, reason, flag } = proposal;
  if (proposal.undecided) return `Nothing is proposed at ${formatFraction(sparsity)}: ${reason}.\n`;
  const measured =
    valueAll === undefined || valueKept === undefined
      ? ""
      : `All layers pruned to ${formatFraction(sparsity)} in one stage: ${formatMeasure({ value: valueAll, unit })}; with ${candidates.join(", ")} dense and as many weights in all: ${formatMeasure({ value: valueKept, unit })}.\n`;
  const verdict =
    keepDense.length === 0
      ? `Keep no layer dense at ${formatFraction(sparsity)}: ${reason}.\n`
      : `Keep ${keepDense.join(", ")} dense at ${formatFraction(sparsity)}: ${reason}.\nThe flag that does it: secateur prune ${model} --sparsity ${sparsity} ${flag ?? ""} ...\n`;
  return `${measured}${verdict}`;
}

function formatChange(points: number, { unit }: MeasuredValue): string {
  const text = unit === "%" ? points.toFixed(2) : formatNumber(points);
  return points > 0 ? `+${text}` : text === "0.00" ? "0.00" : text;
}
