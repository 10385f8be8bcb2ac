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
import { denseSlope } from "../network/dense-targets.ts";
import { holdNotes } from "../network/held-notes.ts";
import { layerProgress } from "../network/layer-progress.ts";
import type { Offsets } from "../network/offsets.ts";
import { eligibleRows, readRows } from "../network/parameters.ts";
import { type LayerAllocation, type LayerShare, outlierShare } from "./share-budget.ts";
import { traceLosses } from "./trace-losses.ts";

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

/** What each rule needs to know of every layer, in the order in which they come. What is noted on the way is told when layers are solved, but for traces of some rows alone. */
export async function surveyLayers(
  request: Omit<LayerCurvatureRequest, "inputs"> &
    Pick<LayerLoopRequest, "eligible"> & { readonly curvature: LayerCurvatureEstimator; readonly fitted: Offsets },
  rules: readonly LayerAllocation[],
  outer: RunContext,
): Promise<readonly LayerShare[]> {
  const { ctx: held, tell } = holdNotes(outer);
  const { model, curvature } = request;
  const progress = layerProgress(model, request.params, held);
  const { ctx } = progress;
  const shares: LayerShare[] = [];
  for await (const given of curvature.estimate({ ...request, inputs: "parallel" }, ctx)) {
    for (const target of given.targets) {
      const layer = request.fitted.posed(target, given);
      const w = await readRows(model, target);
      const size = w.rows * w.cols;
      const eligible = eligibleRows(request.eligible, target, w.cols);
      const constraint = keepCount({ count: size, keep: size });
      const u = request.dense ? await readRows(request.dense, target) : w;
      const problem = layerProblemOf({ target, w, u, layer, constraint }, ctx.kernels);
      shares.push({
        ...{ param: target.param, size },
        ...(eligible ? { eligible: countKept(eligible) } : {}),
        ...(await traceLosses(problem, { rules, eligible }, ctx)),
        ...(rules.includes("owl") ? { outliers: outlierShare(w, layer.curvature) } : {}),
      });
      progress.leave(target);
    }
  }
  tell("trace-sampled");
  return shares;
}
