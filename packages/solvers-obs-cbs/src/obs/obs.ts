/**
 * Optimal Brain Surgeon (Hassibi and Stork 1993) in rounds: each round removes the weights of least w_j^2 / (2 [H^-1]_jj),
 * where w are the re-fitted weights and H^-1 is the inverse over the weights still kept, and re-fits all the others. With
 * "each" round removing one weight this is OBS itself; the last round's joint update makes any number of rounds exact on its
 * mask. Between the two ends stands what the papers do not try: a few rounds cost n^2 |S| / 2 each on the n gradient rows,
 * and let weights that were redundant only together stop being so.
 */

import { type InverseView, keptWeights, objective, type Solver, shrinkingBudgets, weightMask } from "@secateur/core";
import { overRows } from "@secateur/core/linalg";
import { asWeights } from "../cbs/as-weights.ts";
import { defaults } from "../defaults.ts";
import { obsPlan } from "../plan.ts";
import { jointUpdate } from "../update/joint-update.ts";
import { obsScores, singleUpdates } from "./obs-inverses.ts";
import { obsSolution } from "./obs-solution.ts";
import type { ObsUpdate } from "./woodfisher.ts";

/** Settings of {@link obs}. */
export interface ObsOptions {
  /** How often the inverse is taken again, or "each": for every single weight. Default 8. */
  readonly rounds?: number | "each" | undefined;
  /** After a round: "joint" (default) the exact minimiser, "single" the sum of single-weight updates. */
  readonly update?: ObsUpdate | undefined;
}

/**
 * OBS as a solver. trace: Q after every round. stats: `rounds`, `selectionObjective`.
 * Time: per round, n^2 |S| / 2 for the saliency and the joint update's system. Memory: 8 n^2 bytes.
 * A constraint that cannot be relaxed has one round.
 *
 * @example
 * const result = await prune({ model, data, curvature: empiricalFisher(), solver: obs({ rounds: 12 }), sparsity: 0.95 });
 */
export function obs(options: ObsOptions = {}): Solver {
  const { update = defaults.update.update } = options;
  return overRows({
    needs: { curvature: ["inverse"] },
    plan: obsPlan,
    async solve(problem, ctx) {
      const { units, w: w0 } = problem;
      let mask = new Uint8Array(units.count).fill(1);
      // At w0 the slope is g; OBS's costs hold at the minimum over the kept weights.
      let w = problem.gradient ? await jointUpdate({ problem, mask }, ctx) : Float64Array.from(w0.data);
      const { rounds = defaults.obs.rounds } = options;
      const budgets = shrinkingBudgets(
        problem,
        rounds === "each"
          ? { steps: Number.POSITIVE_INFINITY, spacing: "even" }
          : { steps: rounds, spacing: "geometric" },
      );
      const trace: number[] = [];
      for (const [index, budget] of budgets.entries()) {
        const support = keptWeights(units, mask);
        const all = support.length === w0.cols;
        const inverse = await problem.curvature.inverse!(all ? undefined : support);
        try {
          const scores = await scoresOn({ inverse, support, w });
          mask = Uint8Array.from(budget.select(units.reduce(scores)));
          w =
            update === "joint"
              ? await jointUpdate({ problem, mask }, ctx)
              : await singleOn({ inverse, support, w, kept: weightMask(units, mask) });
        } finally {
          inverse.release();
        }
        if (index < budgets.length - 1) trace.push(await objective(problem, asWeights(problem, w)));
        await ctx.tick({ task: "solve", done: index + 1, total: budgets.length });
      }
      return obsSolution(problem, { w, mask, trace, stats: { iterations: budgets.length, rounds: budgets.length } });
    },
  });
}

interface OnSupport {
  readonly inverse: InverseView;
  readonly support: Uint32Array;
  readonly w: Float64Array;
}

/** OBS scores; weights outside the support below all others. */
async function scoresOn({ inverse, support, w }: OnSupport): Promise<Float64Array> {
  const block = { range: { start: 0, end: support.length }, inverse, diagonal: await inverse.diagonal() };
  const inner = obsScores(
    Float64Array.from(support, (j) => w[j]!),
    [block],
  );
  const scores = new Float64Array(w.length).fill(-1);
  support.forEach((j, s) => {
    scores[j] = inner[s]!;
  });
  return scores;
}

async function singleOn(spec: OnSupport & { kept: Uint8Array }): Promise<Float64Array> {
  const { inverse, support, w, kept } = spec;
  const block = { range: { start: 0, end: support.length }, inverse, diagonal: await inverse.diagonal() };
  const inner = await singleUpdates(
    Float64Array.from(support, (j) => w[j]!),
    Uint8Array.from(support, (j) => kept[j]!),
    [block],
  );
  const updated = new Float64Array(w.length);
  support.forEach((j, s) => {
    updated[j] = inner[s]!;
  });
  return updated;
}
