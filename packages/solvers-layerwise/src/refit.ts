/** The kept weights of every row re-fitted, r[S] = H[S, S]^-1 b[S] with b = H w0 - g; core's linalg has the ways to it. */
import type { Mask, Mat, RunContext } from "@secateur/core";
import { refitRows } from "@secateur/core/linalg";
import type { LayerProblem } from "./layer-problem.ts";

/** Weights [rows, cols] f64 of least Q on a mask [rows * cols], zeros elsewhere. Conjugate gradients start from the dense weights. */
export async function refit(layer: LayerProblem, mask: Mask, ctx: RunContext): Promise<Mat> {
  const { H, B, dense, ridge } = layer;
  const { w } = await refitRows({ H, b: B, mask, start: dense, what: `H of '${layer.id}'`, damping: ridge }, ctx);
  return w;
}
