/**
 * @secateur/runtime/pack: makes packed networks. What is needed only to run one is in @secateur/runtime itself.
 * @packageDocumentation
 */

export { calibrate } from "./pack/calibrate.ts";
export {
  type CostModel,
  type CostWay,
  costModels,
  type DenseCost,
  type DenseCosts,
  denseCosts,
} from "./pack/cost-models.ts";
export { type CostTable, defaultCosts } from "./pack/costs.ts";
export { type EncodeOptions, encodePacked } from "./pack/encode-packed.ts";
export { type LayeredNetwork, lowerNetwork, type NetworkLayer } from "./pack/lower-network.ts";
export { lowerOnnx, packableOperators } from "./pack/onnx/lower-onnx.ts";
export type { OnnxLikeGraph, OnnxLikeNode, OnnxLikeTensor } from "./pack/onnx/lowering.ts";
export { type AtBatch, batchPair, openBatch } from "./pack/open-batch.ts";
export type { DenseTensor, PackGraph } from "./pack/pack-graph.ts";
export { type PackedLayer, type PackResult, packGraph } from "./pack/pack-graph-file.ts";
export type { PackedValues } from "./pack/packed-values.ts";
export { valueDims } from "./plan/value-dims.ts";
