/**
 * What a network would take packed, by what is kept of its weights: bytes of masks and values before compression (the header, some dozen
 * bytes a layer, does not count), and milliseconds for one example on one thread. Data that core's budgets of bytes and
 * milliseconds are counted with.
 */
import { fold } from "../plan/fold.ts";
import { productOf } from "../plan/value.ts";
import { valueDims } from "../plan/value-dims.ts";
import { type CostTable, defaultCosts, type KernelWay, kernelWays } from "./costs.ts";
import type { PackGraph } from "./pack-graph.ts";
import { fileType, type PackedValues } from "./packed-values.ts";
import { smallTensor, storedType } from "./quantize.ts";

/** One way to store or run a tensor: a fixed cost, and one for every block of `outputs` x 1 weights of which any is kept. */
export interface CostWay {
  readonly fixed: number;
  readonly each: number;
  readonly outputs: number;
}

/** What everything but the tensors below costs, and the ways of each of those; the cheapest counts. */
export interface CostModel {
  readonly other: number;
  readonly params: Readonly<Record<string, readonly CostWay[]>>;
}

const valueBytes: Readonly<Record<PackedValues, number>> = { f32: 4, f16: 2, int8: 1, int6: 1, int5: 1, int4: 0.5 };

/**
 * The costs of a graph, by the names of its weights.
 *
 * @param options.values - how values are stored; default int8, as `secateur pack` does
 * @param options.costs - of the machine that will run it; default: `defaultCosts`
 * @throws ERR_PACKED_GRAPH where the graph could not be run
 */
export function costModels(
  graph: PackGraph,
  options: { readonly values?: PackedValues; readonly costs?: CostTable } = {},
): { readonly bytes: CostModel; readonly milliseconds: CostModel } {
  return { bytes: byteModel(graph, options.values ?? "int8"), milliseconds: timeModel(graph, options.costs) };
}

/**
 * What a network costs without zeros, for those that lose channels: of each tensor so much a weight and so much an output, once for every
 * operator that computes with it, and what everything else does.
 */
export interface DenseCosts {
  readonly other: number;
  readonly params: Readonly<Record<string, readonly DenseCost[]>>;
}

/** weight * size + output * outputs, the outputs rounded up to a multiple of `block`. */
export interface DenseCost {
  readonly weight: number;
  readonly output: number;
  readonly size: number;
  readonly outputs: number;
  readonly block: number;
}

/** The costs of a graph by its dense kernels, by the names of its weights; options and errors as for `costModels`. */
export function denseCosts(
  graph: PackGraph,
  options: { readonly values?: PackedValues; readonly costs?: CostTable } = {},
): { readonly bytes: DenseCosts; readonly milliseconds: DenseCosts } {
  return { bytes: denseBytes(graph, options.values ?? "int8"), milliseconds: denseTimes(graph, options.costs) };
}

/** A value a kept weight and a bit a weight, or a value a weight; biases as they are stored; whole numbers have a scale of f32 an output. */
function byteModel(graph: PackGraph, values: PackedValues): CostModel {
  const params: Record<string, readonly CostWay[]> = {};
  let other = 0;
  for (const { name, size, share, outputs, value, scale, isWeight } of storedTensors(graph, values)) {
    other += scale * outputs;
    if (isWeight) {
      const [dense, masked] = params[name] ?? [];
      // Parts of one tensor, such as the two directions of an LSTM, are stored alike: with masks, or without.
      params[name] = [
        { fixed: (dense?.fixed ?? 0) + Math.ceil(value * size), each: 0, outputs: 1 },
        { fixed: (masked?.fixed ?? 0) + Math.ceil(size / 8), each: (masked?.each ?? 0) + value * share, outputs: 1 },
      ];
    } else other += value * size;
  }
  return { other, params };
}

