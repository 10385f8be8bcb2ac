/**
 * Structured OBS: Optimal Brain Surgeon (Hassibi and Stork 1993) for groups of weights. In rounds, the groups that cost least with all others re-fitted,
 * 1/2 w_g'[(H^-1)_gg]^-1 w_g, go together, what is left is re-fitted exactly, and costs are taken again. With as many rounds as groups go one by one, this is
 * OBS itself. Costs in the space of the gradient rows: row-space.ts.
 */
import {
  dtypeOf,
  keptWeights,
  type Mask,
  matrix,
  objective,
  type Problem,
  type RunContext,
  type Solver,
  shrinkingBudgets,
} from "@secateur/core";
import { hasColumns, overRows, refitMask } from "@secateur/core/linalg";
import { columnGroups } from "./column-groups.ts";
import { defaults } from "./defaults.ts";
import { needsColumns, needsDamping } from "./errors.ts";
import { rowsPlan } from "./plan.ts";
import { addGroups, groupCosts, rowSpace } from "./row-space.ts";

/** Settings of {@link structuredObs}. */
export interface StructuredObsOptions {
  /** How often costs are taken, >= 1. Default 4. */
  readonly rounds?: number | undefined;
}

/**
 * Structured OBS, for any units. trace: Q after every round. stats: `rounds`.
 * Time: per round n^2 p / 2 for the costs of all groups, n rows, and the re-fit's system. Memory: 16 n^2 bytes, and n times the largest group in f64.
 *
 * @throws ERR_INCOMPATIBLE for a curvature without columns of its rows, ERR_SINGULAR without damping
 * @example
 * const result = await prune({ model, data, curvature: empiricalFisher(), solver: structuredObs(), budget });
 */
export function structuredObs({ rounds = defaults.structuredObs.rounds }: StructuredObsOptions = {}): Solver {
  return overRows({
    name: "structured-obs",
    needs: { curvature: ["factor"] },
    plan: rowsPlan,
    async solve(problem, ctx) {
      const view = problem.curvature.factor!();
      if (!hasColumns(view)) throw needsColumns("structured-obs");
      if (!(view.damping > 0)) throw needsDamping("structured-obs");
      const groups = columnGroups("structured-obs", problem);
      const budgets = shrinkingBudgets(problem, { steps: rounds, spacing: "even" });
      let mask: Mask = new Uint8Array(groups.length).fill(1);
      const space = await rowSpace(view, groups, ctx);
      // At w0 the slope is g; costs hold at the minimum over what is kept.
      let w = problem.gradient ? await refitted(problem, mask, ctx) : Float64Array.from(problem.w.data);
      const trace: number[] = [];
      for (const [index, budget] of budgets.entries()) {
        const kept = groups.flatMap((group, unit) => (mask[unit] === 1 ? [{ group, unit }] : []));
        const costs = await groupCosts(space, { groups: kept.map(({ group }) => group), w });
        const scores = new Float64Array(groups.length).fill(-1);
        kept.forEach(({ unit }, i) => {
          scores[unit] = costs[i]!;
        });
        const next = budget.select(scores);
        const changed = (sign: 1 | -1) => groups.filter((_, unit) => next[unit]! - mask[unit]! === sign);
        await addGroups(space, changed(-1), -1);
        await addGroups(space, changed(1), 1);
        mask = next;
        w = await refitted(problem, mask, ctx);
        trace.push(await objective(problem, asWeights(problem, w)));
        await ctx.tick({ task: "solve", done: index + 1, total: budgets.length });
      }
      const stats = { iterations: budgets.length, rounds: budgets.length };
      return { w: asWeights(problem, w), mask, objective: trace.at(-1)!, status: "exact", stats, trace };
    },
  });
}

/** The best weights on a mask of units, f64 [p]. */
async function refitted(problem: Problem, mask: Mask, ctx: RunContext): Promise<Float64Array> {
  const support = keptWeights(problem.units, mask);
  const how = { form: "auto", recurrences: "f64", singular: "refuse", who: "structured-obs" } as const;
  const { d } = await refitMask({ problem, support }, how, ctx);
  const w = new Float64Array(problem.w.cols);
  support.forEach((j, s) => {
    w[j] = problem.w.data[j]! + d[s]!;
  });
  return w;
}

function asWeights({ w }: Problem, values: Float64Array) {
  return matrix(w.rows, w.cols, dtypeOf(w.data) === "f64" ? values : Float32Array.from(values));
}
