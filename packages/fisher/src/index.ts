/**
 * @secateur/fisher: curvature from gradients, as views that never hold the p x p matrix.
 * @packageDocumentation
 */
export { denseBlock } from "./dense-block.ts";
export { autoRidge, type EmpiricalFisherOptions, empiricalFisher, expandRows } from "./empirical-fisher.ts";
export { type Factors, factoredBlock } from "./factored-block.ts";
export { default } from "./plugin.ts";
export type { RowBlock } from "./row-block.ts";
export { denseFactor, type RowFactorSpec, rowFactor } from "./row-factor.ts";
