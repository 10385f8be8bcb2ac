import type { Evaluation } from "@secateur/core";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFraction,
  formatLoss,
  formatMeasure,
  formatNumber,
  formatShape,
  formatStats,
  formatTable,
  roundRows,
  roundTitles,
} from "@secateur/report/text";
import type { PruneDocument } from "./prune-document.ts";

/** What `secateur prune` prints for people. */
export function pruneText(document: PruneDocument): string {
  const { dense, pruned, measuredOn, nonzeros, prunable, timing, stages, recipe } = document;
  const right = { align: "right" } as const;
  const zeros = document.layers.reduce((sum, { kept }) => sum + kept, 0) - nonzeros;
  const numbers = formatTable(
    [
      { title: "" },
      { title: document.remeasured ? "before, statistics measured anew" : "before", ...right },
      { title: "after", ...right },
    ],
    [
      ...(dense && pruned && measuredOn ? measuredRows({ dense, pruned, measuredOn }) : []),
      ["non-zero weights", "", `${formatCount(nonzeros)} of ${formatCount(prunable)}`],
      ...(document.cut
        ? (["parameters", "flops"] as const).map((key) => [
            `${key === "flops" ? "operations" : key}, channels cut out`,
            ...[document.cut![key].before, document.cut![key].after].map(formatCount),
          ])
        : []),
      ...(zeros > 0 ? [["kept though they are 0", "", formatCount(zeros)]] : []),
      ["sparsity", "", formatFraction(document.sparsity)],
      ...(document.limits ?? []).map(({ kind, asked, reached, absolute, dense: all }) => [
        absolute ? `${kind} (limit ${asked})` : `${kind} of the dense network (limit ${formatFraction(asked)})`,
        "",
        `${absolute ? "" : `${formatFraction(reached)}, `}${formatNumber(absolute ? reached : reached * all)} of ${formatNumber(all)}`,
      ]),
    ],
  );
  const layers = formatTable(
    [
      ...[{ title: "layer" }, { title: "shape" }, { title: "non-zero", ...right }, { title: "sparsity", ...right }],
      ...(document.layers.some(({ relativeError }) => relativeError !== undefined)
        ? [{ title: "relative error", ...right }]
        : []),
    ],
    document.layers.map(({ name, shape, size, kept, nonzeros: some, relativeError }) => [
      name,
      formatShape(shape),
      formatCount(some),
      formatFraction(size === 0 ? 0 : 1 - kept / size),
      ...(relativeError === undefined ? [] : [formatNumber(relativeError)]),
    ]),
  );
  const rounds = document.rounds
    ? [
        formatTable(
          roundTitles.map((title) => ({ title, ...right })),
          roundRows(document.rounds),
        ),
      ]
    : [];
  const last = stages[stages.length - 1];
  const other = takenWords[last?.taken ?? ""];
  const spent = [
    `${stages.length} ${stages.length === 1 ? "stage" : "stages"}`,
    `${stages.some(({ partsMs }) => partsMs) ? "inputs of layers" : "gradients"} ${formatDuration(timing.gradientMs)}`,
    `solving ${formatDuration(timing.solveMs)}`,
    ...(timing.retrainMs === undefined ? [] : [`retraining ${formatDuration(timing.retrainMs)}`]),
    `opening and measuring ${formatDuration(timing.measureMs)}`,
    `in all ${formatDuration(timing.totalMs)}`,
    `peak memory ${formatBytes(document.peakMemoryBytes)}`,
  ].join(", ");
  return [
    `${recipe.solver}, ${pruned ? `${formatCount(pruned.examples)} ${measuredOn} examples` : "not measured, as there are no data"}\n`,
    numbers,
    ...rounds,
    layers,
    ...(document.keptDense ? [`kept dense: ${document.keptDense.join(", ")}\n`] : []),
    `objective ${formatNumber(document.objective)} (${[last?.status, other ? "" : formatStats(last?.stats ?? {})].filter(Boolean).join("; ")})\n${spent}\n`,
    ...(other ? [`taken: ${other}\n`] : []),
    ...(recipe.plan.reason ? [`plan: ${recipe.plan.reason}\n`] : []),
  ].join("\n");
}

function measuredRows({
  dense,
  pruned,
  measuredOn,
}: Required<Pick<PruneDocument, "measuredOn">> & {
  dense: Evaluation;
  pruned: Evaluation;
}): readonly (readonly string[])[] {
  return [
    ...dense.measures.map((measure, m) => [
      measure.name,
      formatMeasure(measure),
      formatMeasure(pruned.measures[m] ?? measure),
    ]),
    [measuredOn === "test" ? "loss" : "loss (on calibration data)", formatLoss(dense), formatLoss(pruned)],
  ];
}

/** Where the last stage did not end with a step of the solver: then its numbers are those of a step that was not taken. */
const takenWords: Readonly<Record<string, string>> = {
  mask: "the mask over the weights before the stage, as no step lowered their loss",
  magnitude: "the largest magnitudes, as nothing that the solver found had a lower loss",
  last: "the weights of the stage before, as nothing that the last one found had a lower loss",
};
