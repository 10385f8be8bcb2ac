/**
 * Symmetric positive definite systems, H x = b by H = L L' (Cholesky). A pivot L_jj^2 that is no more than the rounding of H_jj
 * says as little as a negative one: what remains of weight j beside the weights before it is noise. Such an H is refused with the
 * pivot named, never repaired.
 */
import { singularSystem } from "../errors.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { type Mat, matrix, type Vec } from "../problem/matrix.ts";

/** A symmetric matrix that should be positive definite, and how to speak of it. */
export interface SpdMatrix {
  /** [c, c] f64; overwritten. Only the lower triangle is read. */
  readonly H: Mat;
  /** What it is, for the message of an error: "the curvature on the support". */
  readonly what: string;
  /** The damping on its diagonal, for the message of an error; >= 0. */
  readonly damping: number;
  /** A pivot below this fraction of its diagonal entry counts as lost to rounding; default c 2^-52, for entries summed in f64. */
  readonly rounding?: number | undefined;
  readonly kernels: Kernels;
}

/** The `rounding` of a matrix whose entries were summed in f32. */
export const roundingOfF32: number = 2 ** -20;

/**
 * Replaces H by L, lower triangular with L L' = H; the upper triangle becomes 0. c^3 / 6 multiply-adds, no memory.
 *
 * @returns L, in the place of H
 * @throws ERR_SINGULAR naming what, pivot and damping, with a damping that would be enough
 */
export function factorize(spec: SpdMatrix): Mat {
  const { H, what, damping, kernels } = spec;
  const c = H.rows;
  const rounding = spec.rounding ?? c * Number.EPSILON;
  const diagonal = diagonalOf(H);
  const failed = kernels.cholesky(H);
  const isLost = (j: number): boolean => H.data[j * c + j]! ** 2 <= rounding * diagonal[j]!;
  const pivot = failed >= 0 ? failed : diagonal.findIndex((_, j) => isLost(j));
  if (pivot < 0) return H;
  const largest = diagonal.reduce((most, value) => Math.max(most, value), 0);
  throw singularSystem({ what, pivot, damping, enough: damping + 16 * rounding * largest });
}

/**
 * x := (L L')^-1 x, in place; c^2 multiply-adds a column.
 *
 * @param L - [c, c], from {@link factorize}
 * @param x - one right-hand side [c], or several as the columns of [c, m]; the dtype of L
 */
export function solveFactored(L: Mat, x: Vec | Mat, kernels: Kernels): void {
  const b = "data" in x ? x : matrix(x.length, 1, x);
  kernels.triangularSolve({ l: L, b });
  kernels.triangularSolve({ l: L, transpose: true, b });
}

/**
 * b := H^-1 b, in place; H is overwritten. c^3 / 6 multiply-adds, no memory.
 *
 * @param spec.b - [c], or [c, m]; f64
 * @throws ERR_SINGULAR naming what, pivot and damping
 */
export function solveSpd(spec: SpdMatrix & { readonly b: Vec | Mat }): void {
  solveFactored(factorize(spec), spec.b, spec.kernels);
}

/**
 * Replaces H by H^-1, both triangles. c^3 multiply-adds; one more c x c matrix meanwhile.
 *
 * @returns the inverse, in the place of H
 * @throws ERR_SINGULAR naming what, pivot and damping
 */
export function invertSpd(spec: SpdMatrix): Mat {
  const { H, kernels } = spec;
  const c = H.rows;
  factorize(spec);
  const X = matrix(c, c, kernels.alloc(c * c, "f64"));
  for (let j = 0; j < c; j++) X.data[j * c + j] = 1;
  kernels.triangularSolve({ l: H, b: X });
  kernels.gram({ a: X, transpose: true, out: H });
  kernels.free(X.data);
  return H;
}

/** H_jj [c] f64 */
export function diagonalOf(H: Mat): Float64Array {
  return Float64Array.from({ length: H.rows }, (_, j) => H.data[j * H.cols + j]!);
}

/** H += value I, in place. */
export function addToDiagonal(H: Mat, value: number): void {
  for (let j = 0; j < H.rows; j++) H.data[j * H.cols + j]! += value;
}
