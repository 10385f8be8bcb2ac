/**
 * Convolutions over few weights, of images in panels of 32 examples. The lists of a pattern and a shape are made when first needed and
 * live in the kernels' memory for as long as the pattern. f64 and what finds no room are left to the reference.
 */
import {
  type ConvolutionShape,
  checkSparseConvolution,
  dtypeOf,
  panelWidth,
  referenceKernels,
  type SparseConvolution,
  type SparseConvolveBackSpec,
  type SparseConvolveSpec,
  type SparseGradientsSpec,
  type SparsePattern,
  type Vec,
} from "@secateur/core";
import type { Engine } from "../engine.ts";
import { type Operand, withResidents } from "../memory/residents.ts";
import { backLists, forwardLists, type SparseLists } from "./sparse-lists.ts";

/** Bytes of a number, and of a line of them. */
const [size, lineBytes] = [4, 4 * panelWidth];
/** Bytes of a partial sum. */
const vectorBytes = 16;
/** Outputs of one unit: few enough for a layer at one position to keep several threads busy. */
const blockOutputs = 64;

/** out = f(images * weights + bias) */
export function sparseConvolve(engine: Engine, spec: SparseConvolveSpec): void {
  const { shape, pattern, values, images, bias, out, relu = false } = spec;
  const operands = { images, outputs: out, weights: values, ...(bias ? { bias } : {}) };
  checkSparseConvolution("sparseConvolve", spec, operands);
  const walk = { spec, direction: "forward", values, ...(bias ? { bias } : {}), from: images, to: out, relu } as const;
  const planes = shape.height * shape.width * shape.channels;
  if (isEmpty(pattern, out) || !alongLists(engine, walk, planes)) referenceKernels.sparseConvolve!(spec);
}

/** out = dL/dimages */
export function sparseConvolveBack(engine: Engine, spec: SparseConvolveBackSpec): void {
  const { shape, pattern, values, deltas, out } = spec;
  checkSparseConvolution("sparseConvolveBack", spec, { images: out, outputs: deltas, weights: values });
  const walk = { spec, direction: "back", values, from: deltas, to: out, relu: false } as const;
  const planes = deltas.length / panelWidth / Math.max(1, shape.batch);
  if (isEmpty(pattern, out) || !alongLists(engine, walk, planes)) referenceKernels.sparseConvolveBack!(spec);
}

/** out = dL/dvalues */
export function sparseGradients(engine: Engine, spec: SparseGradientsSpec): void {
  const { shape, pattern, images, deltas, out } = spec;
  checkSparseConvolution("sparseGradients", spec, { images, outputs: deltas, weights: out });
  const placed = isEmpty(pattern, deltas) ? undefined : placedLists(engine, spec, "forward");
  const operands: readonly Operand[] = [
    ...(placed ? [{ vector: placed.tables, use: "in" } as const] : []),
    { vector: images, use: "in" },
    { vector: deltas, use: "in" },
    { vector: out, use: "out" },
  ];
  const isDone =
    placed &&
    withResidents(engine, { operands, workspace: out.length * vectorBytes }, (addresses) => {
      const [tables, source, slopes, target, sums] = addresses as [number, number, number, number, number];
      const sizes = [...placed.sizes, tables + placed.firstWeights, shape.batch];
      const panelBytes = shape.height * shape.width * shape.channels * lineBytes;
      const values = [...placed.at.map((start) => tables + start), ...sizes, source, panelBytes, slopes, sums, target];
      engine.run("sparseGradients32", shape.outputs, placed.costNs, ...values);
    });
  if (!isDone) referenceKernels.sparseGradients!(spec);
}

type Direction = "forward" | "back";

