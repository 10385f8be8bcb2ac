/**
 * @secateur/solvers-chita: combinatorial pruning on gradients.
 * @packageDocumentation
 */

export { type ChitaOptions, chita, chitaSelector } from "./chita.ts";
export { type ChitaByColumnsSpec, type ColumnSolution, chitaByColumns } from "./columns/chita-by-columns.ts";
export { type ColumnShard, type ColumnShardSpec, columnShard, columnShardMethods } from "./columns/column-shard.ts";
export { assertSolvedByColumns } from "./columns/column-space.ts";
export { type ColumnRows, cutPanels, type PanelRange, panelColumns } from "./columns/panels.ts";
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
