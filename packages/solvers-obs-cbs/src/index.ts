/**
 * @secateur/solvers-obs-cbs: the Brain Surgeon family, from OBD to the Combinatorial Brain Surgeon.
 * @packageDocumentation
 */
export { type CbsOptions, type CbsSolverOptions, cbs, cbsSelector } from "./cbs.ts";
export type { CbsSearchOptions } from "./cbs-search.ts";
export { type JointUpdateOptions, jointUpdate, type UpdateForm } from "./joint-update.ts";
export { obd, obdSaliency } from "./obd.ts";
export { type ObsOptions, obs } from "./obs.ts";
export type { InverseBlockSize } from "./obs-inverses.ts";
export { default } from "./plugin.ts";
export type { BlockSize } from "./weight-ranges.ts";
export {
  jointUpdater,
  type ObsUpdate,
  singleUpdater,
  type WoodfisherOptions,
  woodfisher,
  woodfisherSaliency,
  woodfisherSelector,
} from "./woodfisher.ts";
