/** A first look at all layers, from the dense model's inputs: what their shared budget is decided on. */
import {
  type Constraint,
  countKept,
  type Kernels,
  keepCount,
  type LayerCurvature,
  type LayerCurvatureEstimator,
  type LayerCurvatureRequest,
  type LayerLoopRequest,
  type LayerRows,
  type Mask,
  type Mat,
  type Problem,
  type RunContext,
  type Units,
  weightUnits,
} from "@secateur/core";
import { obcTrace, rowLosses } from "../methods/obc.ts";
import { convexSlopes } from "../search/allocate.ts";
import { denseSlope } from "./dense-targets.ts";
import { lossLevels } from "./loss-database.ts";
import { eligibleRows, readRows } from "./parameters.ts";
import { type LayerAllocation, type LayerShare, outlierShare } from "./share-budget.ts";

/** The problem of some rows of a layer; with a slope where they are to give the outputs that weights `u` have in the dense model. */
export function layerProblemOf(
  spec: { target: LayerRows; w: Mat; u: Mat; layer: LayerCurvature; constraint: Constraint; units?: Units },
  kernels: Kernels,
): Problem {
  const { target, w, u, layer, constraint } = spec;
  const { curvature, dense } = layer;
  const { units = weightUnits(w.rows * w.cols) } = spec;
  const problem = { id: target.param, w, curvature, units, constraint };
  return dense ? { ...problem, gradient: denseSlope({ w, u, layer, dense }, kernels) } : problem;
}

/** What each rule needs to know of every layer, in the order in which they come. */
export async function surveyLayers(
  request: Omit<LayerCurvatureRequest, "inputs"> &
    Pick<LayerLoopRequest, "eligible"> & { readonly curvature: LayerCurvatureEstimator },
  rules: readonly LayerAllocation[],
  ctx: RunContext,
): Promise<readonly LayerShare[]> {
  const { model, curvature } = request;
  const shares: LayerShare[] = [];
  for await (const layer of curvature.estimate({ ...request, inputs: "parallel" }, ctx)) {
    for (const target of layer.targets) {
      const w = await readRows(model, target);
      const size = w.rows * w.cols;
      const eligible = eligibleRows(request.eligible, target, w.cols);
      const constraint = keepCount({ count: size, keep: size });
      const u = request.dense ? await readRows(request.dense, target) : w;
      const problem = layerProblemOf({ target, w, u, layer, constraint }, ctx.kernels);
      shares.push({
        size,
        ...(eligible ? { eligible: countKept(eligible) } : {}),
        ...(await lossesOf(problem, { rules, ...(eligible ? { eligible } : {}) }, ctx)),
        ...(rules.includes("owl") ? { outliers: outlierShare(w, layer.curvature) } : {}),
      });
    }
  }
  return shares;
}

/**
 * What the traces tell the rules that read them: of all removals of a layer 8 bytes a weight, and its levels. A layer whose outputs are all 0 loses
 * nothing by any of them.
 */
async function lossesOf(
  problem: Problem,
  { rules, eligible }: { rules: readonly LayerAllocation[]; eligible?: Mask },
  ctx: RunContext,
): Promise<Pick<LayerShare, "losses" | "levels">> {
  const [isGlobal, isDatabase] = [rules.includes("global"), rules.includes("loss-database")];
  if (!isGlobal && !isDatabase) return {};
  const trace = await obcTrace(problem, ctx, isDatabase && eligible ? { eligible } : {});
  const size = trace.losses.length;
  return {
    ...(isGlobal ? { losses: relativeLosses(trace, problem.w.cols) } : {}),
    ...(isDatabase
      ? {
          levels: lossLevels(rowLosses(trace, problem.w.cols, eligible), {
            ...{ size, energy: trace.energy },
            ...(eligible ? { eligible: countKept(eligible) } : {}),
          }),
        }
      : {}),
  };
}

function relativeLosses({ losses, counts, energy }: Awaited<ReturnType<typeof obcTrace>>, cols: number): Float64Array {
  const all = new Float64Array(losses.length);
  if (!(energy > 0)) return all;
  counts.forEach((count, r) => {
    all.set(convexSlopes(losses.subarray(r * cols, r * cols + count)), r * cols);
  });
  for (let i = 0; i < all.length; i++) all[i]! /= energy;
  return all.sort();
}
