import { type Evaluation, mainMeasure } from "@secateur/core";
import { formatBytes, formatCount, formatFraction, formatMeasure, formatTable, plainText } from "@secateur/report/text";
import { copiesText } from "../export/compressed-copies.ts";
import type { PackDocument } from "./run-pack.ts";

const right = { align: "right" } as const;

/** What `secateur pack` prints for people: accuracy, sizes, and what each layer takes. @param hasDense - whether --dense named a network */
export function packText(document: PackDocument, hasDense: boolean): string {
  const { bytes, weights, values, accuracy } = document;
  const of = hasDense ? "before pruning" : "zeros in place";
  const stored = [
    [`f32, ${of}`, bytes.denseF32],
    [`int8 and brotli, ${of}`, bytes.denseInt8Brotli],
    ["packed, nothing compressed", bytes.raw],
    ["packed, gzip inside: the file", bytes.gzip],
    ["packed, brotli instead", bytes.brotli],
  ] as const;
  const sizes = formatTable(
    [
      { title: "stored as" },
      { title: "bytes", ...right },
      { title: "bits a weight", ...right },
      { title: "of f32", ...right },
    ],
    stored.map(([what, count]) => [
      what,
      formatBytes(count),
      ((8 * count) / weights).toFixed(2),
      formatFraction(count / bytes.denseF32),
    ]),
  );
  const products = document.layers.filter(({ kernel }) => kernel !== undefined);
  const others = document.layers.filter(({ kernel }) => kernel === undefined);
  const sum = (of: (layer: (typeof others)[number]) => number) => others.reduce((total, layer) => total + of(layer), 0);
  const rest = {
    ...{
      name: "all other operators",
      kernel: "",
      weights: sum((one) => one.weights),
      nonzeros: sum((one) => one.nonzeros),
    },
    ...{ denseMs: sum((one) => one.denseMs), expectedMs: sum((one) => one.expectedMs) },
  };
  const layers = formatTable(
    [
      { title: "layer" },
      { title: "kernel" },
      { title: "weights", ...right },
      { title: "kept", ...right },
      { title: "dense µs", ...right },
      { title: "packed µs", ...right },
    ],
    [...products, ...(others.length > 0 ? [rest] : []), { ...document, name: "in all", kernel: "" }].map((row) => [
      plainText(row.name),
      row.kernel ?? "",
      formatCount(row.weights),
      formatCount(row.nonzeros),
      (1000 * row.denseMs).toFixed(1),
      (1000 * row.expectedMs).toFixed(1),
    ]),
  );
  const measured = accuracy
    ? [
        `${mainMeasure(accuracy.before).name} on ${formatCount(accuracy.before.examples)} examples: ${accuracy.dense ? `${shown(accuracy.dense)} before pruning, ` : ""}` +
          `${shown(accuracy.before)} pruned, ${shown(accuracy.after)} packed (${values})${taught(accuracy.teacher)}\n`,
      ]
    : [];
  const expected =
    "Times are expected ones: one example, one thread, from a table of what kernels take. secateur bench measures.\n";
  return [...measured, sizes, layers, expected + copiesText(document.copies)].join("\n");
}

/** Data without labels compare outputs, and a network with itself loses nothing. */
function taught(teacher: "dense" | "model" | undefined): string {
  if (!teacher) return "";
  return teacher === "dense"
    ? ", against the outputs of the network before pruning"
    : ", against the pruned model's own outputs, so only what storing the values costs: --dense names the network before";
}

function shown(evaluation: Evaluation): string {
  return formatMeasure(mainMeasure(evaluation));
}
