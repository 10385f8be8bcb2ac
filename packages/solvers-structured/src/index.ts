/**
 * @secateur/solvers-structured: whole groups of weights, such as channels: OSSCAR, structured OBS, Taylor scores.
 * @packageDocumentation
 */
export { type OsscarOptions, osscar } from "./osscar.ts";
export { type StructuredObsOptions, structuredObs } from "./structured-obs.ts";
export { type TaylorOptions, taylor, taylorSelector } from "./taylor.ts";
