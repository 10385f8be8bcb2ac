import type { LayerLoop } from "@secateur/core";
import { type PruneLayersRequest, pruneLayers } from "./prune-layers.ts";

/** How layers share a budget, what they are to match, and whether blocks are re-fitted. */
export type LayerLoopOptions = Pick<
  PruneLayersRequest,
  "offsets" | "allocation" | "evolution" | "heldOut" | "match" | "atOnce" | "traces" | "blocks"
>;

/**
 * {@link pruneLayers} for the stages of core's `prune`, so that layers are pruned in rounds with training, too.
 *
 * @example
 * await prune({ model, data, solver: layerwise(), sparsity: 0.6, layers: { loop: layerLoop(), curvature: activations() } });
 */
export function layerLoop(options: LayerLoopOptions = {}): LayerLoop {
  return { settings: options, prune: (request, ctx) => pruneLayers({ ...request, ...options }, ctx) };
}
