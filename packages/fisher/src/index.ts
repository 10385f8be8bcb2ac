/**
 * @secateur/fisher: curvature from gradients, as views that never hold the p x p matrix.
 * @packageDocumentation
 */

export {
  type ActivationsOptions,
  activations,
  type InputSums,
  type SummedInputs,
  shareOfInputs,
} from "./activations.ts";
export { autoRidge } from "./auto-ridge.ts";
export { estimators } from "./estimators.ts";
export { type GaussNewtonOptions, gaussNewton, gaussNewtonFactor } from "./gauss-newton.ts";
export { addMoments, type InputMoments } from "./input-moments.ts";
export { momentShare } from "./input-shares.ts";
export { factorInverse, type InverseForm, largestSystem, storedCurvature } from "./inverse/factor-inverse.ts";
export { type KfacOptions, kfac, kroneckerFactors } from "./kronecker/kfac.ts";
export { type KroneckerFactors, kroneckerCurvature } from "./kronecker/kronecker-curvature.ts";
export { type KroneckerFactor, kroneckerFactor } from "./kronecker/kronecker-factor.ts";
export { type KroneckerGaussNewtonOptions, kroneckerGaussNewton } from "./kronecker/kronecker-gauss-newton.ts";
export { denseBlock } from "./rows/dense-block.ts";
export { type EmpiricalFisherOptions, empiricalFisher } from "./rows/empirical-fisher.ts";
export { type Factors, factoredBlock } from "./rows/factored-block.ts";
export type { RowBlock } from "./rows/row-block.ts";
export { denseFactor, type RowFactorSpec, rowFactor, type StoredFactor } from "./rows/row-factor.ts";
export { expandRows, largestGroup } from "./rows/take-rows.ts";
