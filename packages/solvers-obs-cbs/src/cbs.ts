/**
 * The Combinatorial Brain Surgeon (Yu, Serra, Ramalingam, Zhe, ICML 2022): CBS-S chooses which weights go together,
 * argmin f(P) = w_P' H w_P, from several starts by local search; CBS-U, the joint OBS update, re-fits the others.
 */
import type { Mask, Problem, RunContext, Selector, Solver } from "@secateur/core";
import { type CbsModel, cbsModel, cbsValue } from "./cbs-model.ts";
import { type CbsFound, type CbsSearchOptions, cbsSearch } from "./cbs-search.ts";
import { magnitudeStart, partitionStart } from "./cbs-starts.ts";
import { type JointUpdateOptions, jointUpdate } from "./joint-update.ts";
import { obsSolution } from "./obs-solution.ts";
import { cbsPlan } from "./plan.ts";

/** Settings of {@link cbsSelector}. */
export interface CbsOptions extends CbsSearchOptions {
  /** Random magnitude partitions to draw beside the magnitude start; default 0. */
  readonly draws?: number | undefined;
  /** How many of the starts of least f are searched from; default 1. */
  readonly starts?: number | undefined;
}

const needs = { curvature: ["factor"] } as const;

interface Selected extends CbsFound {
  readonly starts: number;
}

/** CBS-S. Starts run one after the other, each on all the threads of the kernels. */
async function select(problem: Problem, options: CbsOptions, ctx: RunContext): Promise<Selected> {
  const model = cbsModel(problem, ctx.kernels);
  const { draws = 0, starts = 1 } = options;
  const masks = [magnitudeStart(problem)];
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
 * @throws ERR_INCOMPATIBLE for grouped units, several rows or a curvature without columns
 */
export function cbsSelector(options: CbsOptions = {}): Selector {
  return { needs, plan: cbsPlan, select: async (problem, ctx) => (await select(problem, options, ctx)).mask };
}

/**
 * CBS as a solver: CBS-S, then CBS-U. trace: 1/2 f(P) before the first and after every round (the Q of the pruned weights
 * alone, where there is no first-order term), and Q after the update at the end. stats: `rounds`, `swaps`, `starts`,
 * `combinatorialStart` and `combinatorial` (f), `selectionObjective`.
 *
 * @example
 * const result = await prune({ model, data, curvature: empiricalFisher(), solver: cbs(), sparsity: 0.95 });
 */
export function cbs(options: CbsOptions & JointUpdateOptions = {}): Solver {
  return {
    needs,
    plan: cbsPlan,
    async solve(problem, ctx) {
      const { mask, trace, swaps, starts } = await select(problem, options, ctx);
      const { blockSize, form } = options;
      const w = await jointUpdate({ problem, mask, blockSize, form }, ctx);
      const rounds = trace.length - 1;
      const [combinatorialStart, combinatorial] = [trace[0]!, lastOf(trace)];
      const stats = { iterations: rounds, rounds, swaps, starts, combinatorialStart, combinatorial };
      return obsSolution(problem, { w, mask, stats, trace: trace.map((value) => value / 2) });
    },
  };
}
