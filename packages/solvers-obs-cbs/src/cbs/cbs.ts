/**
 * The Combinatorial Brain Surgeon (Yu, Serra, Ramalingam, Zhe, ICML 2022): CBS-S chooses which weights go together,
 * argmin f(P) = w_P' H w_P (weights, or whole groups of them), from several starts by local search; CBS-U, the joint OBS update, re-fits the others.
 */

import {
  type Mask,
  objective,
  type Problem,
  type RunContext,
  type Selector,
  type Solver,
  shrinkingBudgets,
} from "@secateur/core";
import { overRows, selectOverRows } from "@secateur/core/linalg";
import { defaults } from "../defaults.ts";
import { obsSolution } from "../obs/obs-solution.ts";
import { cbsPlan, cbsSelectorPlan } from "../plan.ts";
import { type JointUpdateOptions, jointUpdate } from "../update/joint-update.ts";
import { asWeights } from "./as-weights.ts";
import { type CbsModel, cbsModel, cbsValue } from "./cbs-model.ts";
import { type CbsFound, type CbsSearchOptions, cbsSearch } from "./cbs-search.ts";
import { magnitudeStart, partitionStart, saliencyStart } from "./cbs-starts.ts";

/** Settings of {@link cbsSelector}. */
export interface CbsOptions extends CbsSearchOptions {
  /**
   * What the first start keeps: "magnitude", the largest |w|, as published and the default of a selection in one step, or
   * "saliency", the largest w_u' H_uu w_u (H_jj w_j^2 of a single weight; the sum of those of a small group where rows exist only as products), the default in several: it is the best mask where weights do not interact.
   */
  readonly start?: "magnitude" | "saliency" | undefined;
  /** Random magnitude partitions to draw beside the magnitude start; default 0. */
  readonly draws?: number | undefined;
  /** How many of the starts of least f are searched from; default 1. */
  readonly starts?: number | undefined;
}

/** Settings of {@link cbs}. */
export interface CbsSolverOptions extends CbsOptions, JointUpdateOptions {
  /** Steps of selection and update on the way to the budget, >= 1; default 12; 1 as published. */
  readonly steps?: number | undefined;
}

const needs = { curvature: ["factor"] } as const;

/** How exact conjugate gradients are between two steps. */
const onTheWay = 1e-2;

interface Selected extends CbsFound {
  readonly starts: number;
}

/** CBS-S. Starts run one after the other, each on all the threads of the kernels. */
async function select(problem: Problem, options: CbsOptions, ctx: RunContext): Promise<Selected> {
  const model = await cbsModel(problem, ctx);
  const { draws = defaults.cbs.draws, starts = defaults.cbs.starts } = options;
  const masks = [options.start === "saliency" ? saliencyStart(model) : magnitudeStart(problem)];
  for (let draw = 1; draw <= draws; draw++) masks.push(partitionStart(problem, ctx.rng.fork(`partition ${draw}`)));
  let best: CbsFound | undefined;
  const chosen = await leastOf(model, masks, starts);
  for (const start of chosen) {
    const found = await cbsSearch({ ...options, model, start }, ctx);
    if (!best || lastOf(found.trace) < lastOf(best.trace)) best = found;
  }
  return { ...best!, starts: chosen.length };
}

async function leastOf(model: CbsModel, masks: readonly Mask[], count: number): Promise<readonly Mask[]> {
  if (masks.length <= count) return masks;
  const values: { mask: Mask; value: number }[] = [];
  for (const mask of masks) values.push({ mask, value: await cbsValue(model, mask) });
  return values
    .sort((a, b) => a.value - b.value)
    .slice(0, count)
    .map(({ mask }) => mask);
}

function lastOf(trace: readonly number[]): number {
  return trace[trace.length - 1]!;
}

/**
 * CBS-S alone: a mask for any updater.
 * Time: a round is two products, n (2 pool)^2 / 2 multiply-adds and 4 pool^2 a swap; a draw is one product. Memory: 16 n pool bytes
 * and 32 pool^2.
 *
 * Groups of weights: what each costs by itself is one pass over stored rows a selection, of products alone one over each group's weights; a round gathers the pool's
 * columns, or takes a product of the pool's weights for each of its groups. Memory: 12 n bytes a group of the pool where rows are stored, else 4 bytes for each pair of
 * up to 2,048 weights.
 *
 * @throws ERR_INCOMPATIBLE for a curvature without columns
 */
export function cbsSelector(options: CbsOptions = {}): Selector {
  return selectOverRows({
    needs,
    plan: cbsSelectorPlan,
    select: async (problem, ctx) => (await select(problem, options, ctx)).mask,
  });
}

/**
 * CBS as a solver: CBS-S, then CBS-U, once or in `steps`: each keeps fewer weights by one factor, chooses among the kept ones
 * at their updated values, and updates again. At the minimiser over the kept weights Q has no slope along them, so removing P
 * from them costs 1/2 w_P' H w_P before the update, as at the dense weights; and weights that the update made redundant go,
 * which one step cannot know. The last step swaps and updates exactly; those before take its start's mask, and conjugate gradients
 * to a residual of 0.01.
 *
 * trace: Q of each step's selection alone (its part of 1/2 f(P) and what steps before cost) before and after every round, and
 * Q after the last update. stats: `steps`, `rounds`, `swaps`, `starts`, `combinatorialStart` and `combinatorial` (f of the last
 * step's selection before and after its swaps), `selectionObjective` (Q of the mask at the dense weights).
 *
 * @example
 * const result = await prune({ model, data, curvature: empiricalFisher(), solver: cbs(), sparsity: 0.95 });
 */
export function cbs(options: CbsSolverOptions = {}): Solver {
  return overRows({
    needs,
    plan: cbsPlan,
    async solve(problem, ctx) {
      const { blockSize, form, steps = defaults.cbs.steps } = options;
      const budgets = shrinkingBudgets(problem, { steps, spacing: "geometric" });
      const start = options.start ?? (budgets.length > 1 ? "saliency" : "magnitude");
      const totals = { rounds: 0, swaps: 0, starts: 0 };
      const trace: number[] = [];
      let w: Float64Array = Float64Array.from(problem.w.data);
      let reached = 0;
      let last: Selected | undefined;
      for (const [index, constraint] of budgets.entries()) {
        const isLast = index === budgets.length - 1;
        const posed = { ...problem, w: asWeights(problem, w), constraint };
        // Swaps for the objective before an update that is not the last cost more of the end's Q than they gain here.
        last = await select(posed, isLast ? { ...options, start } : { start, rounds: 0 }, ctx);
        totals.rounds += last.trace.length - 1;
        totals.swaps += last.swaps;
        totals.starts += last.starts;
        trace.push(...last.trace.map((value) => reached + value / 2));
        const how = isLast ? { form } : ({ form: "cg", tolerance: onTheWay } as const);
        w = await jointUpdate({ problem, mask: last.mask, blockSize, ...how }, ctx);
        if (!isLast) reached = await objective(problem, asWeights(problem, w));
      }
      const { mask, trace: values } = last!;
      const combinatorial = { combinatorialStart: values[0]!, combinatorial: lastOf(values) };
      const stats = { iterations: totals.rounds, steps: budgets.length, ...totals, ...combinatorial };
      return obsSolution(problem, { w, mask, stats, trace });
    },
  });
}
