/**
 * @secateur/nn: small networks as data, with batched forward and backward, per-example gradients and training with masks.
 * @packageDocumentation
 */

export { architecture, architectureNames } from "./architectures.ts";
export { assertData } from "./assert-data.ts";
export type { Augmentation } from "./augmentation.ts";
export { reestimateBatchNorm } from "./batch-norm-statistics.ts";
export { chooseDense, keepDenseWords } from "./keep-dense.ts";
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
} from "./layer-spec.ts";
export { constant, cosine, type LearningRate, oneCycle, stepwise } from "./learning-rate.ts";
export { macsPerExample } from "./macs.ts";
export { createNetwork, type Network, type WeightTensor } from "./network.ts";
export { type ImageLayout, mlp, type NetworkSpec } from "./network-spec.ts";
export type { OptimizerSpec } from "./optimizer.ts";
export { type ParamSpec, paramSpecs, type TensorSpec, tensorSpecs } from "./param-specs.ts";
export { createRetrainer, type RetrainerOptions } from "./retrainer.ts";
export { type TrainOptions, type TrainReport, train } from "./train.ts";
export type { TrainingState } from "./training-state.ts";
export type { WeightLayout } from "./weight-layout.ts";
