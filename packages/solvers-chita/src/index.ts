/**
 * @secateur/solvers-chita: combinatorial pruning on gradients.
 * @packageDocumentation
 */
export { type BlockOptions, blockRanges } from "./block-refit.ts";
export { type ChitaOptions, chita, chitaSelector } from "./chita.ts";
export type { CoordinateDescentOptions } from "./coordinate-descent.ts";
export type { IhtOptions } from "./iht.ts";
export { type BsoOptions, chitaBlock, chitaBso, chitaCd, chitaIht, ridgeRefit } from "./named-solvers.ts";
export { default } from "./plugin.ts";
export type { RefitForm } from "./refit.ts";
