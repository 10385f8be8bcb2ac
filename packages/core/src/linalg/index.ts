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
export { gemmSpeedUp } from "./gemm-speed-up.ts";
export { withScratch } from "./with-scratch.ts";
