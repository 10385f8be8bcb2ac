/**
 * @secateur/sparse-training: rules that prune while a network trains.
 * @packageDocumentation
 */
export { type GmpOptions, gmp } from "./gmp.ts";
