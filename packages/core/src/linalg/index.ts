/**
 * @secateur/core/linalg: the linear algebra that curvatures and solvers share.
 * @packageDocumentation
 */
export { type BlockRange, type BlockSize, blockRanges, indicesOf } from "./block-ranges.ts";
export {
  addToDiagonal,
  diagonalOf,
  factorize,
  invertSpd,
  type SpdMatrix,
  solveFactored,
  solveSpd,
} from "./cholesky.ts";
export {
  addRowGram,
  type ColumnView,
  eachColumnTile,
  hasColumnGram,
  hasColumns,
  indices,
  writeColumns,
  writeCurvature,
} from "./column-grams.ts";
export { type CgResult, type CgStatus, type CgSystem, conjugateGradients } from "./conjugate-gradients.ts";
export { flattenRows, overRows, selectOverRows, updateOverRows } from "./flatten-rows.ts";
export { gemmSpeedUp } from "./gemm-speed-up.ts";
export { gramCurvature } from "./gram-curvature.ts";
export { pick } from "./pick.ts";
export {
  gradientAt,
  modelOver,
  type Point,
  pointAt,
  prunedModel,
  type QuadraticModel,
  quadraticModel,
  type RestrictedModel,
  valueAt,
  withModelOver,
  withPrunedModel,
  withResidentRows,
} from "./quadratic-model.ts";
export { type Refit, type RefitOptions, refit } from "./refit/refit.ts";
export type { BlocksRefit } from "./refit/refit-blocks.ts";
export type { RefitForm } from "./refit/refit-form.ts";
export { refitMask } from "./refit/refit-mask.ts";
export { gatherBlock, type RowsRefit, type RowsRefitForm, type RowsRefitSpec, refitRows } from "./refit/refit-rows.ts";
export { type RestrictedView, restrictView } from "./restrict-view.ts";
export { filledVector, withScratch } from "./with-scratch.ts";
