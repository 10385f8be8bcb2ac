/** Makes solvers out of the lower rungs of the ladder. */

import { keptWeights, type Units } from "../budget/units.ts";
import { throwIfAborted } from "../run-context.ts";
import type { Mask, Mat } from "./matrix.ts";
import { assertNeeds, joinNeeds } from "./needs.ts";
import { objective } from "./objective.ts";
import { selectWithTies } from "./select-with-ties.ts";
import type { Saliency, Selector, Solver, Updater } from "./strategy.ts";

/** A copy of `w` [rows, cols] with zeros where the mask [units.count] is 0. */
export function masked(w: Mat, units: Units, mask: Mask): Mat {
  const data = w.data.slice().fill(0);
  for (const index of keptWeights(units, mask)) data[index] = w.data[index]!;
  return { ...w, data };
}

/** The updater that leaves kept weights as they are. */
export const keepWeights: Updater = {
  needs: {},
  update: (problem, mask) => masked(problem.w, problem.units, mask),
};

/** Keeps the feasible units of highest total score; ties go by magnitude and are then spread over layers. @throws ERR_NOT_FINITE for a score that is NaN */
export function selectorFrom(saliency: Saliency): Selector {
  return {
    needs: saliency.needs,
    async select(problem, ctx) {
      const scores = problem.units.reduce(await saliency.score(problem, ctx));
      const { mask, note } = selectWithTies(problem, scores);
      if (note) ctx.report({ type: "note", ...note });
      return mask;
    },
  };
}

/**
 * A mask from one method, the remaining weights from another (default: as they were). With an updater the trace holds Q
 * before and after the update, stats the former as `selectionObjective`.
 */
export function solverFrom(selector: Selector, updater: Updater = keepWeights): Solver {
  const needs = joinNeeds(selector.needs, updater.needs);
  return {
    needs,
    ...(selector.plan ? { plan: (situation) => selector.plan!(situation) } : {}),
    async solve(problem, ctx) {
      assertNeeds("solver", needs, problem);
      throwIfAborted(ctx.signal);
      const mask = await selector.select(problem, ctx);
      throwIfAborted(ctx.signal);
      const w = await updater.update(problem, mask, ctx);
      const value = await objective(problem, w);
      const common = { w, mask, objective: value, status: "exact" } as const;
      if (updater === keepWeights) return { ...common, stats: { iterations: 1 } };
      // What the selection alone costs, and what the update makes of it.
      const selectionObjective = await objective(problem, masked(problem.w, problem.units, mask));
      return { ...common, stats: { iterations: 1, selectionObjective }, trace: [selectionObjective, value] };
    },
  };
}
