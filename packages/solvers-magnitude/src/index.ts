/**
 * @secateur/solvers-magnitude: keep the largest weights.
 * @packageDocumentation
 */
export { magnitude, magnitudeSaliency } from "./magnitude.ts";
