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
import { copyOf } from "../network/kept-curvatures.ts";
import { layerProgress } from "../network/layer-progress.ts";
import type { Offsets } from "../network/offsets.ts";
import { eligibleRows, readRows } from "../network/parameters.ts";
import { type LayerAllocation, type LayerShare, outlierShare } from "./share-budget.ts";
import { asksForTraces, type LayerTraces, traceLosses } from "./trace-losses.ts";

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
    Pick<LayerLoopRequest, "eligible"> & {
      readonly curvature: LayerCurvatureEstimator;
      readonly fitted: Offsets;
      /** What traces a layer, and how many at a time; default: here, one after the other. */
      readonly traces?: typeof traceLosses;
      readonly atOnce?: number;
    },
  rules: readonly LayerAllocation[],
  outer: RunContext,
): Promise<readonly LayerShare[]> {
  const { ctx: held, tell } = holdNotes(outer);
  const { model, curvature, traces = traceLosses } = request;
  const atOnce = asksForTraces(rules) ? (request.atOnce ?? 1) : 1;
  /** Layers that are being traced, in their order. */
  const open: (() => Promise<void>)[] = [];
  const progress = layerProgress(model, request.params, held);
  const { ctx } = progress;
  const shares: LayerShare[] = [];
  for await (const lent of curvature.estimate({ ...request, inputs: "parallel" }, ctx)) {
    // What is lent is freed before the next is asked for.
    const mayWait = atOnce > 1 && lent.curvature.gram !== undefined;
    const given = mayWait ? copyOf(lent, ctx.kernels) : lent;
    for (const target of given.targets) {
      const layer = request.fitted.posed(target, given);
      const w = await readRows(model, target);
      const size = w.rows * w.cols;
      const eligible = eligibleRows(request.eligible, target, w.cols);
      const constraint = keepCount({ count: size, keep: size });
      const u = request.dense ? await readRows(request.dense, target) : w;
      const problem = layerProblemOf({ target, w, u, layer, constraint }, ctx.kernels);
      const share: LayerShare = {
        ...{ param: target.param, size },
        ...(eligible ? { eligible: countKept(eligible) } : {}),
        ...(rules.includes("owl") ? { outliers: outlierShare(w, layer.curvature) } : {}),
      };
      // What layers note is told in their order.
      const own = holdNotes(ctx);
      const tracing: Promise<LayerTraces> = traces(problem, { rules, eligible }, own.ctx);
      tracing.catch(() => {}); // awaited when its turn has come
      open.push(async () => {
        const traced = await tracing;
        own.tell();
        shares.push({ ...share, ...traced });
        progress.leave(target);
      });
      while (open.length >= (mayWait ? atOnce : 1)) await open.shift()!();
    }
  }
  for (const finish of open) await finish();
  tell("trace-sampled");
  return shares;
}
