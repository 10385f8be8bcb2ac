import { dtypeOf, keptWeights, type Mask, type Mat, matrix, type Problem, type Units } from "@secateur/core";

/** The mask over weights that a mask over units means. */
export function perWeightMask(units: Units, mask: Mask, size: number): Mask {
  if (units.perWeight) return mask;
  const kept = new Uint8Array(size);
  for (const j of keptWeights(units, mask)) kept[j] = 1;
  return kept;
}

/** f64 weights as a matrix of the shape and dtype of the problem's. */
export function asWeights(problem: Problem, values: Float64Array): Mat {
  const data = dtypeOf(problem.w.data) === "f64" ? values : Float32Array.from(values);
  return matrix(problem.w.rows, problem.w.cols, data);
}
