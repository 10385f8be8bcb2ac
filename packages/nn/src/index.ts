/**
 * @secateur/nn: small networks as data, with batched forward and backward, per-example gradients and training with masks.
 * @packageDocumentation
 */

export { architecture, architectureNames } from "./architectures.ts";
export { assertData } from "./assert-data.ts";
export { createNetwork, type Network, type WeightTensor } from "./network.ts";
export {
  type DenseSpec,
  type LayerSpec,
  type LogSoftmaxSpec,
  mlp,
  type NetworkSpec,
  type ParamSpec,
  paramSpecs,
  type ReluSpec,
} from "./network-spec.ts";
export { oneCycle, type TrainOptions, type TrainReport, train } from "./train.ts";
