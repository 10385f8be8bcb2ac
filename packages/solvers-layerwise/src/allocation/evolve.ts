/**
 * A shared budget by evolution, judged on the model itself (after EvoPress, Sieberling et al., ICML 2025): the better of the uniform and the global share is
 * changed at random, weights of one layer going to another; of some changes the one whose outputs on held-out examples are nearest to the dense ones
 * goes on where it is better than what it came from. Departures: any number of weights may move, not levels of a stored database; a layer is
 * solved anew, from the dense model's inputs, where its number is new, so that any solver is judged as it is; one selection a generation, on all
 * held-out examples. The layers are pruned in the end as always, with the numbers that won.
 */
import {
  assertNeeds,
  checkNumber,
  keepCount,
  type LayerCurvature,
  type LayerRows,
  type Mask,
  type Mat,
  quietContext,
  type Rng,
  type RunContext,
  withoutRegrowth,
} from "@secateur/core";
import { defaults } from "../defaults.ts";
import { noWrittenCurvature, outputsNotFinite, tooLargeToEvolve } from "../errors.ts";
import { keepCurvatures, type LossCause } from "../network/kept-curvatures.ts";
import { eligibleRows, readAll, readRows, writeAll, writeRows } from "../network/parameters.ts";
import type { PruneLayersResult } from "../network/prune-layers.ts";
import { pruneOnce, type SampledRequest } from "../network/prune-once.ts";
import { finiteOr, type OutputMeasure } from "./held-out-outputs.ts";
import { inOrder, shareBudget } from "./share-budget.ts";
import { layerProblemOf, surveyLayers } from "./survey-layers.ts";

/** How long evolution goes on. */
export interface EvolutionOptions {
  /** Generations, >= 1. Default 20. */
  readonly generations?: number | undefined;
  /** Changes tried in each, >= 1. Default 4. */
  readonly offspring?: number | undefined;
}

function evolutionOf(options: EvolutionOptions) {
  const { generations = defaults.evolution.generations, offspring = defaults.evolution.offspring } = options;
  return { generations, offspring };
}

/** @throws ERR_OPTION for options out of range */
export function checkEvolution(options: EvolutionOptions): void {
  const { generations, offspring } = evolutionOf(options);
  checkNumber("the evolution of shares", "generations", generations, { least: 1, whole: true });
  checkNumber("the evolution of shares", "offspring", offspring, { least: 1, whole: true });
}

/** Of the smaller of two layers, what moves from one to the other at most. */
const mostMoved = 0.1;
/** Moves of one change at most. */
const mostMoves = 3;
/** Solutions of a layer that are remembered. */
const mostKnown = 8;

/**
 * Prunes in place. Time: for every change the solves of up to six layers and a forward pass over the held-out examples, and the final pruning. Memory:
 * H of all layers, three times where the dense outputs are matched with inputs of their own, and eight solutions of each.
 *
 * @throws ERR_IMPOSSIBLE where the H of all layers are more than 1 GiB, ERR_INCOMPATIBLE where one is not written out, ERR_NOT_FINITE where no share gives finite outputs
 */
export async function pruneEvolved(
  request: SampledRequest & { readonly evolution?: EvolutionOptions },
  measure: OutputMeasure,
  ctx: RunContext,
): Promise<PruneLayersResult> {
  const { model, params, sparsity, evolution = {} } = request;
  const { generations, offspring } = evolutionOf(evolution);
  const quiet = quietContext(ctx);
  const begun = ctx.now();
  const dense = await readAll(model, params);
  const lost = (cause: LossCause): never => {
    throw cause.kind === "size" ? tooLargeToEvolve(model.name, cause.most) : noWrittenCurvature(model.name);
  };
  const kept = keepCurvatures(request.curvature, { kernels: ctx.kernels, lost });
  const shares = await surveyLayers({ ...request, curvature: kept.estimator }, ["uniform", "global"], quiet);
  const judge = await judgeOf({ ...request, curvature: kept.replay()! }, measure, quiet);
  const limits = shares.map(({ size, eligible = size }) => ({ size, most: eligible }));
  const rng = ctx.rng.fork("evolution");
  const errors: Record<string, number> = {};
  let best: { readonly keeps: readonly number[]; readonly error: number } | undefined;
  for (const rule of ["uniform", "global"] as const) {
    const keeps = shareBudget(shares, sparsity, rule);
    const error = await judge(keeps);
    errors[rule] = error;
    if (!best || error < best.error) best = { keeps, error };
  }
  if (!Number.isFinite(best!.error)) throw outputsNotFinite(model.name, ["uniform", "global"]);
  for (let generation = 0; generation < generations; generation++) {
    const parent = best!;
    for (let child = 0; child < offspring; child++) {
      const keeps = changed(parent.keeps, limits, rng);
      const error = await judge(keeps);
      if (error < best!.error) best = { keeps, error };
    }
    await ctx.tick({ task: "evolve", done: generation + 1, total: generations });
  }
  await writeAll(model, dense);
  await request.fitted.restore();
  await request.recalibrate?.(quiet);
  const choice = ctx.now() - begun;
  const result = await pruneOnce(request, { rule: "evolution", keeps: inOrder(best!.keeps) }, ctx);
  // Of the weights that are left: with sequential inputs they are not those that were judged.
  errors["evolution"] = await measure(quiet);
  return { ...result, heldOutError: errors, partsMs: { choice, ...result.partsMs } };
}

