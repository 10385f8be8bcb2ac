/** A graph into a file: kernels chosen by what they would take, then the bytes. */
import { notPackable, quoted } from "../errors.ts";
import type { PackedOperator } from "../file/packed-model.ts";
import { fold } from "../plan/fold.ts";
import { productOf } from "../plan/value.ts";
import { valueDims } from "../plan/value-dims.ts";
import { type CostTable, defaultCosts, kernelTimes } from "./costs.ts";
import { type EncodeOptions, encodePacked } from "./encode-packed.ts";
import type { PackGraph } from "./pack-graph.ts";

/** One step of the packed network, after folding. */
export interface PackedLayer {
  readonly name: string;
  readonly op: string;
  /** For products: how it runs. */
  readonly kernel?: string;
  readonly weights: number;
  readonly nonzeros: number;
  /** Milliseconds for one example on one thread by the chosen kernel, and by the dense one. */
  readonly expectedMs: number;
  readonly denseMs: number;
}

/** A packed network. */
export interface PackResult {
  readonly bytes: Uint8Array;
  /** The graph with its kernels, for other encodings of it. */
  readonly graph: PackGraph;
  readonly layers: readonly PackedLayer[];
}

/** A kernel that leaves zeros out has to promise this share of the dense one's time at most: closer, the table decides by chance. */
const worthwhile = 0.85;

/**
 * Packs a graph: per operator with weights the kernel that takes the least time, and the bytes of the file.
 *
 * @param options.costs - of the machine that will run it; default: `defaultCosts`
 * @throws ERR_PACKED_GRAPH where the graph could not be run
 */
export async function packGraph(
  graph: PackGraph,
  options: EncodeOptions & { readonly costs?: CostTable } = {},
): Promise<PackResult> {
  const { costs = defaultCosts, ...encoding } = options;
  assertNames(graph);
  const folded = fold(graph, 1);
  const dims = valueDims({ ...graph, ...folded }, 1);
  const kernels = new Map<string, PackedOperator["kernel"]>();
  const layers = folded.operators.map((operator): PackedLayer => {
    const outDims = dims.get(operator.output)!;
    const about = { name: operator.name, op: operator.op };
    const weights =
      operator.op === "Conv" || operator.op === "Gemm" ? folded.tensors.get(operator.tensors[0]!)! : undefined;
    if (!weights) {
      const ms = (productOf(outDims) * costs.number) / 1e6;
      return { ...about, weights: 0, nonzeros: 0, expectedMs: ms, denseMs: ms };
    }
    const times = kernelTimes(operator, weights, outDims, costs);
    const dense = times.find(({ kernel }) => kernel === "dense")!;
    const fastest = times.reduce((least, time) => (time.ms < least.ms ? time : least));
    const isWorthwhile = fastest.ms < worthwhile * dense.ms;
    const { kernel } = isWorthwhile ? fastest : dense;
    kernels.set(operator.name, kernel);
    return {
      ...about,
      kernel,
      weights: weights.data.length,
      nonzeros: weights.data.reduce((sum, value) => sum + Number(value !== 0), 0),
      expectedMs: fastest.ms,
      denseMs: dense.ms,
    };
  });
  const operators = graph.operators.map((operator) => {
    const kernel = kernels.get(operator.name);
    return kernel && (operator.op === "Conv" || operator.op === "Gemm") ? { ...operator, kernel } : operator;
  });
  const chosen = { ...graph, operators };
  return { bytes: await encodePacked(chosen, encoding), graph: chosen, layers };
}

/** By their names operators are told which kernel to take. @throws ERR_PACKED_GRAPH */
function assertNames({ operators }: PackGraph): void {
  const names = new Set<string>();
  for (const { name } of operators) {
    if (names.has(name)) throw notPackable(`operator ${quoted(name)}`, "several have this name", "give each its own");
    names.add(name);
  }
}
