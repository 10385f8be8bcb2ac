/** Conjugate gradients on H_SS d = (H pruned)_S - g_S, the diagonal of H as preconditioner: nothing but products with H. */
import { dtypeOf, type Problem, type RunContext, type Vec } from "@secateur/core";

/** Relative residual to stop at: what the products' dtype can tell. */
const tolerances = { f32: 1e-6, f64: 1e-13 } as const;
const maxIterations = 1000;

/**
 * d_S [kept.length].
 *
 * @param spec.kept - S, ascending
 * @param spec.pruned - [p]: w on the pruned weights, 0 elsewhere
 */
export async function solveByProducts(
  spec: { problem: Problem; kept: Uint32Array; pruned: Float64Array },
  ctx: RunContext,
): Promise<Float64Array> {
  const { problem, kept, pruned } = spec;
  const { curvature, gradient } = problem;
  const dtype = curvature.factor?.().dtype ?? dtypeOf(problem.w.data);
  const vector = (length: number): Vec => (dtype === "f64" ? new Float64Array(length) : new Float32Array(length));
  const [full, image] = [vector(curvature.dim), vector(curvature.dim)];
  const diagonal = curvature.diagonal();
  full.set(pruned);
  await curvature.apply(full, image);
  const r = Float64Array.from(kept, (j) => image[j]! - (gradient?.data[j] ?? 0));
  const d = new Float64Array(kept.length);
  // A zero column without damping has no slope either: any positive number does.
  const inverse = Float64Array.from(kept, (j) => 1 / (diagonal[j]! || 1));
  const z = new Float64Array(kept.length);
  const precondition = (): number => {
    ctx.kernels.multiply(inverse, r, z);
    return ctx.kernels.dot(r, z);
  };
  let rho = precondition();
  const target = tolerances[dtype] ** 2 * rho;
  const direction = z.slice();
  const product = new Float64Array(kept.length);
  for (let iteration = 0; iteration < maxIterations && rho > target && rho > 0; iteration++) {
    full.fill(0);
    for (let s = 0; s < kept.length; s++) full[kept[s]!] = direction[s]!;
    await curvature.apply(full, image);
    for (let s = 0; s < kept.length; s++) product[s] = image[kept[s]!]!;
    const alpha = rho / ctx.kernels.dot(direction, product);
    ctx.kernels.axpy(alpha, direction, d);
    ctx.kernels.axpy(-alpha, product, r);
    const next = precondition();
    for (let s = 0; s < kept.length; s++) direction[s] = z[s]! + (next / rho) * direction[s]!;
    rho = next;
    if (iteration % 20 === 19) await ctx.tick({ task: "solve", done: iteration + 1 });
  }
  return d;
}