/** A layer whose number may change. */
interface HeldLayer {
  readonly target: LayerRows;
  readonly w: Mat;
  readonly u: Mat;
  readonly layer: LayerCurvature;
  readonly mayStay: Mask | undefined;
  /** What it has been solved for, by number of weights kept. */
  readonly known: Map<number, Mat>;
}

/** Gives the error on held-out examples of layers that keep so many weights each. */
async function judgeOf(
  request: SampledRequest,
  measure: OutputMeasure,
  ctx: RunContext,
): Promise<(keeps: readonly number[]) => Promise<number>> {
  const { model, solver } = request;
  const layers = await holdLayers(request, ctx);
  return async (keeps) => {
    for (const [l, { target, w, u, layer, mayStay, known }] of layers.entries()) {
      const keep = keeps[l]!;
      let found = known.get(keep);
      if (!found) {
        const budget = keepCount({ count: w.rows * w.cols, keep, kernels: ctx.kernels });
        const constraint = mayStay ? withoutRegrowth(budget, mayStay) : budget;
        const posed = request.fitted.posed(target, layer);
        const problem = layerProblemOf({ target, w, u, layer: posed, constraint }, ctx.kernels);
        assertNeeds(solver.name ?? "the solver", solver.needs, problem);
        found = (await solver.solve(problem, ctx)).w;
        // Parents and their latest children are asked for again; older numbers hardly ever.
        if (known.size >= mostKnown) known.delete(known.keys().next().value!);
      } else known.delete(keep);
      // The latest stand last.
      known.set(keep, found);
      await writeRows(model, target, found);
      await request.fitted.fit({ target, layer, w, u, found });
    }
    await request.recalibrate?.(ctx);
    return finiteOr(await measure(ctx));
  };
}

/** All layers, each with nothing solved yet. */
async function holdLayers(request: SampledRequest, ctx: RunContext): Promise<readonly HeldLayer[]> {
  const { model, curvature } = request;
  const held: HeldLayer[] = [];
  for await (const layer of curvature.estimate({ ...request, inputs: "parallel" }, ctx)) {
    for (const target of layer.targets) {
      const w = await readRows(model, target);
      const u = request.dense ? await readRows(request.dense, target) : w;
      const mayStay = eligibleRows(request.eligible, target, w.cols);
      held.push({ target, w, u, layer, mayStay, known: new Map() });
    }
  }
  return held;
}

/** The same number of weights in all, some of them in other layers; whoever has none to give or no room is left alone. */
export function changed(
  keeps: readonly number[],
  layers: readonly { readonly size: number; readonly most: number }[],
  rng: Rng,
): readonly number[] {
  const next = [...keeps];
  const moves = 1 + rng.integer(mostMoves);
  for (let move = 0; move < moves; move++) {
    const givers = [...next.keys()].filter((l) => next[l]! > 0);
    if (givers.length === 0) break;
    const giver = givers[rng.integer(givers.length)]!;
    const takers = [...next.keys()].filter((l) => l !== giver && next[l]! < layers[l]!.most);
    if (takers.length === 0) continue;
    const taker = takers[rng.integer(takers.length)]!;
    const most = Math.ceil(mostMoved * Math.min(layers[giver]!.size, layers[taker]!.size));
    const moved = Math.min(1 + rng.integer(most), next[giver]!, layers[taker]!.most - next[taker]!);
    next[giver]! -= moved;
    next[taker]! += moved;
  }
  return next;
}
