import { Matrix } from "ml-matrix";
import { referenceKernels } from "../kernels/reference-kernels.ts";
import { type Mat, matrix } from "../problem/matrix.ts";
import { createRng } from "../rng.ts";
import { addToDiagonal } from "./cholesky.ts";

/** Normal gradient rows [rows, size] f64. */
export function gradientRows(spec: { rows: number; size: number; seed: number }): Mat {
  const rng = createRng(spec.seed);
  return matrix(
    spec.rows,
    spec.size,
    Float64Array.from({ length: spec.rows * spec.size }, () => rng.normal()),
  );
}

/** G'G / n + damping I */
export function symmetric(G: Mat, damping: number): Mat {
  const H = matrix(G.cols, G.cols, new Float64Array(G.cols ** 2));
  referenceKernels.gram({ a: G, transpose: true, out: H, alpha: 1 / G.rows });
  addToDiagonal(H, damping);
  return H;
}

/** The same numbers for the independent oracle. */
export function toMlMatrix({ rows, cols, data }: Mat): Matrix {
  return Matrix.from1DArray(rows, cols, data);
}
