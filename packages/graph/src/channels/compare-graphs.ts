/** Whether two graphs compute the same: both are run on random inputs. */
import { createPool, createRng, isPruneError, type Kernels, type Rng } from "@secateur/core";
import type { GraphSpec } from "../graph-spec.ts";
import { planGraph } from "../plan/plan.ts";
import { runGraph } from "../run/run-graph.ts";
import { type Kind, kindOfDtype, type Numbers, numbersOf, type Shape, sizeOf, type Value } from "../value.ts";
import type { ChannelSpec } from "./trace-channels.ts";

/** By how much two graphs differ. */
export interface GraphDifference {
  /** The largest difference as a share of the largest magnitude of its output, over all outputs; Infinity where only one of both is a number, or the second does not run. */
  readonly relative: number;
  /** The share of numbers of the outputs that are finite in the first. */
  readonly finite: number;
  /** Operations of a run: of the first, of the second. */
  readonly flops: readonly [number, number];
}

/**
 * Runs two graphs of equal inputs and outputs in f32. The cost of a run each.
 *
 * @param spec.shapes - of all inputs
 * @param spec.seed - draws the inputs: standard normal numbers, whole ones from 0 to 3
 * @param spec.isPositive - whether magnitudes are taken, from a tenth on: for graphs that take roots and logarithms
 * @throws what planning and running the first throws
 */
export function compareGraphs(
  spec: ChannelSpec & {
    readonly other: GraphSpec;
    readonly kernels: Kernels;
    readonly seed: number;
    readonly isPositive?: boolean;
  },
): GraphDifference {
  const { graph, other, opsets, shapes, kernels, seed, isPositive = false } = spec;
  const kinds = new Map(graph.inputs.map(({ name, dtype }) => [name, kindOfDtype(dtype) ?? ("real" as Kind)] as const));
  const inputs = randomInputs({ shapes, kinds, rng: createRng(seed), isPositive });
  const run = (own: GraphSpec): { readonly outputs: ReadonlyMap<string, Value>; readonly flops: number } => {
    const plan = planGraph({ graph: own, opsets, params: [], dtype: "f32", inputs: shapes, kinds });
    return { outputs: runGraph({ plan, inputs, pool: createPool(kernels, "f32") }), flops: plan.flops };
  };
  const one = run(graph);
  let two: ReturnType<typeof run>;
  try {
    two = run(other);
  } catch (error) {
    if (!isPruneError(error)) throw error;
    return { relative: Number.POSITIVE_INFINITY, finite: 1, flops: [one.flops, Number.NaN] };
  }
  let [relative, finite, all] = [0, 0, 0];
  for (const [name, { data, shape }] of one.outputs) {
    const given = two.outputs.get(name);
    const isSame = given?.shape.join() === shape.join();
    relative = Math.max(relative, isSame ? relativeDifference(data, given.data) : Number.POSITIVE_INFINITY);
    for (const value of data) if (Number.isFinite(value)) finite++;
    all += data.length;
  }
  return { relative, finite: all === 0 ? 0 : finite / all, flops: [one.flops, two.flops] };
}

/** Of one output. */
function relativeDifference(a: Numbers, b: Numbers): number {
  let [largest, scale] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    if (Number.isFinite(a[i])) scale = Math.max(scale, Math.abs(a[i]!));
    if (Object.is(a[i], b[i])) continue;
    const difference = Math.abs(a[i]! - b[i]!);
    largest = Math.max(largest, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
  }
  return largest === 0 ? 0 : largest / scale;
}

function randomInputs(spec: {
  readonly shapes: ReadonlyMap<string, Shape>;
  readonly kinds: ReadonlyMap<string, Kind>;
  readonly rng: Rng;
  readonly isPositive: boolean;
}): ReadonlyMap<string, Value> {
  const { shapes, kinds, rng, isPositive } = spec;
  const real = (): number => (isPositive ? 0.1 + Math.abs(rng.normal()) : rng.normal());
  return new Map(
    [...shapes].map(([name, shape]) => {
      const kind = kinds.get(name) ?? "real";
      const data = numbersOf(kind, sizeOf(shape), "f32");
      for (let i = 0; i < data.length; i++) data[i] = kind === "real" ? real() : rng.integer(kind === "truth" ? 2 : 4);
      return [name, { kind, shape, data }] as const;
    }),
  );
}
