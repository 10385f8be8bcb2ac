/**
 * Statistics of batch normalisation after pruning. With m, v the mean and variance that a channel had on some examples before, m', v' what it
 * has now on the same ones, and M, V those in the file,
 *   V' = V v' / v,   (m' - M') / sqrt(V') = (m - M) / sqrt(V)
 * so that what leaves the normalisation has the mean and variance it had. Measuring M', V' outright (as after training) would need the random changes of
 * images that training used, which a file does not tell; differences on the same examples do not.
 */
import { createPool, type Dataset, type RunContext, sampleIndices, throwIfAborted, type Vec } from "@secateur/core";
import type { GraphSpec, GraphTensor } from "../graph-spec.ts";
import { startGraph } from "../run/run-graph.ts";
import { tensorValue, type Value } from "../value.ts";
import type { GraphState } from "./graph-state.ts";
import { passOf, passSize } from "./passes.ts";

/** A batch normalisation whose statistics no other node has. */
export interface Norm {
  /** Name of its output. */
  readonly name: string;
  readonly mean: Statistic;
  readonly variance: Statistic;
}

/** One of its two tensors. */
export interface Statistic {
  readonly tensor: GraphTensor;
  /** Numbers as they are now: what every plan reads. */
  readonly live: Value;
  /** As the file has them. */
  readonly original: Vec;
}

/** The names that a model reads and writes the two by. */
export function statisticNames({ name }: Pick<Norm, "name">): { readonly mean: string; readonly variance: string } {
  return { mean: `${name}.running_mean`, variance: `${name}.running_var` };
}

/** Mean and variance of every channel at every normalisation, by its name. */
export type ChannelStatistics = ReadonlyMap<string, { readonly mean: Float64Array; readonly variance: Float64Array }>;

/** The normalisations of a graph. */
export function findNorms(graph: GraphSpec, dtype: "f32" | "f64"): readonly Norm[] {
  const tensors = new Map(graph.initializers.map((tensor) => [tensor.name, tensor] as const));
  for (const { op, inputs, outputs, attributes } of graph.nodes) {
    const value = attributes.value;
    if (op === "Constant" && typeof value === "object" && "dtype" in value) tensors.set(outputs[0]!, value);
    const same = op === "Identity" ? tensors.get(inputs[0]!) : undefined;
    if (same) tensors.set(outputs[0]!, same);
  }
  const norms = graph.nodes.filter(({ op }) => op === "BatchNormalization");
  const uses = new Map<GraphTensor, number>();
  for (const { inputs } of graph.nodes) {
    for (const name of inputs) {
      const tensor = tensors.get(name);
      if (tensor) uses.set(tensor, (uses.get(tensor) ?? 0) + 1);
    }
  }
  return norms.flatMap(({ inputs, outputs }): readonly Norm[] => {
    const [mean, variance] = [tensors.get(inputs[3]!), tensors.get(inputs[4]!)];
    if (!mean || !variance || uses.get(mean) !== 1 || uses.get(variance) !== 1) return [];
    const statistic = (tensor: GraphTensor): Statistic => {
      const live = tensorValue(tensor, dtype)!;
      return { tensor, live, original: (live.data as Vec).slice() };
    };
    return [{ name: outputs[0]!, mean: statistic(mean), variance: statistic(variance) }];
  });
}

/** Numbers that waiting batches may hold: 512 MiB of f32. */
const waitingNumbers = 128 * 1024 * 1024;

/**
 * Measures the channels in front of every normalisation, in the order of the graph. Time: a forward pass.
 *
 * @param options.examples - how many, drawn with the context's generator: the same for the same data and seed; default 1024
 * @param options.reference - statistics to match: each normalisation is corrected before what follows it is measured
 */
