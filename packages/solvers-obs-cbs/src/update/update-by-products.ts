/** The joint update where the curvature has products with H alone: conjugate gradients on H_SS d = (H w_P)_S - g_S. */
import { dtypeOf, type Problem, type RunContext, type Vec, zeros } from "@secateur/core";
import { type BlockRange, conjugateGradients } from "@secateur/core/linalg";

/**
 * d_S [support.length], block after block.
 *
 * @param spec.support - S, ascending
 * @param spec.tolerance - relative residual to stop at; default: what the dtype of the weights can tell
 */
export async function updateByProducts(
  spec: { problem: Problem; support: Uint32Array; ranges: readonly BlockRange[]; tolerance: number | undefined },
  ctx: RunContext,
): Promise<Float64Array> {
  const { problem, support, ranges } = spec;
  const { curvature, gradient, w } = problem;
  const dtype = dtypeOf(w.data);
  const tolerance = spec.tolerance ?? (dtype === "f64" ? 1e-12 : 1e-6);
  const [full, image] = [zeros(w.cols, dtype), zeros(w.cols, dtype)];
  const diagonal = curvature.diagonal();
  const d = new Float64Array(support.length);
  let first = 0;
  for (const { start, end } of ranges) {
    const kept = support.subarray(first).filter((j) => j < end);
    const own = d.subarray(first, first + kept.length);
    full.fill(0);
    full.set(w.data.subarray(start, end), start);
    for (const j of kept) full[j] = 0;
    await curvature.apply(full, image);
    const residual = Float64Array.from(kept, (j) => image[j]! - (gradient?.data[j] ?? 0));
    full.fill(0);
    const apply = async (x: Vec, out: Vec): Promise<void> => {
      for (let s = 0; s < kept.length; s++) full[kept[s]!] = x[s]!;
      await curvature.apply(full, image);
      for (let s = 0; s < kept.length; s++) out[s] = image[kept[s]!]!;
    };
    const ownDiagonal = Float64Array.from(kept, (j) => diagonal[j]!);
    const rounding = dtype === "f64" ? 2 ** -52 : 2 ** -23;
    const limits = { tolerance, maxIterations: 1000, rounding };
    await conjugateGradients({ x: own, residual, diagonal: ownDiagonal, apply, ...limits }, ctx);
    first += kept.length;
  }
  return d;
}