/** One product along the lists. @param planes - lines of a panel that is read @returns false where the memory has no room */
function alongLists(
  engine: Engine,
  walk: {
    spec: SparseConvolution;
    direction: Direction;
    values: Vec;
    bias?: Vec;
    from: Vec;
    to: Vec;
    relu: boolean;
  },
  planes: number,
): boolean {
  const { spec, direction, values, bias, from, to, relu } = walk;
  const placed = placedLists(engine, spec, direction);
  const operands: readonly Operand[] = [
    { vector: placed.tables, use: "in" },
    { vector: values, use: "in" },
    { vector: from, use: "in" },
    { vector: to, use: "out" },
    ...(bias ? [{ vector: bias, use: "in" } as const] : []),
  ];
  return withResidents(engine, { operands, workspace: 0 }, (addresses) => {
    const [tables, weights, source, target, shift] = addresses as [number, number, number, number, number];
    const [height, , , outputs] = placed.sizes;
    engine.run(
      "sparseConvolve32",
      spec.shape.batch * height * Math.ceil(outputs / blockOutputs),
      placed.costNs,
      ...placed.at.map((start) => tables + start),
      ...[...placed.sizes, blockOutputs, weights, bias ? shift : 0],
      ...[source, planes * lineBytes, target, Number(relu)],
    );
  });
}

/** Lists in one vector of the kernels' memory. */
interface PlacedLists {
  readonly tables: Vec;
  /** Where rows, columns, starts and entries begin, in bytes. */
  readonly at: readonly number[];
  /** Where the first weight of each output is told. */
  readonly firstWeights: number;
  /** height, width, classes of columns, outputs */
  readonly sizes: readonly [number, number, number, number];
  readonly costNs: number;
}

/** Lists of a pattern by what they depend on, and those of the last call: solvers come with the same objects hundreds of times. */
interface KnownLists {
  readonly byKey: Map<string, PlacedLists>;
  last?: { readonly shape: ConvolutionShape; readonly direction: Direction; readonly lists: PlacedLists };
}

const known = new WeakMap<Engine, WeakMap<SparsePattern, KnownLists>>();

function placedLists(engine: Engine, { shape, pattern }: SparseConvolution, direction: Direction): PlacedLists {
  const ofEngine = known.get(engine) ?? new WeakMap<SparsePattern, KnownLists>();
  known.set(engine, ofEngine);
  const ofPattern = ofEngine.get(pattern) ?? { byKey: new Map<string, PlacedLists>() };
  ofEngine.set(pattern, ofPattern);
  const { byKey, last } = ofPattern;
  if (last?.shape === shape && last.direction === direction) return last.lists;
  const key = `${direction} ${JSON.stringify(keyOf(shape))}`;
  const lists =
    byKey.get(key) ??
    place(engine, pattern, (direction === "back" ? backLists : forwardLists)(shape, pattern), shape.batch);
  byKey.set(key, lists);
  ofPattern.last = { shape, direction, lists };
  return lists;
}

/** What lists depend on, in one order. */
function keyOf({
  batch,
  height,
  width,
  channels,
  outputs,
  groups,
  kernel,
  stride,
  padding,
  dilation,
}: ConvolutionShape) {
  return [batch, height, width, channels, outputs, groups, ...kernel, stride, padding, dilation];
}

function place(engine: Engine, pattern: SparsePattern, lists: SparseLists, panels: number): PlacedLists {
  const parts = [lists.rows, lists.columns, lists.starts, lists.entries, pattern.starts];
  const tables = engine.memory.alloc(
    parts.reduce((sum, part) => sum + part.length, 0),
    "f32",
  );
  const words = new Uint32Array(tables.buffer, tables.byteOffset, tables.length);
  const at: number[] = [];
  let start = 0;
  for (const part of parts) {
    words.set(part, start);
    at.push(start * size);
    start += part.length;
  }
  const [height, width] = [lists.rows.length / 2, lists.columns.length / 2];
  return {
    tables,
    at: at.slice(0, 4),
    firstWeights: at[4]!,
    sizes: [height, width, lists.columnClasses, lists.outputs],
    costNs: panels * height * width * (pattern.columns.length + lists.outputs) * 3,
  };
}

// Nothing to read or nothing to write: the definition says what to do. So it does for f64.
function isEmpty({ columns }: SparsePattern, out: Vec): boolean {
  return columns.length === 0 || out.length === 0 || dtypeOf(out) === "f64";
}
