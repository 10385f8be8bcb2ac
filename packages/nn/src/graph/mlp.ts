import { badNetwork } from "../errors.ts";
import { graphOf } from "./graph.ts";
import type { LayerSpec } from "./layer-spec.ts";
import type { NetworkSpec } from "./network-spec.ts";

/**
 * A multi-layer perceptron: dense layers fc1, fc2, ... with ReLU between them and log-softmax at the end.
 *
 * @param spec.sizes - features of the input, hidden widths, classes; at least two numbers
 * @param spec.bias - default true
 * @param spec.name - default "mlp"
 * @param spec.inputShape - default [sizes[0]]
 * @throws ERR_NETWORK
 * @example
 * const spec = mlp({ sizes: [784, 40, 20, 10], bias: false });
 */
export function mlp(spec: {
  sizes: readonly number[];
  bias?: boolean;
  name?: string;
  inputShape?: readonly number[];
}): NetworkSpec {
  const { sizes, bias = true, name = "mlp" } = spec;
  if (sizes.length < 2)
    throw badNetwork(name, `it has ${sizes.length} sizes; give at least the input's and the classes`);
  const layers: LayerSpec[] = [];
  for (let i = 1; i < sizes.length; i++) {
    if (i > 1) layers.push({ kind: "relu" });
    layers.push({ kind: "dense", name: `fc${i}`, in: sizes[i - 1]!, out: sizes[i]!, bias });
  }
  layers.push({ kind: "log-softmax" });
  const network = { name, inputShape: spec.inputShape ?? [sizes[0]!], classes: sizes[sizes.length - 1]!, layers };
  assertNetwork(network);
  return network;
}

/** @throws ERR_NETWORK when the layers do not fit together from the input to the classes */
export function assertNetwork(network: NetworkSpec): void {
  graphOf(network);
}
