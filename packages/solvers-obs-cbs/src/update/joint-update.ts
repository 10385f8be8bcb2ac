/**
 * The joint OBS update (CBS-U, Yu et al., ICML 2022): all pruned weights P go to zero at once and the kept ones S answer,
 *   d_P = -w_P,   minimise 1/2 d'Hd + g'd over d_S:   H_SS d_S = H_SP w_P - g_S,
 * the exact ridge re-fit of core's linear algebra. A singular system is refused, never repaired.
 */

import { keptWeights, type Mask, type Problem, type RunContext } from "@secateur/core";
import { type BlockSize, blockRanges, flattenRows, type RefitForm, refitMask } from "@secateur/core/linalg";
import { defaults } from "../defaults.ts";

/** Settings of {@link jointUpdate}. */
export interface JointUpdateOptions {
  /** What H is cut to; default "network". */
  readonly blockSize?: BlockSize | undefined;
  /** How the linear system is solved; default "auto", the cheapest. */
  readonly form?: RefitForm | "auto" | undefined;
}

/**
 * The best weights on a mask, exactly; f64 [rows * p], zeros where the mask is 0.
 * Time by form, k kept weights and n rows: n k^2 / 2 + k^3 / 3, n^2 k / 2 + n^3 / 3, or some 100 products. Memory: 8 k^2 + 8 n k,
 * 8 n^2, or a few vectors.
 *
 * @param spec.tolerance - relative residual at which conjugate gradients stop; default: what the dtype can tell
 * @throws ERR_SINGULAR naming pivot and damping
 */
export async function jointUpdate(
  spec: { problem: Problem; mask: Mask; tolerance?: number } & JointUpdateOptions,
  ctx: RunContext,
): Promise<Float64Array> {
  const { mask, blockSize = defaults.update.blockSize, form = defaults.update.form, tolerance } = spec;
  const problem = flattenRows(spec.problem);
  const { layers, w: w0 } = problem;
  const support = keptWeights(problem.units, mask);
  const ranges = blockRanges({ size: w0.cols, layers, blockSize, leftOver: "own block", who: "the joint update" });
  const how = { form, tolerance, recurrences: "f64", singular: "refuse", who: "joint OBS update" } as const;
  const { d } = await refitMask({ problem, support, ranges }, how, ctx);
  const w = new Float64Array(w0.cols);
  support.forEach((j, s) => {
    w[j] = w0.data[j]! + d[s]!;
  });
  return w;
}
