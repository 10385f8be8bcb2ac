/**
 * @secateur/solvers-chita: combinatorial pruning on gradients.
 * @packageDocumentation
 */

export { type ChitaOptions, chita, chitaSelector } from "./chita.ts";
export { type BlockOptions, blockRanges } from "./published/block-refit.ts";
export type { CoordinateDescentOptions } from "./published/coordinate-descent.ts";
export type { IhtOptions } from "./published/iht.ts";
export { type BsoOptions, chitaBlock, chitaBso, chitaCd, chitaIht, ridgeRefit } from "./published/named-solvers.ts";
export type { RefitForm } from "./refit/refit.ts";
