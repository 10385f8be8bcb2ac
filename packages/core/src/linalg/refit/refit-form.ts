/** Which way a re-fit on a support is solved: the one rule for the least estimated time. */
import type { FactorView } from "../../problem/curvature.ts";
import { gemmSpeedUp } from "../gemm-speed-up.ts";

/** How a ridge system on a support is solved: a k x k or an n x n Cholesky factorisation, or products alone. */
export type RefitForm = "primal" | "dual" | "cg";

/** Conjugate gradients take about this many iterations to single precision on rows of a network. */
export const usualIterations = 80;

/** Without damping a factorisation tells for sure whether a system is singular; up to this size it is affordable: 134 MB. */
const mostPrimal = 4096;

/**
 * The form of least estimated time for the view over a support (n rows, k weights):
 *   primal  (n k^2 + k^3 / 3) / gemmSpeedUp      dual  (n^2 k + n^3 / 3) / gemmSpeedUp      cg  160 products
 * Without damping only the primal form is defined, for k <= n. With a slope g the dual form divides it by the damping, which
 * cancels; it is left to the other two. Without columns there are only products, and, to tell a singular system where that
 * matters, the Gram matrix of few columns.
 *
 * @param spec.hasSlope - whether there is a first-order term
 * @param spec.refusesSingular - whether a singular system must be told from a regular one
 */
export function cheapestForm(
  view: Pick<FactorView, "rows" | "dim" | "damping" | "productCost" | "columns" | "columnGram">,
  spec: { readonly hasSlope: boolean; readonly refusesSingular: boolean },
): RefitForm {
  const { rows: n, dim: k, damping, productCost } = view;
  if (!view.columns) {
    const tells = spec.refusesSingular && view.columnGram && damping === 0 && k <= mostPrimal;
    return tells ? "primal" : "cg";
  }
  if (damping === 0) return k <= n ? "primal" : "cg";
  const cg = 2 * usualIterations * productCost;
  const primal = (n * k * k + k ** 3 / 3) / gemmSpeedUp;
  const dual = spec.hasSlope ? Number.POSITIVE_INFINITY : (n * n * k + n ** 3 / 3) / gemmSpeedUp;
  if (cg <= primal && cg <= dual) return "cg";
  return primal <= dual ? "primal" : "dual";
}
