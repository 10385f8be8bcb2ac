/**
 * @secateur/runtime/pack: makes packed networks. What is needed only to run one is in @secateur/runtime itself.
 * @packageDocumentation
 */

export { type EncodeOptions, encodePacked } from "./pack/encode-packed.ts";
export { fold } from "./pack/fold.ts";
export { type LayeredNetwork, lowerNetwork, type NetworkLayer } from "./pack/lower-network.ts";
export type { DenseTensor, PackGraph } from "./pack/pack-graph.ts";
