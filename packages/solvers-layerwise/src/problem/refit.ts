/**
 * The kept weights of every row re-fitted, r[S] = H[S, S]^-1 b[S] with b = H w0 - g; core's linalg has the ways to it. Rows too long to be factored one by one go by conjugate
 * gradients, some steps at a time, which end where these lower Q by less than a thousandth of it. Q is above its minimum by r'H^-1 r / 2, r the residual: where H is far from
 * singular that is little by then; along its flattest directions, which conjugate gradients come to last, some hundredths of Q may be left.
 */
import type { Mask, Mat, RunContext, SolveStatus } from "@secateur/core";
import { refitRows } from "@secateur/core/linalg";
import type { LayerProblem } from "./layer-problem.ts";

/** Steps of conjugate gradients between two looks at Q, and at most. */
const steps = { look: 12, most: 1000 };
/** The decrease from look to look, as a share of Q, that ends them. */
const least = 1e-3;
/** Of the energy of the dense outputs, what Q is worth at least there: below, nothing is lost. */
const nothing = 1e-9;
/** The residual, relative to the dense outputs, that ends them anyway. */
const tolerance = 1e-6;

/**
 * Weights [rows, cols] f64 of least Q on a mask [rows * cols], zeros elsewhere: "exact" by factorisations; by conjugate gradients, from
 * weights that are near (default: the dense ones), where rows are long: "converged", or "max-iterations", which is noted.
 */
export async function refit(
  layer: LayerProblem,
  mask: Mask,
  ctx: RunContext,
  near: Mat = layer.dense,
): Promise<{ readonly w: Mat; readonly status: SolveStatus }> {
  const { H, B, ridge } = layer;
  const common = { H, b: B, mask, tolerance, what: `H of '${layer.id}'`, damping: ridge, maxIterations: steps.look };
  let [start, before, done] = [near, Number.POSITIVE_INFINITY, 0];
  for (;;) {
    const { w, status, iterations } = await refitRows({ ...common, start }, ctx);
    // Directions without curvature change nothing that Q could see.
    if (status !== "max-iterations") return { w, status: status === "flat" ? "converged" : status };
    done += iterations;
    const value = layer.objective(w);
    if (before - value <= least * Math.max(Math.abs(value), nothing * layer.energy)) return { w, status: "converged" };
    if (done >= steps.most) {
      const message = `${layer.id}: the re-fit of the kept weights was ended after ${done} steps of conjugate gradients, short of the minimum; more calibration examples, or damping, make it easier`;
      ctx.report({ type: "note", level: "warn", code: "refit-cut-short", message });
      return { w, status: "max-iterations" };
    }
    [start, before] = [w, value];
  }
}
