/**
 * WoodFisher (Singh and Alistarh, NeurIPS 2020): OBS's saliency with the inverse of the empirical Fisher, all weights chosen
 * at once, then either update. Departure: the inverse comes from the n gradient rows, so H need not be cut to blocks (the
 * published code's blocks are `blockSize`), and exactly k weights are kept also with ties.
 */

import {
  type Mask,
  type Problem,
  type RunContext,
  type Saliency,
  type Selector,
  type Solver,
  type Updater,
  weightMask,
} from "@secateur/core";
import { flattenRows, overRows, updateOverRows } from "@secateur/core/linalg";
import { asWeights } from "../cbs/as-weights.ts";
import { defaults } from "../defaults.ts";
import { obsPlan } from "../plan.ts";
import { type JointUpdateOptions, jointUpdate } from "../update/joint-update.ts";
import { type InverseBlockSize, invertBlocks, obsScores, releaseBlocks, singleUpdates } from "./obs-inverses.ts";
import { obsSolution } from "./obs-solution.ts";

const needs = { curvature: ["inverse"] } as const;

/** "single": the published sum of single-weight updates; "joint": the exact minimiser on the mask. */
export type ObsUpdate = "single" | "joint";

/** Settings of {@link woodfisher}. */
export interface WoodfisherOptions {
  /** Default "joint". */
  readonly update?: ObsUpdate | undefined;
  /** What H is cut to for its inverse; default "auto". */
  readonly blockSize?: InverseBlockSize | undefined;
}

/** Score w_j^2 / (2 [H^-1]_jj). */
export function woodfisherSaliency(options: Pick<WoodfisherOptions, "blockSize"> = {}): Saliency {
  return {
    needs,
    async score(posed, ctx) {
      const problem = flattenRows(posed);
      const blocks = await invertBlocks(problem, options.blockSize ?? defaults.inverse.blockSize, ctx);
      try {
        return obsScores(problem.w.data, blocks);
      } finally {
        releaseBlocks(blocks);
      }
    },
  };
}

/**
 * WoodFisher as a solver. stats: `selectionObjective`, Q of the chosen weights before the update.
 * Time: the inverse's diagonal, n^2 p / 2; one product with the inverse, or the joint update's system.
 *
 * @example
 * const result = await prune({ model, data, curvature: empiricalFisher(), solver: woodfisher(), sparsity: 0.9 });
 */
export function woodfisher(options: WoodfisherOptions = {}): Solver {
  const { update = defaults.update.update, blockSize = defaults.inverse.blockSize } = options;
  return overRows({
    needs,
    plan: obsPlan,
    async solve(problem, ctx) {
      const blocks = await invertBlocks(problem, blockSize, ctx);
      try {
        const scores = obsScores(problem.w.data, blocks);
        const mask = problem.constraint.select(problem.units.reduce(scores));
        const w =
          update === "joint"
            ? await jointUpdate({ problem, mask }, ctx)
            : await singleUpdates(problem.w.data, weightMask(problem.units, mask), blocks);
        return await obsSolution(problem, { w, mask });
      } finally {
        releaseBlocks(blocks);
      }
    },
  });
}

/** The selector of {@link woodfisher}, with the plan of the method. */
export function woodfisherSelector(options: Pick<WoodfisherOptions, "blockSize"> = {}): Selector {
  const saliency = woodfisherSaliency(options);
  return {
    needs,
    plan: obsPlan,
    select: async (problem: Problem, ctx: RunContext): Promise<Mask> =>
      problem.constraint.select(problem.units.reduce(await saliency.score(problem, ctx))),
  };
}

/** The published sum of single-weight OBS updates on any mask. */
export function singleUpdater(options: Pick<WoodfisherOptions, "blockSize"> = {}): Updater {
  return updateOverRows({
    needs,
    async update(problem, mask, ctx) {
      const blocks = await invertBlocks(problem, options.blockSize ?? defaults.inverse.blockSize, ctx);
      try {
        const kept = weightMask(problem.units, mask);
        return asWeights(problem, await singleUpdates(problem.w.data, kept, blocks));
      } finally {
        releaseBlocks(blocks);
      }
    },
  });
}

/** The joint OBS update (CBS-U) on any mask: the exact minimiser. */
export function jointUpdater(options: JointUpdateOptions = {}): Updater {
  return {
    needs: { curvature: ["apply"] },
    update: async (problem, mask, ctx) => asWeights(problem, await jointUpdate({ problem, mask, ...options }, ctx)),
  };
}
