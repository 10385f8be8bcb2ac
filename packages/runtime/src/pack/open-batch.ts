/** One graph for a batch of any size, from the same graph at two sizes: what differs between them has to follow the batch. */
import type { Attribute, PackedOperator, PackedValue } from "../file/packed-model.ts";
import { assertOutput, valueDims } from "../plan/value-dims.ts";
import type { DenseTensor, PackGraph } from "./pack-graph.ts";

/** A graph and the batch that it was made for. */
export interface AtBatch {
  readonly graph: PackGraph;
  readonly batch: number;
}

/** Sizes to make a graph for: no multiples of each other, so that a product of one is none of the other. */
export const batchPair = [2, 3] as const;

/**
 * The graph with "batch" for first extents that are the batch in both, or undefined where it works for one size only: where something else
 * than the first extents of inputs, outputs and of what is reshaped differs.
 */
export function openBatch(first: AtBatch, second: AtBatch): PackGraph | undefined {
  const [a, b] = [first.graph, second.graph];
  const sizes: Sizes = [first.batch, second.batch];
  const inputs = pairs(a.inputs, b.inputs)?.map(([one, other]) => openValue(one, other, sizes));
  const outputs = pairs(a.outputs, b.outputs)?.map(([one, other]) => openValue(one, other, sizes));
  const operators = pairs(a.operators, b.operators)?.map(([one, other]) => openOperator(one, other, sizes));
  if (!inputs?.every(isThere) || !outputs?.every(isThere) || !operators?.every(isThere)) return undefined;
  if (!sameTensors(a.tensors, b.tensors)) return undefined;
  const opened: PackGraph = { ...a, inputs, outputs, operators };
  // Both sizes and a third give what is promised.
  return [...sizes, sizes[0] + sizes[1]].every((batch) => givesWhatItPromises(opened, batch)) ? opened : undefined;
}

type Sizes = readonly [number, number];

function isThere<T>(found: T | undefined): found is T {
  return found !== undefined;
}

function pairs<T>(a: readonly T[], b: readonly T[]): readonly (readonly [T, T])[] | undefined {
  return a.length === b.length ? a.map((one, i) => [one, b[i]!] as const) : undefined;
}

function openValue(a: PackedValue, b: PackedValue, [first, second]: Sizes): PackedValue | undefined {
  const rest = (value: PackedValue): string => value.dims.slice(1).join();
  if (a.name !== b.name || a.whole !== b.whole || a.dims.length !== b.dims.length || rest(a) !== rest(b))
    return undefined;
  if (a.dims[0] === b.dims[0]) return a;
  return a.dims[0] === first && b.dims[0] === second ? { ...a, dims: ["batch", ...a.dims.slice(1)] } : undefined;
}

function openOperator(a: PackedOperator, b: PackedOperator, sizes: Sizes): PackedOperator | undefined {
  const { attributes: own, ...about } = a;
  const { attributes: others, ...otherwise } = b;
  if (JSON.stringify(about) !== JSON.stringify(otherwise)) return undefined;
  if (JSON.stringify(own) === JSON.stringify(others)) return a;
  if (a.op !== "Reshape") return undefined;
  const dims = openDims(own["dims"], others["dims"], sizes);
  return dims === undefined ? undefined : { ...a, attributes: { ...own, dims } };
}

/** Extents that are reshaped to: -1 for one that grows with the batch, where it is the only one that differs. */
function openDims(a: Attribute | undefined, b: Attribute | undefined, [first, second]: Sizes): Attribute | undefined {
  if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return undefined;
  const [own, others] = [a as readonly number[], b as readonly number[]];
  const places = own.flatMap((extent, i) => (extent === others[i] ? [] : [i]));
  const [place] = places;
  const grows = places.length === 1 && place === 0 && own[0]! * second === others[0]! * first;
  return grows ? [-1, ...own.slice(1)] : undefined;
}

function sameTensors(a: PackGraph["tensors"], b: PackGraph["tensors"]): boolean {
  const isSame = (one: DenseTensor, other: DenseTensor | undefined): boolean =>
    other !== undefined &&
    one.dims.join() === other.dims.join() &&
    one.data.every((number, i) => number === other.data[i]);
  return a.size === b.size && [...a].every(([name, tensor]) => isSame(tensor, b.get(name)));
}

function givesWhatItPromises(graph: PackGraph, batch: number): boolean {
  try {
    const dims = valueDims(graph, batch);
    for (const output of graph.outputs) assertOutput(output, dims.get(output.name)!, batch);
    return true;
  } catch {
    return false;
  }
}
