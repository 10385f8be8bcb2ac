/**
 * Wanda (Sun et al., A simple and effective pruning approach for large language models, ICLR 2024): the score of a weight is
 * |w_ij| sqrt(H_jj), H_jj = ||x_j||^2 / n, compared within its output row; kept weights stay as they are. Departures: ties go to
 * the lower index (the published stable sort prunes it), and where the rows cannot all keep the same number, those with
 * the best next weight keep one more, so that the budget is met exactly.
 */

import { type Mask, type Problem, type Saliency, type Solver, selectorFrom, solverFrom } from "@secateur/core";
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
    const diagonal = curvature.diagonal();
    return Float64Array.from(w.data, (value, i) => value * value * diagonal[i % w.cols]!);
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
      return equalRows(problem, score);
    },
  });
  return { ...solver, scope: "layers" };
}

/** The best k of every row, and of the next best ones as many as are left to keep. */
export function equalRows({ w, constraint }: Pick<Problem, "w" | "constraint">, score: Float64Array): Mask {
  const { rows, cols } = w;
  const { keep } = constraint.count!;
  const each = Math.floor(keep / rows);
  const mask = new Uint8Array(rows * cols);
  const next: number[] = [];
  for (let r = 0; r < rows; r++) {
    const places = Array.from({ length: cols }, (_, j) => r * cols + j);
    places.sort((a, b) => score[b]! - score[a]! || a - b);
    for (const place of places.slice(0, each)) mask[place] = 1;
    if (each < cols) next.push(places[each]!);
  }
  next.sort((a, b) => score[b]! - score[a]! || a - b);
  for (const place of next.slice(0, keep - each * rows)) mask[place] = 1;
  return mask;
}
