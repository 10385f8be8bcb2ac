/**
 * A budget shared out by every rule that "auto" tries, the one kept whose outputs on held-out examples are nearest to the dense ones. What the rules give is judged by a draft: all
 * layers solved from the dense model's inputs, which are taken once for all rules, by the solver's quicker method where it has one. The layers are then pruned as
 * asked with the numbers that won.
 */
import { quietContext, type RunContext } from "@secateur/core";
import { outputsNotFinite } from "../errors.ts";
import { holdNotes } from "../network/held-notes.ts";
import { keepCurvatures } from "../network/kept-curvatures.ts";
import { readAll, writeAll } from "../network/parameters.ts";
import type { PruneLayersResult } from "../network/prune-layers.ts";
import { pruneOnce, type SampledRequest } from "../network/prune-once.ts";
import { finiteOr, type OutputMeasure } from "./held-out-outputs.ts";
import { inOrder, type LayerAllocation, shareBudget, shareLimits } from "./share-budget.ts";
import { surveyLayers } from "./survey-layers.ts";

/** Rules that "auto" tries. */
const tried = ["uniform", "global"] as const satisfies readonly LayerAllocation[];

/** Prunes in place by the best rule. Time: a pass over the calibration examples, two drafts, and the final pruning; two passes more where the H of all layers are more than 1 GiB. `heldOutError` is that of the drafts. @throws ERR_NOT_FINITE where no rule gives finite outputs */
export async function pruneBest(
  request: SampledRequest,
  measure: OutputMeasure,
  ctx: RunContext,
): Promise<PruneLayersResult> {
  const { model, params, sparsity, fitted, limits, solver } = request;
  const quiet = quietContext(ctx);
  const begun = ctx.now();
  const kept = keepCurvatures(request.curvature, ctx);
  const shares = await surveyLayers({ ...request, curvature: kept.estimator }, tried, ctx);
  const survey = ctx.now() - begun;
  const dense = await readAll(model, params);
  const curvature = kept.replay() ?? request.curvature;
  // Biases alone are near enough as they are fitted with each layer; statistics are judged as they will be measured.
  const { recalibrate, ...others } = request;
  const following = recalibrate && fitted.fits !== "biases" ? { recalibrate } : {};
  const draft: SampledRequest = {
    ...{ ...others, ...following },
    ...{ curvature, inputs: "parallel", solver: solver.draft ?? solver },
  };
  const errors: Record<string, number> = {};
  let best: { readonly rule: LayerAllocation; readonly keeps: readonly number[]; readonly error: number } | undefined;
  for (const rule of tried) {
    const keeps = limits ? shareLimits(shares, { sparsity, limits, rule }) : shareBudget(shares, sparsity, rule);
    await pruneOnce(draft, { rule, keeps: inOrder(keeps) }, holdNotes(ctx).ctx);
    const error = finiteOr(await measure(quiet));
    errors[rule] = error;
    if (!best || error < best.error) best = { rule, keeps, error };
    await writeAll(model, dense);
    await fitted.restore();
    await following.recalibrate?.(quiet);
  }
  if (!Number.isFinite(best!.error)) throw outputsNotFinite(model.name, tried);
  const choice = ctx.now() - begun - survey;
  const { rule, keeps } = best!;
  const isTaken = request.inputs === "parallel";
  if (!isTaken) kept.release();
  const result = await pruneOnce(
    { ...request, ...(isTaken ? { curvature } : {}) },
    { rule, keeps: inOrder(keeps) },
    ctx,
  );
  return { ...result, heldOutError: errors, partsMs: { survey, choice, ...result.partsMs } };
}
