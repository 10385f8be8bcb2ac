import { dtypeOf, type Mat, matrix, type Problem } from "@secateur/core";

/** f64 weights as a matrix of the shape and dtype of the problem's. */
export function asWeights(problem: Problem, values: Float64Array): Mat {
  const data = dtypeOf(problem.w.data) === "f64" ? values : Float32Array.from(values);
  return matrix(problem.w.rows, problem.w.cols, data);
}
