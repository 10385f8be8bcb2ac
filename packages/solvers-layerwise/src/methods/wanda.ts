/**
 * Wanda (Sun et al., A simple and effective pruning approach for large language models, ICLR 2024): the score of a weight is
 * |w_ij| sqrt(H_jj), H_jj = ||x_j||^2 / n, compared within its output row; kept weights stay as they are. Departures: ties go to
 * the lower index (the published stable sort prunes it), and where the rows cannot all keep the same number, those with
 * the best next weight keep one more, so that the budget is met exactly.
 */

import {
  type Kernels,
  keepCount,
  type Mask,
  type Problem,
  type Saliency,
  type Solver,
  selectorFrom,
  solverFrom,
} from "@secateur/core";
import { defaults } from "../defaults.ts";

/** Settings of {@link wanda}. */
export interface WandaOptions {
  /** Whether every row keeps the same number (default, as published), or the best of the whole layer stay. */
  readonly rows?: "equal" | "free" | undefined;
}

/** w_ij^2 H_jj, the square of the published score: it orders weights alike and adds up over groups. */
export const wandaSaliency: Saliency = {
  needs: {},
  score({ w, curvature }) {
    const { rows, cols, data } = w;
    const diagonal = curvature.diagonal();
    const score = new Float64Array(rows * cols);
    for (let r = 0, i = 0; r < rows; r++) for (let j = 0; j < cols; j++, i++) score[i] = data[i]! ** 2 * diagonal[j]!;
    return score;
  },
};

/** Wanda as a solver. Time: one pass over the weights. */
export function wanda({ rows = defaults.wanda.rows }: WandaOptions = {}): Solver {
  const free = selectorFrom(wandaSaliency);
  const solver = solverFrom({
    needs: {},
    select(problem, ctx) {
      const { count } = problem.constraint;
      if (rows === "free" || !count || !problem.units.perWeight || count.eligible) return free.select(problem, ctx);
      const score = wandaSaliency.score(problem, ctx) as Float64Array;
      return equalRows(problem, score, ctx.kernels);
    },
  });
  return { ...solver, scope: "layers" };
}

/** The best k of every row, and of the next best ones as many as are left to keep; ties go to the lower index. */
export function equalRows(
  { w, constraint }: Pick<Problem, "w" | "constraint">,
  score: Float64Array,
  kernels: Kernels,
): Mask {
  const { rows, cols } = w;
  const { keep } = constraint.count!;
  const each = Math.floor(keep / rows);
  const mask = new Uint8Array(rows * cols);
  const best = keepCount({ count: cols, keep: each, kernels });
  const next: number[] = [];
  for (let r = 0; r < rows; r++) {
    const from = r * cols;
    mask.set(best.select(score.subarray(from, from + cols)), from);
    let most = -1;
    for (let i = from; i < from + cols; i++) if (mask[i] === 0 && (most < 0 || score[i]! > score[most]!)) most = i;
    if (most >= 0) next.push(most);
  }
  next.sort((a, b) => score[b]! - score[a]! || a - b);
  for (const place of next.slice(0, keep - each * rows)) mask[place] = 1;
  return mask;
}
