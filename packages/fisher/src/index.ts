/**
 * @secateur/fisher: curvature from gradients, as views that never hold the p x p matrix.
 * @packageDocumentation
 */

export { autoRidge } from "./auto-ridge.ts";
export { denseBlock } from "./dense-block.ts";
export { type EmpiricalFisherOptions, empiricalFisher, expandRows, largestGroup } from "./empirical-fisher.ts";
export { factorInverse, type InverseForm, largestSystem, storedCurvature } from "./factor-inverse.ts";
export { type Factors, factoredBlock } from "./factored-block.ts";
export { type GaussNewtonOptions, gaussNewton, gaussNewtonFactor } from "./gauss-newton.ts";
export { type KfacOptions, kfac, kroneckerFactors } from "./kfac.ts";
export { type KroneckerFactors, kroneckerCurvature } from "./kronecker-curvature.ts";
export { type KroneckerFactor, kroneckerFactor } from "./kronecker-factor.ts";
export { type KroneckerGaussNewtonOptions, kroneckerGaussNewton } from "./kronecker-gauss-newton.ts";
export { default } from "./plugin.ts";
export type { RowBlock } from "./row-block.ts";
export { denseFactor, type RowFactorSpec, rowFactor, type StoredFactor } from "./row-factor.ts";
