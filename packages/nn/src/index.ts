/**
 * @secateur/nn: small networks as data, with batched forward and backward, per-example gradients and training with masks.
 * @packageDocumentation
 */

export type { OptimizerSpec } from "@secateur/core";
export { architecture, architectureNames } from "./architectures/architectures.ts";
export { assertData } from "./assert-data.ts";
export {
  type ChosenWeights,
  chooseDense,
  chooseWeights,
  type NamedWeight,
} from "./graph/keep-dense.ts";
export type {
  ActivationSpec,
  BatchNormSpec,
  Conv2dSpec,
  DenseSpec,
  DropoutSpec,
  JoinSpec,
  LayerNormSpec,
  LayerSpec,
  LogSoftmaxSpec,
  PoolSpec,
  ReluSpec,
  ReshapeSpec,
  ShortcutSpec,
} from "./graph/layer-spec.ts";
export { macsPerExample } from "./graph/macs.ts";
export { mlp } from "./graph/mlp.ts";
export type { ImageLayout, NetworkSpec } from "./graph/network-spec.ts";
export { type ParamSpec, paramSpecs, type TensorSpec, tensorSpecs } from "./graph/param-specs.ts";
export type { WeightLayout } from "./graph/weight-layout.ts";
export { createNetwork, type Network, type WeightTensor } from "./network.ts";
export type { Augmentation } from "./training/augmentation.ts";
export { reestimateBatchNorm } from "./training/batch-norm-statistics.ts";
export { constant, cosine, type LearningRate, oneCycle, stepwise } from "./training/learning-rate.ts";
export { createRetrainer, type RetrainerOptions } from "./training/retrainer.ts";
export { type TrainOptions, type TrainReport, train } from "./training/train.ts";
export type { TrainingState } from "./training/training-state.ts";
