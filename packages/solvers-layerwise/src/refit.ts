/**
 * The kept weights of every row re-fitted: r[S] = H[S, S]^-1 b[S], b = H w0 - g, the minimiser of Q on the row's support S.
 * Either exactly, by one Cholesky factorisation a row (k^3 / 6 multiply-adds), or by conjugate gradients on all rows at once,
 * preconditioned with the diagonal and projected on the supports (ALPS, Meng et al. 2024, algorithm 2): rows cols^2 a step.
 */
import { type Kernels, type Mask, type Mat, matrix, type RunContext } from "@secateur/core";
import type { LayerProblem } from "./layer-problem.ts";

/** How weights are re-fitted. */
export interface RefitOptions {
  /** Multiply-adds of exact factorisations above which conjugate gradients take over. */
  readonly mostExact?: number;
  /** Steps of conjugate gradients at most. */
  readonly steps?: number;
  /** They stop when every residual is below this fraction of the right-hand sides. */
  readonly tolerance?: number;
}

/** Half a minute of f64 products. */
const mostExactWork = 6e10;

/**
 * Weights [rows, cols] f64 of least Q on a mask [rows * cols], zeros elsewhere.
 *
 * @param start - where conjugate gradients start, [rows, cols]
 * @returns the weights, and the steps of conjugate gradients (0: exact)
 */
export async function refit(
  layer: LayerProblem,
  { mask, start }: { mask: Mask; start: Mat },
  ctx: RunContext,
  options: RefitOptions = {},
): Promise<{ w: Mat; steps: number }> {
  const { mostExact = mostExactWork } = options;
  const { rows, cols } = layer;
  let work = 0;
  for (let r = 0; r < rows; r++) {
    let kept = 0;
    for (let j = r * cols; j < (r + 1) * cols; j++) kept += mask[j]!;
    work += kept ** 3 / 6;
  }
  if (work > mostExact) return conjugateGradients(layer, { mask, start }, ctx, options);
  const w = matrix(rows, cols, new Float64Array(rows * cols));
  const solver = supportSolver(layer, ctx.kernels);
  for (let r = 0; r < rows; r++) {
    const support = supportOf(mask.subarray(r * cols, (r + 1) * cols));
    const values = solver.solve(support, layer.B.data.subarray(r * cols, (r + 1) * cols));
    support.forEach((j, s) => {
      w.data[r * cols + j] = values[s]!;
    });
    if (r % 16 === 15) await ctx.tick({ task: "solve", done: r + 1, total: rows });
  }
  solver.release();
  return { w, steps: 0 };
}

/** Places of the ones of a mask, ascending. */
export function supportOf(mask: Mask): Uint32Array {
  const support = new Uint32Array(mask.reduce((sum, bit) => sum + bit, 0));
  let place = 0;
  for (let j = 0; j < mask.length; j++) if (mask[j] === 1) support[place++] = j;
  return support;
}

/** Solves H[S, S] x = b[S] for one support after the other; the factor of equal neighbours is used again. */
function supportSolver(
  layer: LayerProblem,
  kernels: Kernels,
): { solve(support: Uint32Array, b: ArrayLike<number>): Float64Array; release(): void } {
  const { cols, H } = layer;
  const scratch = kernels.alloc(cols * cols, "f64");
  const right = kernels.alloc(cols, "f64");
  let known: Uint32Array | undefined;
  return {
    solve(support, b) {
      const k = support.length;
      const factor = matrix(k, k, scratch.subarray(0, k * k));
      if (!(known?.length === k && known.every((j, s) => j === support[s]))) {
        for (let s = 0, place = 0; s < k; s++) {
          const row = support[s]! * cols;
          for (let t = 0; t < k; t++) factor.data[place++] = H.data[row + support[t]!]!;
        }
        kernels.cholesky(factor);
        known = support;
      }
      const x = matrix(k, 1, right.subarray(0, k));
      for (let s = 0; s < k; s++) x.data[s] = b[support[s]!]!;
      kernels.triangularSolve({ l: factor, b: x });
      kernels.triangularSolve({ l: factor, b: x, transpose: true });
      return Float64Array.from(x.data);
    },
    release() {
      kernels.free(scratch);
      kernels.free(right);
    },
  };
}

/** Conjugate gradients on all rows at once; each row has its own step lengths. */
export async function conjugateGradients(
  layer: LayerProblem,
  { mask, start }: { mask: Mask; start: Mat },
  ctx: RunContext,
  { steps = 200, tolerance = 1e-6 }: RefitOptions = {},
): Promise<{ w: Mat; steps: number }> {
  const { rows, cols, H, B } = layer;
  const { kernels } = ctx;
  const take = (): Mat => matrix(rows, cols, kernels.alloc(rows * cols, "f64"));
  const [x, residual, direction, image] = [take(), take(), take(), take()];
  for (let i = 0; i < x.data.length; i++) x.data[i] = mask[i] === 1 ? start.data[i]! : 0;
  kernels.gemm({ a: x, b: H, out: image });
  const before = new Float64Array(rows);
  const target = new Float64Array(rows);
  for (let i = 0; i < x.data.length; i++) {
    const r = Math.floor(i / cols);
    const scale = H.data[(i % cols) * (cols + 1)]!;
    residual.data[i] = mask[i] === 1 ? B.data[i]! - image.data[i]! : 0;
    direction.data[i] = residual.data[i]! / scale;
    before[r]! += residual.data[i]! * direction.data[i]!;
    if (mask[i] === 1) target[r]! += B.data[i]! ** 2 / scale;
  }
  let done = 0;
  const isOpen = (r: number): boolean => before[r]! > tolerance ** 2 * target[r]!;
  while (done < steps && before.some((_, r) => isOpen(r))) {
    kernels.gemm({ a: direction, b: H, out: image });
    for (let r = 0; r < rows; r++) {
      if (!isOpen(r)) continue;
      const [from, to] = [r * cols, (r + 1) * cols];
      let curvature = 0;
      for (let i = from; i < to; i++) curvature += direction.data[i]! * image.data[i]!;
      const step = before[r]! / curvature;
      let after = 0;
      for (let i = from; i < to; i++) {
        if (mask[i] === 0) continue;
        x.data[i]! += step * direction.data[i]!;
        residual.data[i]! -= step * image.data[i]!;
        after += residual.data[i]! ** 2 / H.data[(i - from) * (cols + 1)]!;
      }
      const share = after / before[r]!;
      before[r] = after;
      for (let i = from; i < to; i++) {
        if (mask[i] === 0) continue;
        direction.data[i] = residual.data[i]! / H.data[(i - from) * (cols + 1)]! + share * direction.data[i]!;
      }
    }
    done++;
    await ctx.tick({ task: "solve", done, total: steps });
  }
  const w = matrix(rows, cols, Float64Array.from(x.data));
  for (const { data } of [x, residual, direction, image]) kernels.free(data);
  return { w, steps: done };
}
