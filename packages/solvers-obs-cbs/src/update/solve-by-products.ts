/** Conjugate gradients on H_SS d = (H pruned)_S - g_S, the diagonal of H as preconditioner: nothing but products with H. */
import { dtypeOf, matrix, type Problem, quietContext, type RunContext, type Vec } from "@secateur/core";
import { singularUpdate } from "../errors.ts";

/** Relative residual to stop at: what the products' dtype can tell. */
const tolerances = { f32: 1e-6, f64: 1e-13 } as const;
const maxIterations = 1000;
/** Curvature along a direction below this part of what the diagonal gives it is only rounding. */
const flat = { f32: 2 ** -23, f64: 2 ** -52 } as const;

/**
 * d_S [kept.length].
 *
 * @param spec.kept - S, ascending
 * @param spec.pruned - [p]: w on the pruned weights, 0 elsewhere
 * @param spec.tolerance - relative residual to stop at, where it is larger than the default
 * @throws ERR_SINGULAR without damping, at a direction without curvature
 */
export async function solveByProducts(
  spec: { problem: Problem; kept: Uint32Array; pruned: Float64Array; tolerance?: number | undefined },
  ctx: RunContext,
): Promise<Float64Array> {
  const { problem, kept, pruned } = spec;
  const { curvature, gradient } = problem;
  const dtype = curvature.factor?.().dtype ?? dtypeOf(problem.w.data);
  const [full, image] = [vectorOf(dtype, curvature.dim), vectorOf(dtype, curvature.dim)];
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
  const target = Math.max(spec.tolerance ?? 0, tolerances[dtype]) ** 2 * rho;
  const direction = z.slice();
  const product = new Float64Array(kept.length);
  const isUndamped = curvature.factor?.().damping === 0;
  const quiet = quietContext(ctx);
  const { apply, release } = await blockProducts({ problem, kept }, ctx);
  try {
    for (let iteration = 0; iteration < maxIterations && rho > target && rho > 0; iteration++) {
      await apply(direction, product);
      const bend = ctx.kernels.dot(direction, product);
      if (isUndamped && !(bend > flat[dtype] * weightedSquares(direction, inverse))) {
        // The curvature along the directions of conjugate gradients are the pivots of the tridiagonal matrix behind them.
        throw singularUpdate({ form: "cg", pivot: iteration, damping: 0 });
      }
      const alpha = rho / bend;
      ctx.kernels.axpy(alpha, direction, d);
      ctx.kernels.axpy(-alpha, product, r);
      const next = precondition();
      for (let s = 0; s < kept.length; s++) direction[s] = z[s]! + (next / rho) * direction[s]!;
      rho = next;
      // An abort is heard in every iteration.
      await (iteration % 20 === 19 ? ctx : quiet).tick({ task: "solve", done: iteration + 1 });
    }
  } finally {
    release();
  }
  return d;
}

/** sum of x_j^2 / inverse_j */
function weightedSquares(x: Float64Array, inverse: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < x.length; j++) sum += x[j]! ** 2 / inverse[j]!;
  return sum;
}

/** x, out [kept.length] */
interface BlockProducts {
  apply(x: Float64Array, out: Float64Array): Promise<void>;
  release(): void;
}

/** Entries of gathered columns at most: 256 MB of f32. */
const mostGathered = 2 ** 26;

/** Products with H_SS, in the cheapest way there is: gathered columns, the view's own over S, or all of H. */
async function blockProducts(
  { problem, kept }: { problem: Problem; kept: Uint32Array },
  { kernels }: RunContext,
): Promise<BlockProducts> {
  const { curvature } = problem;
  const view = curvature.factor?.();
  const cols = kept.length;
  if (view?.columns && view.rows * cols <= Math.min(view.productCost, mostGathered)) {
    const { rows, scale, damping, dtype } = view;
    const G = matrix(rows, cols, kernels.alloc(rows * cols, dtype));
    await view.columns(kept, G);
    const [x, u, back] = [vectorOf(dtype, cols), vectorOf(dtype, rows), vectorOf(dtype, cols)];
    return {
      async apply(direction, out) {
        x.set(direction);
        kernels.gemv({ a: G, x, out: u });
        kernels.gemv({ a: G, transpose: true, x: u, out: back });
        for (let s = 0; s < cols; s++) out[s] = scale * back[s]! + damping * direction[s]!;
      },
      release: () => kernels.free(G.data),
    };
  }
  if (view?.restricted) {
    const { scale, damping, dtype } = view;
    const inner = view.restricted(kept);
    const [x, u, back] = [vectorOf(dtype, cols), vectorOf(dtype, view.rows), vectorOf(dtype, cols)];
    return {
      async apply(direction, out) {
        x.set(direction);
        await inner.times(x, u);
        await inner.transposeTimes(u, back);
        for (let s = 0; s < cols; s++) out[s] = scale * back[s]! + damping * direction[s]!;
      },
      release: () => inner.release(),
    };
  }
  const dtype = view?.dtype ?? dtypeOf(problem.w.data);
  const [full, image] = [vectorOf(dtype, curvature.dim), vectorOf(dtype, curvature.dim)];
  return {
    async apply(direction, out) {
      for (let s = 0; s < cols; s++) full[kept[s]!] = direction[s]!;
      await curvature.apply(full, image);
      for (let s = 0; s < cols; s++) out[s] = image[kept[s]!]!;
    },
    release: () => {},
  };
}

function vectorOf(dtype: "f32" | "f64", length: number): Vec {
  return dtype === "f64" ? new Float64Array(length) : new Float32Array(length);
}
