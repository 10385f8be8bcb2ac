/**
 * @secateur/solvers-obs-cbs: the Brain Surgeon family, from OBD to the Combinatorial Brain Surgeon.
 * @packageDocumentation
 */
export { type CbsOptions, type CbsSolverOptions, cbs, cbsSelector } from "./cbs/cbs.ts";
export type { CbsSearchOptions } from "./cbs/cbs-search.ts";
export { obd, obdSaliency } from "./obs/obd.ts";
export { type ObsOptions, obs } from "./obs/obs.ts";
export type { InverseBlockSize } from "./obs/obs-inverses.ts";
export {
  jointUpdater,
  type ObsUpdate,
  singleUpdater,
  type WoodfisherOptions,
  woodfisher,
  woodfisherSaliency,
  woodfisherSelector,
} from "./obs/woodfisher.ts";
export { type JointUpdateOptions, jointUpdate } from "./update/joint-update.ts";
