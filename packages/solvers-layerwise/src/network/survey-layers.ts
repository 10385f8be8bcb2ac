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
  type Mat,
  type Problem,
  type RunContext,
  type Units,
  weightUnits,
} from "@secateur/core";
import { obcTrace } from "../methods/obc.ts";
import { convexSlopes } from "../search/allocate.ts";
import { denseSlope } from "./dense-targets.ts";
import { eligibleRows, readRows } from "./parameters.ts";
import { type LayerAllocation, type LayerShare, outlierShare } from "./share-budget.ts";

/** The problem of some rows of a layer; with a slope where they are to give the dense model's outputs. */
export function layerProblemOf(
  {
    target,
    w,
    layer,
    constraint,
    units = weightUnits(w.rows * w.cols),
  }: { target: LayerRows; w: Mat; layer: LayerCurvature; constraint: Constraint; units?: Units },
  kernels: Kernels,
): Problem {
  const { curvature, dense } = layer;
  const problem = { id: target.param, w, curvature, units, constraint };
  return dense ? { ...problem, gradient: denseSlope(w, layer, dense, kernels) } : problem;
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
      const problem = layerProblemOf({ target, w, layer, constraint }, ctx.kernels);
      shares.push({
        size,
        ...(eligible ? { eligible: countKept(eligible) } : {}),
        ...(rules.includes("global") ? { losses: await relativeLosses(problem, ctx) } : {}),
        ...(rules.includes("owl") ? { outliers: outlierShare(w, layer.curvature) } : {}),
      });
    }
  }
  return shares;
}

/** Of all removals of a layer, 8 bytes a weight: all that is kept of its traces. A layer whose outputs are all 0 loses nothing by any of them. */
async function relativeLosses(problem: Problem, ctx: RunContext): Promise<Float64Array> {
  const { losses, counts, energy } = await obcTrace(problem, ctx);
  const { cols } = problem.w;
  const all = new Float64Array(losses.length);
  if (!(energy > 0)) return all;
  counts.forEach((count, r) => {
    all.set(convexSlopes(losses.subarray(r * cols, r * cols + count)), r * cols);
  });
  for (let i = 0; i < all.length; i++) all[i]! /= energy;
  return all.sort();
}
