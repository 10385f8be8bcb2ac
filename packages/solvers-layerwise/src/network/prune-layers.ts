/**
 * A model pruned layer by layer: the inputs of a layer give its H, a solver its weights, and they are written before the next layer's
 * inputs are taken ("sequential") or all layers are solved from the dense model's inputs ("parallel"). A budget that
 * layers share is shared out first, from the dense model's inputs; of these passes counts and losses are kept, no problems.
 */
import {
  countKept,
  createRunContext,
  forkContext,
  type LayerLoopRequest,
  type LayerLoopResult,
  type LayerTargets,
  type RunContext,
  sampleIndices,
} from "@secateur/core";
import { checkEvolution, type EvolutionOptions, pruneEvolved } from "../allocation/evolve.ts";
import { heldOutMeasure } from "../allocation/held-out-outputs.ts";
import { pruneBest } from "../allocation/prune-best.ts";
import {
  evenShare,
  inOrder,
  type LayerAllocation,
  limitedAllocations,
  limitedShare,
  shareBudget,
  shareLimits,
} from "../allocation/share-budget.ts";
import { surveyLayers } from "../allocation/survey-layers.ts";
import type { traceLosses } from "../allocation/trace-losses.ts";
import { limitNotShared, nothingHeldOut, nothingToPrune, nothingToShare } from "../errors.ts";
import { checkOffsets, createOffsets, type FittedOffsets } from "./offsets.ts";
import { readAll, writeAll } from "./parameters.ts";
import { pruneOnce, type SampledRequest } from "./prune-once.ts";
import { assertBlocks, type BlockRefitOptions, checkBlockRefit, refitBlocks } from "./refit-blocks.ts";

/** What to prune and how; of what core's loops are asked, the order of inputs and the parameters have defaults: sequential, all prunable ones. */
export interface PruneLayersRequest
  extends Omit<LayerLoopRequest, "inputs" | "params">,
    Partial<Pick<LayerLoopRequest, "inputs" | "params">> {
  /** Keep so many of every so many inputs of a row instead of a sparsity. */
  readonly pattern?: { readonly keep: number; readonly of: number };
  /**
   * Whose outputs a layer is to give on its inputs: those of the dense model, or of its own dense weights. With parallel inputs they are the same. Default:
   * the dense model's; but its own where statistics are measured anew afterwards and not fitted on the way (`recalibrate` with `offsets` "none"), which would undo what was made up for.
   */
  readonly match?: LayerTargets;
  /**
   * What is fitted, in closed form, to take up the means of a layer's outputs once it is solved, and while it is solved: biases, and with "all" the statistics of the batch
   * normalisations behind the layers, which `recalibrate` measures anew in the end. Default: "all" where there is something to recalibrate, else "none": a run that may be continued from weights alone needs `recalibrate` for what follows from them,
   * biases too ({@link biasMatcher}).
   */
  readonly offsets?: FittedOffsets;
  /** How layers share the budget; "auto" (default) tries uniform and global and keeps the one whose outputs on held-out examples are nearer to the dense ones. */
  readonly allocation?: LayerAllocation | "auto" | "evolution";
  /** Of allocation "evolution", which looks for a better one on the same held-out examples. */
  readonly evolution?: EvolutionOptions;
  /** Of the calibration examples, how many are held out where allocation "auto" or "evolution" makes a choice, at least one and not all; default: an eighth. */
  readonly heldOut?: number;
  /** Traces a layer, where the budget is shared out by traces; default: here. What it gives has to be the same. */
  readonly traces?: typeof traceLosses;
  /** Layers that are traced at a time, and solved at a time where their inputs are parallel, by what does so elsewhere; the results are the same. Default 1. */
  readonly atOnce?: number;
  /** Re-fits whole blocks together against the dense model's when all layers are pruned; default: no. */
  readonly blocks?: BlockRefitOptions;
}

/** A model pruned layer by layer. */
export interface PruneLayersResult extends LayerLoopResult {
  readonly nonzeros: number;
  readonly size: number;
  /** "budget" and "pattern": every layer was told what it keeps. */
  readonly allocation: LayerAllocation | "pattern" | "budget" | "evolution";
}

/**
 * Prunes in place: the model's parameters are written. The dense model is `dense`, or the one that comes in. Time: a pass over the calibration examples and a solve a layer; with a shared
 * budget another pass and the traces; with "auto" both budgets are solved, with "evolution" layers again and again. Should anything fail, or the run be aborted, the weights are
 * put back, and what is recalibrated with them.
 *
 * @throws ERR_IMPOSSIBLE (nothing to prune, no examples to hold out), ERR_OPTION, ERR_INCOMPATIBLE (no outputs, no blocks), and those of model, curvature and solver
 * @example
 * const { layers } = await pruneLayers({ model, data, solver: layerwise(), curvature: activations(), sparsity: 0.6 }, ctx);
 */
