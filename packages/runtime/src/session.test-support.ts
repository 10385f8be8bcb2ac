/** Networks of @secateur/nn with random weights and masks, packed, and what nn itself computes. */
import { createRunContext } from "@secateur/core";
import { createNetwork, type NetworkSpec, tensorSpecs } from "@secateur/nn";
import { type DenseTensor, type EncodeOptions, encodePacked, type PackGraph } from "./pack.ts";

/** Numbers in (-1, 1) that are the same every time. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** Tensors of a network: weights as He et al. scale them, a share of them zero; running statistics that are no identity. */
export function randomTensors(spec: NetworkSpec, sparsity: number, seed = 1): Map<string, DenseTensor> {
  const random = randomNumbers(seed);
  return new Map(
    tensorSpecs(spec).map(({ name, shape }) => {
      const size = shape.reduce((product, extent) => product * extent, 1);
      const fanIn = size / (shape[0] ?? 1);
      const isWeight = shape.length > 1;
      const isVariance = name.endsWith("running_var") || (name.endsWith("weight") && !isWeight);
      const data = Float32Array.from({ length: size }, () => {
        const value = random();
        if (isWeight) return (random() + 1) / 2 < sparsity ? 0 : value * Math.sqrt(6 / (fanIn * (1 - sparsity)));
        return isVariance ? 1 + 0.5 * value : 0.2 * value;
      });
      return [name, { dims: shape, data }];
    }),
  );
}

/** The packed file of a network. */
export function packed(graph: PackGraph, options?: EncodeOptions): Promise<Uint8Array> {
  return encodePacked(graph, options);
}

/** Logits that nn computes, [examples, classes], in f64. */
export async function logitsOf(
  spec: NetworkSpec,
  tensors: ReadonlyMap<string, DenseTensor>,
  inputs: Float32Array,
  examples: number,
): Promise<Float64Array> {
  const weights = [...tensors].map(([name, { dims, data }]) => ({ name, shape: dims, data }));
  const network = createNetwork(spec, { weights, dtype: "f64" });
  const batch = { size: examples, inputs: { input: { shape: [examples, ...spec.inputShape], data: inputs } } };
  return (await network.run(batch, createRunContext()))["output"]!.data as Float64Array;
}