export async function measureChannels(
  state: GraphState,
  data: Dataset,
  { ctx, examples = 1024, reference }: { ctx: RunContext; examples?: number; reference?: ChannelStatistics },
): Promise<ChannelStatistics> {
  const pool = createPool(ctx.kernels, state.dtype);
  try {
    const size = await passSize(state, data);
    const first = passOf(state, await data.batch(Uint32Array.of(0)), 0);
    const most = Math.max(size, Math.floor((waitingNumbers * first.fed) / first.plan.size));
    const chosen = sampleIndices(data.size, Math.min(examples, most, data.size), ctx.rng.fork("channel statistics"));
    const runs: { pass: ReturnType<typeof passOf>; run: ReturnType<typeof startGraph> }[] = [];
    for (let start = 0; start < chosen.length; start += size) {
      const pass = passOf(state, await data.batch(chosen.subarray(start, start + size)), start);
      runs.push({ pass, run: startGraph({ ...pass, pool }) });
    }
    const found = new Map<string, { mean: Float64Array; variance: Float64Array }>();
    const byName = new Map(state.norms.map((norm) => [norm.name, norm]));
    const names = first.plan.steps.flatMap(({ node }) => (byName.has(node.outputs[0]!) ? [node.outputs[0]!] : []));
    for (const [i, name] of names.entries()) {
      throwIfAborted(ctx.signal);
      const channels = byName.get(name)!.mean.original.length;
      const [first, sum, squares] = [0, 0, 0].map(() => new Float64Array(channels)) as [
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      const sums: Sums = { count: 0, first, sum, squares };
      for (const { pass, run } of runs) {
        const s = pass.plan.steps.findIndex(({ node }) => node.outputs[0] === name);
        run.advance(s);
        const { data: values } = run.values[pass.plan.steps[s]!.inputs[0]!]!;
        addChannels(sums, values.subarray(0, (values.length / pass.fed) * pass.count) as Vec);
      }
      const statistics = finished(sums);
      found.set(name, statistics);
      const before = reference?.get(name);
      if (before) match(byName.get(name)!, before, statistics);
      await ctx.tick({ task: "batch-norm", done: i + 1, total: names.length });
    }
    return found;
  } finally {
    pool.close();
  }
}

/** Sums of the differences from the first number of each channel: a channel that gives one number only has a variance of 0, not of rounding. */
interface Sums {
  count: number;
  readonly first: Float64Array;
  readonly sum: Float64Array;
  readonly squares: Float64Array;
}

/** Adds numbers [positions, channels]. */
function addChannels(sums: Sums, values: Vec): void {
  const { first, sum, squares } = sums;
  const channels = first.length;
  if (sums.count === 0) for (let c = 0; c < channels; c++) first[c] = values[c] ?? 0;
  for (let i = 0; i < values.length; ) {
    for (let c = 0; c < channels; c++, i++) {
      const difference = values[i]! - first[c]!;
      sum[c]! += difference;
      squares[c]! += difference * difference;
    }
  }
  sums.count += values.length / channels;
}

function finished({ count, first, sum, squares }: Sums) {
  const mean = sum.map((total, c) => first[c]! + total / count);
  const variance = squares.map((total, c) => Math.max(0, total / count - (sum[c]! / count) ** 2));
  return { mean, variance };
}

/** Below this share of what it was a variance is rounding, and to make up for it would be to enlarge that a thousand times. */
const leastVariance = 1e-6;

/** A channel that gives one number only keeps its variance: nothing can be learnt of it. */
function match(
  norm: Norm,
  before: { mean: Float64Array; variance: Float64Array },
  now: { mean: Float64Array; variance: Float64Array },
): void {
  const { mean, variance } = norm;
  for (let c = 0; c < mean.original.length; c++) {
    const isKnown = now.variance[c]! > leastVariance * before.variance[c]! && before.variance[c]! > 0;
    const ratio = isKnown ? now.variance[c]! / before.variance[c]! : 1;
    variance.live.data[c] = variance.original[c]! * ratio;
    const [M, m] = [mean.original[c]!, before.mean[c]!];
    // In this order nothing is rounded where nothing changed.
    mean.live.data[c] = M + (now.mean[c]! - m) + (m - M) * (1 - Math.sqrt(ratio));
  }
}