export async function pruneLayers(request: PruneLayersRequest, ctx: RunContext): Promise<PruneLayersResult> {
  const { model, data, blocks } = request;
  const params = request.params ?? model.params().flatMap(({ name, prunable }) => (prunable ? [name] : []));
  if (params.length === 0) throw nothingToPrune(model.name);
  const wanted = Math.min(data.size, request.examples ?? data.size);
  const examples = sampleIndices(data.size, wanted, forkContext(ctx, "calibration").rng);
  const { offsets = request.recalibrate ? "all" : "none", ...others } = request;
  const match = request.match ?? (request.recalibrate && offsets === "none" ? "own" : "dense");
  const fitted = createOffsets({ model, dense: request.dense, offsets }, ctx);
  const sampled: SampledRequest = { ...others, match, params, examples, fitted };
  if (blocks) assertBlocks(model);
  checkOffsets(offsets);
  if (blocks) checkBlockRefit(blocks);
  if (request.evolution) checkEvolution(request.evolution);
  const dense = await readAll(model, params);
  try {
    const result = await pruneShared(sampled, ctx);
    if (!blocks) return result;
    const { recalibrate } = request;
    const begun = ctx.now();
    const other = request.dense ?? (await request.openDense?.());
    // Without another one the dense model's blocks run in this one, with all that was fitted put back for a while.
    const own = new Map([...dense, ...fitted.originals()]);
    const refitted = await refitBlocks(
      { model, data, examples, params, dense: other ?? own, recalibrate, ...blocks },
      ctx,
    );
    await recalibrate?.(ctx);
    return { ...result, blocks: refitted, partsMs: { ...result.partsMs, blocks: ctx.now() - begun } };
  } catch (error) {
    await writeAll(model, dense);
    await fitted.restore();
    // An aborted run would measure nothing; and what went wrong first is what is told.
    const unaborted = { ...createRunContext({ kernels: ctx.kernels }), rng: ctx.rng };
    await request.recalibrate?.(unaborted).catch(() => {});
    throw error;
  }
}

/** Shares the budget out and prunes. */
async function pruneShared(request: SampledRequest, ctx: RunContext): Promise<PruneLayersResult> {
  const { model, data, params, examples, sparsity, limits, pattern, allocation = "auto" } = request;
  const told = request.limitOf ? "budget" : pattern && "pattern";
  if (told && request.allocation) throw nothingToShare(request.allocation);
  if (told) return await pruneOnce(request, { rule: told, keeps: undefined }, ctx);
  if (limits && !limitedAllocations.includes(allocation)) {
    throw limitNotShared({ allocation, limits: limits.map(({ name }) => name), known: limitedAllocations });
  }
  if (allocation === "uniform" && limits) {
    return await pruneOnce(request, { rule: "uniform", keeps: limitedShare(sparsity) }, ctx);
  }
  if (allocation === "uniform") {
    const all = { size: 0, eligible: 0 };
    for (const { name, rows, cols } of model.params().filter((param) => params.includes(param.name))) {
      const mayStay = request.eligible?.get(name);
      all.size += rows * cols;
      all.eligible += mayStay ? countKept(mayStay) : rows * cols;
    }
    return await pruneOnce(request, { rule: "uniform", keeps: evenShare(all, sparsity) }, ctx);
  }
  if (allocation !== "auto" && allocation !== "evolution") {
    const begun = ctx.now();
    const shares = await surveyLayers(request, [allocation], ctx);
    const survey = ctx.now() - begun;
    const kept =
      limits && allocation === "global"
        ? shareLimits(shares, { sparsity, limits, rule: allocation })
        : shareBudget(shares, sparsity, allocation);
    const keeps = inOrder(kept);
    const result = await pruneOnce(request, { rule: allocation, keeps }, ctx);
    return { ...result, partsMs: { survey, ...result.partsMs } };
  }
  const wanted = examples.length;
  const heldOut = request.heldOut ?? Math.max(1, Math.floor(wanted / 8));
  if (!(Number.isInteger(heldOut) && heldOut >= 1 && heldOut < wanted))
    throw nothingHeldOut({ model: model.name, allocation, heldOut, examples: wanted });
  const message = `${heldOut} of ${wanted} calibration examples are held out, to choose how layers share the budget; --layer-allocation uniform and global need none`;
  ctx.report({ type: "note", level: "info", code: "examples-held-out", message });
  const measure = await heldOutMeasure(model, { data, indices: examples.slice(0, heldOut), allocation }, ctx);
  const prune = allocation === "auto" ? pruneBest : pruneEvolved;
  return await prune({ ...request, examples: examples.slice(heldOut) }, measure, ctx);
}
