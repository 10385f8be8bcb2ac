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

/** A solution of a one-row problem from its weights; the objective is recomputed in f64 from the problem itself. */
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
  return {
    w,
    mask,
    objective: await objective(problem, w),
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
