/** Layers pruned once for every rule that "auto" tries; the weights that are best on held-out examples stay. */
import { type Mat, quietContext, type RunContext } from "@secateur/core";
import { holdNotes } from "../network/held-notes.ts";
import { readAll, writeAll } from "../network/parameters.ts";
import type { PruneLayersResult } from "../network/prune-layers.ts";
import { pruneOnce, type SampledRequest } from "../network/prune-once.ts";
import type { OutputMeasure } from "./held-out-outputs.ts";
import { inOrder, type LayerAllocation, shareBudget, shareLimits } from "./share-budget.ts";
import { surveyLayers } from "./survey-layers.ts";

/** Rules that "auto" tries. */
const tried = ["uniform", "global"] as const satisfies readonly LayerAllocation[];

/** Prunes once by every rule, from the same dense weights, and leaves the best. */
export async function pruneBest(
  request: SampledRequest,
  measure: OutputMeasure,
  ctx: RunContext,
): Promise<PruneLayersResult> {
  const { model, params, sparsity, fitted, limits } = request;
  const begun = ctx.now();
  const shares = await surveyLayers(request, tried, ctx);
  const survey = ctx.now() - begun;
  const dense = await readAll(model, params);
  const errors: Record<string, number> = {};
  let best:
    | { result: PruneLayersResult; weights: ReadonlyMap<string, Mat>; error: number; tellNotes: () => void }
    | undefined;
  for (const rule of tried) {
    await writeAll(model, dense);
    await fitted.restore();
    // What the last try changed beside the weights is measured anew, too.
    if (best) await request.recalibrate?.(quietContext(ctx));
    const held = holdNotes(ctx);
    const kept = limits ? shareLimits(shares, { sparsity, limits, rule }) : shareBudget(shares, sparsity, rule);
    const keeps = inOrder(kept);
    const result = await pruneOnce(request, { rule, keeps }, held.ctx);
    const error = await measure(quietContext(ctx));
    errors[rule] = error;
    if (!best || error < best.error)
      best = {
        ...{ result, error, tellNotes: held.tell },
        weights: new Map([...(await readAll(model, params)), ...(await fitted.read())]),
      };
  }
  best!.tellNotes();
  await writeAll(model, best!.weights);
  await request.recalibrate?.(ctx);
  const { partsMs = {} } = best!.result;
  const own = Object.values(partsMs).reduce((sum, ms) => sum + ms, 0);
  // What is left is the try that was not kept, and judging both.
  const choice = ctx.now() - begun - survey - own;
  return { ...best!.result, heldOutError: errors, partsMs: { survey, choice, ...partsMs } };
}
