/**
 * @secateur/solvers-layerwise: pruning layer by layer from the layers' own inputs.
 * @packageDocumentation
 */

export type { EvolutionOptions } from "./allocation/evolve.ts";
export { type LayerAllocation, layerAllocations } from "./allocation/share-budget.ts";
export { asksForTraces, type LayerTraces, type TraceSpec, traceLosses } from "./allocation/trace-losses.ts";
export { type AlpsOptions, alps } from "./methods/alps.ts";
export { dsnot, dsnotSelector } from "./methods/dsnot.ts";
export { type LayerwiseOptions, layerwise } from "./methods/layerwise.ts";
export { type ObcOptions, obc, obcTrace } from "./methods/obc.ts";
export { type SparseGptOptions, sparseGpt } from "./methods/sparse-gpt.ts";
export { sparseSwaps, sparseSwapsSelector } from "./methods/sparse-swaps.ts";
export { rowRefit } from "./methods/updater.ts";
export { type WandaOptions, wanda, wandaSaliency } from "./methods/wanda.ts";
export { type LayerLoopOptions, layerLoop } from "./network/layer-loop.ts";
export { type BiasMatcher, type BiasRequest, biasMatcher } from "./network/match-biases.ts";
export type { FittedOffsets } from "./network/offsets.ts";
export { type PruneLayersRequest, type PruneLayersResult, pruneLayers } from "./network/prune-layers.ts";
export { assertBlocks, type BlockRefitOptions } from "./network/refit-blocks.ts";
