/** What `secateur pack` prints: bytes by how a network is stored, and layers by how they will run. */
import { type Evaluation, mainMeasure } from "@secateur/core";
import { formatBytes, formatCount, formatFraction, formatMeasure, plainText } from "./format.ts";
import { formatTable } from "./table.ts";

/** The part of a packing's document that is printed. */
export interface PackedNumbers {
  readonly values: string;
  readonly weights: number;
  readonly nonzeros: number;
  readonly bytes: {
    readonly raw: number;
    readonly gzip: number;
    readonly brotli: number;
    readonly denseF32: number;
    readonly denseInt8Brotli: number;
  };
  readonly layers: readonly {
    readonly name: string;
    readonly kernel?: string;
    readonly weights: number;
    readonly nonzeros: number;
    readonly expectedMs: number;
    readonly denseMs: number;
  }[];
  readonly expectedMs: number;
  readonly denseMs: number;
  readonly accuracy?: { readonly before: Evaluation; readonly after: Evaluation; readonly dense?: Evaluation };
}

const right = { align: "right" } as const;

/** @param hasDense - whether `dense` bytes are those of the network before pruning */
export function packText(document: PackedNumbers, hasDense: boolean): string {
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
          `${shown(accuracy.before)} pruned, ${shown(accuracy.after)} packed (${values})\n`,
      ]
    : [];
  const expected =
    "Times are expected ones: one example, one thread, from a table of what kernels take. secateur bench measures.\n";
  return [...measured, sizes, layers, expected].join("\n");
}

function shown(evaluation: Evaluation): string {
  return formatMeasure(mainMeasure(evaluation));
}
