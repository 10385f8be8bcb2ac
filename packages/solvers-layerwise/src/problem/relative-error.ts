/** How much of a layer's outputs is lost: tr((W - R) H (W - R)') / tr(W H W'). */
import { type Kernels, type Mat, matrix, objective, type Problem } from "@secateur/core";

/** The relative error of weights R [rows, cols]; 0 where the outputs are 0. Two products of rows cols^2 multiply-adds where H is written out. */
export async function relativeErrorOf(problem: Problem, found: Mat, kernels: Kernels): Promise<number> {
  const { w } = problem;
  const change = matrix(
    w.rows,
    w.cols,
    Float64Array.from(w.data, (value, i) => found.data[i]! - value),
  );
  const [lost, whole] = [await energyOf(problem, change, kernels), await energyOf(problem, w, kernels)];
  return whole > 0 ? lost / whole : 0;
}

/** 1/2 tr(D H D') */
async function energyOf(problem: Problem, D: Mat, kernels: Kernels): Promise<number> {
  const H = problem.curvature.gram?.();
  const { rows, cols } = D;
  // Without H written out: Q of a problem whose dense weights are 0 and that has no slope.
  if (!H) return await objective({ ...problem, w: matrix(rows, cols, new Float64Array(rows * cols)) }, D);
  const exact = matrix(rows, cols, Float64Array.from(D.data));
  const image = matrix(rows, cols, new Float64Array(rows * cols));
  kernels.gemm({ a: exact, b: { ...H, data: Float64Array.from(H.data) }, out: image });
  return 0.5 * kernels.dot(exact.data, image.data);
}
