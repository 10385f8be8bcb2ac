/**
 * @secateur/solvers-chita: combinatorial pruning on gradients.
 * @packageDocumentation
 */

export { type ChitaOptions, chita, chitaSelector } from "./chita.ts";
export type { CoordinateDescentOptions } from "./published/coordinate-descent.ts";
export type { IhtOptions } from "./published/iht.ts";
export {
  type BlockOptions,
  type BsoOptions,
  chitaBlock,
  chitaBso,
  chitaCd,
  chitaIht,
  ridgeRefit,
} from "./published/named-solvers.ts";
