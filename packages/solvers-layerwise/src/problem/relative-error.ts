/** How much of a layer's outputs is lost: tr((W - R) H (W - R)') / tr(W H W'). */
import { type Mat, matrix, objective, type Problem } from "@secateur/core";

/** Relative errors of weights R [rows, cols] of a problem without a slope; 0 where the outputs are 0. */
export interface RelativeErrors {
  /** Of weights whose objective is known. */
  of(objective: number): number;
  /** Of weights. Time: as `objective`. */
  ofWeights(found: Mat): Promise<number>;
}

/** Measures by the energy of the dense outputs. Time: as `objective`. */
export async function relativeErrors(problem: Problem): Promise<RelativeErrors> {
  const { rows, cols } = problem.w;
  const whole = await objective(problem, matrix(rows, cols, new Float64Array(rows * cols)));
  const of = (lost: number): number => (whole > 0 ? lost / whole : 0);
  return { of, ofWeights: async (found) => of(await objective(problem, found)) };
}
