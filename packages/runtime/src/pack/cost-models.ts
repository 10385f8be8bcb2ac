/**
 * What a network would take packed, by what is kept of its weights: bytes of masks and values before compression (the header, some dozen
 * bytes a layer, does not count), and milliseconds for one example on one thread. Data that core's budgets of bytes and
 * milliseconds are counted with.
 */
import { fold } from "../plan/fold.ts";
import { productOf } from "../plan/value.ts";
import { valueDims } from "../plan/value-dims.ts";
import { type CostTable, defaultCosts, kernelWays } from "./costs.ts";
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

/** A value a kept weight and a bit a weight, or a value a weight; biases as they are stored; whole numbers have a scale of f32 an output. */
function byteModel(graph: PackGraph, values: PackedValues): CostModel {
  const params: Record<string, readonly CostWay[]> = {};
  let other = 0;
  const small = smallTensor(graph.tensors.values());
  for (const [name, tensor] of graph.tensors) {
    const { dims, data, exact } = tensor;
    const type = storedType(tensor, { values, small });
    const each = valueBytes[type];
    if (dims.length < 2 || exact) {
      other += each * data.length;
      continue;
    }
    if (fileType(type).startsWith("int")) other += 4 * dims[0]!;
    params[tensor.source ?? name] = [
      { fixed: Math.ceil(each * data.length), each: 0, outputs: 1 },
      { fixed: Math.ceil(data.length / 8), each, outputs: 1 },
    ];
  }
  return { other, params };
}

function timeModel(graph: PackGraph, costs: CostTable = defaultCosts): CostModel {
  const folded = fold(graph, 1);
  const dims = valueDims({ ...graph, ...folded }, 1);
  const weightsOf = new Map(graph.operators.map(({ name, tensors }) => [name, tensors[0]]));
  const params: Record<string, readonly CostWay[]> = {};
  let other = 0;
  for (const operator of folded.operators) {
    const outDims = dims.get(operator.output)!;
    if (operator.op !== "Conv" && operator.op !== "Gemm") {
      other += (productOf(outDims) * costs.number) / 1e6;
      continue;
    }
    const weights = folded.tensors.get(operator.tensors[0]!)!;
    const name = weightsOf.get(operator.name)!;
    const source = graph.tensors.get(name)?.source ?? name;
    // Weights that several operators read, such as the steps of a recurrent layer, cost in each of them.
    const before = params[source];
    params[source] = kernelWays(operator, weights.dims, outDims, costs).map(({ fixed, each, outputs }, w) => ({
      fixed: fixed + (before?.[w]?.fixed ?? 0),
      each: each + (before?.[w]?.each ?? 0),
      outputs,
    }));
  }
  return { other, params };
}
