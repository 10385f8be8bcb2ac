/**
 * @secateur/solvers-layerwise: pruning layer by layer from the layers' own inputs.
 * @packageDocumentation
 */
export { type AlpsOptions, alps } from "./alps.ts";
export { dsnot, dsnotSelector } from "./dsnot.ts";
export { type LayerLoopOptions, layerLoop } from "./layer-loop.ts";
export { type LayerwiseOptions, layerwise } from "./layerwise.ts";
export { obc, obcTrace } from "./obc.ts";
export { type PruneLayersRequest, type PruneLayersResult, pruneLayers } from "./prune-layers.ts";
export type { BlockRefitOptions } from "./refit-blocks.ts";
export { type LayerAllocation, layerAllocations } from "./share-budget.ts";
export { type SparseGptOptions, sparseGpt } from "./sparse-gpt.ts";
export { sparseSwaps, sparseSwapsSelector } from "./sparse-swaps.ts";
export { rowRefit } from "./updater.ts";
export { type WandaOptions, wanda, wandaSaliency } from "./wanda.ts";
