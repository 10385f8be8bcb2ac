/** Whether two graphs compute the same: both are run on random inputs. */
import { createPool, createRng, type Kernels, type Rng } from "@secateur/core";
import type { GraphSpec } from "../graph-spec.ts";
import { planGraph } from "../plan/plan.ts";
import { runGraph } from "../run/run-graph.ts";
import { type Kind, kindOfDtype, numbersOf, type Shape, sizeOf, type Value } from "../value.ts";
import type { ChannelSpec } from "./trace-channels.ts";

/** By how much two graphs differ. */
export interface GraphDifference {
  /** The largest difference of any output, 0 where both are the same number or neither is finite. */
  readonly largest: number;
  /** The largest magnitude of the outputs of the first. */
  readonly scale: number;
  /** Operations of a run: of the first, of the second. */
  readonly flops: readonly [number, number];
}

/**
 * Runs two graphs of equal inputs and outputs in f32. The cost of a run each.
 *
 * @param spec.shapes - of all inputs
 * @param spec.seed - draws the inputs: standard normal numbers, whole ones from 0 to 3
 */
export function compareGraphs(
  spec: ChannelSpec & { readonly other: GraphSpec; readonly kernels: Kernels; readonly seed: number },
): GraphDifference {
  const { graph, other, opsets, shapes, kernels, seed } = spec;
  const kinds = new Map(graph.inputs.map(({ name, dtype }) => [name, kindOfDtype(dtype) ?? ("real" as Kind)] as const));
  const inputs = randomInputs(shapes, kinds, createRng(seed));
  const [one, two] = [graph, other].map((own) => {
    const plan = planGraph({ graph: own, opsets, params: [], dtype: "f32", inputs: shapes, kinds });
    const pool = createPool(kernels, "f32");
    const outputs = runGraph({ plan, inputs, pool });
    return { outputs, flops: plan.flops };
  }) as [
    { outputs: ReadonlyMap<string, Value>; flops: number },
    { outputs: ReadonlyMap<string, Value>; flops: number },
  ];
  let [largest, scale] = [0, 0];
  for (const [name, { data, shape }] of one.outputs) {
    const given = two.outputs.get(name);
    if (given?.shape.join() !== shape.join())
      return { largest: Number.POSITIVE_INFINITY, scale, flops: [one.flops, two.flops] };
    for (let i = 0; i < data.length; i++) {
      const [a, b] = [data[i]!, given.data[i]!];
      if (Object.is(a, b)) continue;
      const difference = Math.abs(a - b);
      largest = Math.max(largest, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
      if (Number.isFinite(a)) scale = Math.max(scale, Math.abs(a));
    }
    for (const a of data) if (Number.isFinite(a)) scale = Math.max(scale, Math.abs(a));
  }
  return { largest, scale, flops: [one.flops, two.flops] };
}

function randomInputs(
  shapes: ReadonlyMap<string, Shape>,
  kinds: ReadonlyMap<string, Kind>,
  rng: Rng,
): ReadonlyMap<string, Value> {
  return new Map(
    [...shapes].map(([name, shape]) => {
      const kind = kinds.get(name) ?? "real";
      const data = numbersOf(kind, sizeOf(shape), "f32");
      for (let i = 0; i < data.length; i++)
        data[i] = kind === "real" ? rng.normal() : rng.integer(kind === "truth" ? 2 : 4);
      return [name, { kind, shape, data }] as const;
    }),
  );
}
