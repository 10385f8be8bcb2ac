import type { NamedTensor } from "@secateur/formats";
import type { Network } from "@secateur/nn";
import { lowerNetwork, type PackGraph } from "@secateur/runtime/pack";

/** A network's operators and tensors, as a packer takes them. */
export function networkGraph(network: Network): PackGraph {
  const tensors = network
    .tensors()
    .map(({ name, shape, data }) => [name, { dims: shape, data: Float32Array.from(data) }] as const);
  return lowerNetwork(network.spec, new Map(tensors));
}

/** Tensors of a checkpoint of f32. */
export function namedTensors(
  tensors: ReadonlyMap<string, { readonly dims: readonly number[]; readonly data: Float32Array }>,
): NamedTensor[] {
  return [...tensors].map(([name, { dims, data }]) => ({ name, shape: dims, dtype: "f32", data }));
}
