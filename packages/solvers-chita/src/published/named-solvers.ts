/** CHITA's parts as solvers of their own: each takes any feasible set and works with or without the first-order term. */

import {
  assertNeeds,
  checkNumber,
  keptWeights,
  matrix,
  type Needs,
  type Problem,
  type RunContext,
  type Solver,
  type Updater,
  type Vec,
  zeros,
} from "@secateur/core";
import {
  type BlocksRefit,
  blockRanges,
  overRows,
  type RefitForm,
  refitMask,
  updateOverRows,
  withPrunedModel,
  withResidentRows,
} from "@secateur/core/linalg";
import { bestSupport, type Support, squares } from "../refit/project.ts";
import { placeWeights, solutionFrom } from "../refit/solution.ts";
import { rowModel } from "../relaxation/row-model.ts";
import { type CoordinateDescentOptions, coordinateDescent } from "./coordinate-descent.ts";
import { type IhtOptions, iht } from "./iht.ts";
import { publishedDefaults } from "./published-defaults.ts";

/** For the messages of errors. */
const who = "chita re-fit";
const needs: Needs = { curvature: ["factor"] };

/** Where a method starts: the largest magnitudes, as they are. */
export function startOf(problem: Problem): { w: Vec; support: Support } {
  const support = bestSupport(problem, squares(problem.w.data));
  return { w: placeWeights(problem, support.columns, zeros(support.columns.length, "f32")), support };
}

/**
 * Active-set IHT with exact line search (Benbaki et al. 2023, algorithm 1). Its weights are the last iterate's; `ridgeRefit`
 * on its mask gives the exact minimiser.
 */
export function chitaIht(options: IhtOptions = {}): Solver {
  checkNumber("chita.iht", "maxIterations", options.maxIterations ?? 1, { least: 1, whole: true });
  checkNumber("chita.iht", "tolerance", options.tolerance ?? 0, { least: 0 });
  return overRows({
    needs,
    solve: (problem, ctx) =>
      withResidentRows(rowModel(problem, ctx.kernels), async (model) => {
        const { w: start, support } = startOf(problem);
        const wider = problem.constraint.relax?.(1.5) ?? problem.constraint;
        const candidates = bestSupport({ units: problem.units, constraint: wider }, squares(problem.w.data)).columns;
        const project = (w: Vec): Support => bestSupport(problem, squares(w));
        const { last, status, iterations, trace } = await iht(
          { model, start, support, candidates, project, ...options },
          ctx,
        );
        return solutionFrom(problem, { w: last.w, mask: last.support.mask, status, stats: { iterations }, trace });
      }),
  });
}

/**
 * Coordinate descent on the largest magnitudes (with the first-order term: on the support IHT finds), to convergence. CHITA-CD
 * of Benbaki et al. 2023.
 */
export function chitaCd(options: CoordinateDescentOptions = {}): Solver {
  checkNumber("chita.cd", "maxSweeps", options.maxSweeps ?? 0, { least: 0, whole: true });
  checkNumber("chita.cd", "tolerance", options.tolerance ?? 0, { least: 0 });
  return overRows({
    needs,
    async solve(problem, ctx) {
      const model = rowModel(problem, ctx.kernels);
      const { support } = await supportFor(problem, ctx);
      const { d, sweeps, converged, trace } = await withPrunedModel(model, support.columns, (inner) =>
        coordinateDescent(inner, options, ctx),
      );
      const status = converged ? "converged" : "max-iterations";
      const w = placeWeights(problem, support.columns, d);
      return solutionFrom(problem, { w, mask: support.mask, status, stats: { iterations: sweeps }, trace });
    },
  });
}

/** Settings of {@link chitaBso}. */
export interface BsoOptions {
  /** How the linear system is solved; default "auto", the cheapest. */
  readonly form?: RefitForm | "auto" | undefined;
}

/**
 * The exact ridge back-solve on the largest magnitudes (with the first-order term: on the support IHT finds). CHITA-BSO of
 * Benbaki et al. 2023.
 */
export function chitaBso(options: BsoOptions = {}): Solver {
  return overRows({
    needs,
    async solve(problem, ctx) {
      const { support } = await supportFor(problem, ctx);
      const { d, iterations, isExact } = await refitOn({ problem, support, ...options }, ctx);
      const w = placeWeights(problem, support.columns, d);
      const stats = { iterations: Math.max(1, iterations) };
      return solutionFrom(problem, { w, mask: support.mask, status: isExact ? "exact" : "converged", stats });
    },
  });
}

/** The exact ridge back-solve (Benbaki et al. 2023) as an updater: the best weights on any given mask. */
export function ridgeRefit(options: BsoOptions = {}): Updater {
  return updateOverRows({
    needs,
    async update(problem, mask, ctx) {
      const support = { mask, columns: keptWeights(problem.units, mask) };
      const { d } = await refitOn({ problem, support, ...options }, ctx);
      return matrix(1, problem.w.cols, placeWeights(problem, support.columns, d));
    },
  });
}

/** Settings of {@link chitaBlock}. */
export interface BlockOptions extends BsoOptions {
  /** Weights a block, >= 1; default 2000. "layer": one block a layer. */
  readonly blockSize?: number | "layer" | undefined;
}

/**
 * The block-wise back-solve, "LSBlock" of Benbaki et al. 2023, on the largest magnitudes (with the first-order term: on the support
 * IHT finds). Departure: exactly k weights are kept also with ties (the public code drops all tied ones).
 */
export function chitaBlock(options: BlockOptions = {}): Solver {
  const { blockSize = publishedDefaults.block.blockSize, form } = options;
  const blocksOf = ({ layers }: Pick<Problem, "layers">, size: number) =>
    blockRanges({ size, layers, blockSize, leftOver: "last block", who: "chita.block" });
  blocksOf({}, 0); // refuses a bad size before anything runs
  return overRows({
    needs,
    async solve(problem, ctx) {
      const { support } = await supportFor(problem, ctx);
      const ranges = blocksOf(problem, problem.w.cols);
      const { d } = await refitMask({ problem, support: support.columns, ranges }, { form, who }, ctx);
      const w = placeWeights(problem, support.columns, d);
      const stats = { iterations: 1, blocks: ranges.length };
      return solutionFrom(problem, { w, mask: support.mask, status: "exact", stats });
    },
  });
}

/** The support the fixed-support methods work on, as in the public code: by magnitude, or by IHT when there is a slope. */
async function supportFor(problem: Problem, ctx: RunContext): Promise<{ support: Support }> {
  if (!problem.gradient) return startOf(problem);
  const { mask } = await chitaIht().solve(problem, ctx);
  return { support: { mask, columns: keptWeights(problem.units, mask) } };
}

function refitOn(
  { problem, support, form = publishedDefaults.bso.form }: { problem: Problem; support: Support } & BsoOptions,
  ctx: RunContext,
): Promise<BlocksRefit> {
  assertNeeds("chita", needs, problem);
  return refitMask({ problem, support: support.columns }, { form, who }, ctx);
}
