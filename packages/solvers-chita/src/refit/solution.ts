import {
  dtypeOf,
  type Mask,
  matrix,
  objective,
  type Problem,
  type Solution,
  type SolveStatus,
  type Vec,
} from "@secateur/core";
import { overflow } from "../errors.ts";

/**
 * A solution of a one-row problem from its weights; the objective is recomputed in f64 from the problem itself.
 *
 * @throws ERR_OVERFLOW when it is not finite
 */
export async function solutionFrom(
  problem: Problem,
  found: {
    w: Vec;
    mask: Mask;
    status: SolveStatus;
    stats: Readonly<Record<string, number>>;
    trace?: readonly number[];
  },
): Promise<Solution> {
  const w = matrix(1, problem.w.cols, found.w);
  const { mask, status, stats } = found;
  const value = await objective(problem, w);
  if (!Number.isFinite(value)) throw overflow(problem.id);
  return {
    w,
    mask,
    objective: value,
    status,
    stats,
    ...(found.trace ? { trace: found.trace } : {}),
  };
}

/** w0 + d on the support, 0 elsewhere. */
export function placeWeights(problem: Problem, columns: Uint32Array, d: Vec): Vec {
  const w0 = problem.w.data;
  const w = dtypeOf(w0) === "f64" ? new Float64Array(w0.length) : new Float32Array(w0.length);
  for (let s = 0; s < columns.length; s++) w[columns[s]!] = w0[columns[s]!]! + d[s]!;
  return w;
}
