/**
 * @secateur/core/linalg: the linear algebra that curvatures and solvers share.
 * @packageDocumentation
 */
export {
  addToDiagonal,
  diagonalOf,
  factorize,
  invertSpd,
  roundingOfF32,
  type SpdMatrix,
  solveFactored,
  solveSpd,
} from "./cholesky.ts";
export { type CgResult, type CgStatus, type CgSystem, conjugateGradients } from "./conjugate-gradients.ts";
export { gemmSpeedUp } from "./gemm-speed-up.ts";
export { gatherBlock, type RowsRefit, type RowsRefitForm, type RowsRefitSpec, refitRows } from "./refit-rows.ts";
export { withScratch } from "./with-scratch.ts";
