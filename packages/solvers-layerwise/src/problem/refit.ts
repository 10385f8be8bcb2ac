/** The kept weights of every row re-fitted, r[S] = H[S, S]^-1 b[S] with b = H w0 - g; core's linalg has the ways to it. */
import type { Mask, Mat, RunContext, SolveStatus } from "@secateur/core";
import { refitRows } from "@secateur/core/linalg";
import type { LayerProblem } from "./layer-problem.ts";

/** Residual at which conjugate gradients end, relative to the dense outputs: Q is off by its square, a millionth of what these weigh. */
const tolerance = 1e-3;

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
  const { w, status, iterations } = await refitRows(
    { H, b: B, mask, start: near, tolerance, what: `H of '${layer.id}'`, damping: ridge },
    ctx,
  );
  if (status === "max-iterations") {
    const message = `${layer.id}: the re-fit of the kept weights was ended after ${iterations} steps of conjugate gradients, short of the minimum; more calibration examples, or damping, make it easier`;
    ctx.report({ type: "note", level: "warn", code: "refit-cut-short", message });
  }
  // Directions without curvature change nothing that Q could see.
  return { w, status: status === "flat" ? "converged" : status };
}