function denseBytes(graph: PackGraph, values: PackedValues): DenseCosts {
  const params: Record<string, readonly DenseCost[]> = {};
  let other = 0;
  for (const { name, size, outputs, value, scale, isWeight } of storedTensors(graph, values)) {
    if (isWeight) params[name] = [...(params[name] ?? []), { weight: value, output: scale, size, outputs, block: 1 }];
    else other += value * size;
  }
  return { other, params };
}

/** Bytes of a value of each tensor, and of what each output has beside. */
function storedTensors(graph: PackGraph, values: PackedValues) {
  const small = smallTensor(graph.tensors.values());
  return [...graph.tensors].map(([name, tensor]) => {
    const { dims, data, exact, source = name, share = 1 } = tensor;
    const type = storedType(tensor, { values, small });
    const isWeight = dims.length >= 2 && !exact;
    const hasScale = isWeight && fileType(type).startsWith("int");
    return {
      name: source,
      size: data.length,
      share,
      outputs: dims[0]!,
      value: valueBytes[type],
      scale: hasScale ? 4 : 0,
      isWeight,
    };
  });
}

function timeModel(graph: PackGraph, costs: CostTable = defaultCosts): CostModel {
  const { other, products } = timedProducts(graph, costs);
  const ways = new Map<string, readonly KernelWay[]>();
  for (const { name, operator, dims, outDims, share } of products) {
    // Of the blocks of a tensor that many lie in this part of it.
    const own = kernelWays(operator, dims, outDims, costs).map((way) => ({ ...way, each: way.each * share }));
    // Weights that several operators read, such as the steps of a recurrent layer, cost in each of them, by a kernel that all of them have.
    const before = ways.get(name);
    const both = before?.flatMap((way) => {
      const more = own.find(({ kernel }) => kernel === way.kernel);
      return more ? [{ ...way, fixed: way.fixed + more.fixed, each: way.each + more.each }] : [];
    });
    ways.set(name, both ?? own);
  }
  const plain = ({ fixed, each, outputs }: KernelWay): CostWay => ({ fixed, each, outputs });
  return { other, params: Object.fromEntries([...ways].map(([name, own]) => [name, own.map(plain)])) };
}

function denseTimes(graph: PackGraph, costs: CostTable = defaultCosts): DenseCosts {
  const { other, products } = timedProducts(graph, costs);
  const params: Record<string, readonly DenseCost[]> = {};
  for (const { name, operator, dims, outDims } of products) {
    const wayOf = (shape: readonly number[]) => {
      return kernelWays(operator, shape, outDims, costs).find(({ kernel }) => kernel === "dense")!;
    };
    const [outputs = 1, size] = [dims[0], productOf(dims)];
    const { fixed, block } = wayOf(dims);
    const taken = Math.ceil(outputs / block) * block;
    // Without taps a kernel takes what it takes for every output.
    const bare = wayOf([outputs, 0]).fixed;
    const weight = (fixed - bare) / (taken * (size / outputs));
    params[name] = [...(params[name] ?? []), { weight, output: bare / taken, size, outputs, block }];
  }
  return { other, params };
}

/** The products of a graph for one example, by the names of their weights, and what all other operators take. */
function timedProducts(graph: PackGraph, costs: CostTable) {
  const folded = fold(graph, 1);
  const dims = valueDims({ ...graph, ...folded }, 1);
  const weightsOf = new Map(graph.operators.map(({ name, tensors }) => [name, tensors[0]]));
  let other = 0;
  const products = folded.operators.flatMap((operator) => {
    const outDims = dims.get(operator.output)!;
    if (operator.op !== "Conv" && operator.op !== "Gemm") {
      other += (productOf(outDims) * costs.number) / 1e6;
      return [];
    }
    const own = weightsOf.get(operator.name)!;
    const { source: name = own, share = 1 } = graph.tensors.get(own) ?? {};
    return [{ name, operator, dims: folded.tensors.get(operator.tensors[0]!)!.dims, outDims, share }];
  });
  return { other, products };
}
