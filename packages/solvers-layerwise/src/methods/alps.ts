/**
 * ALPS (Meng et al., ALPS: Improved optimization for highly sparse one-shot pruning, NeurIPS 2024): with H damped and scaled to a unit
 * diagonal, weights W and sparse weights D are brought together by ADMM,
 *   W = (H + rho I)^-1 (H w0 - V + rho D),  D = the projection of W + V / rho on the budget,  V += rho (W - D),
 * rho growing while the support still changes. The support is D's, the weights are re-fitted on it.
 * Departures: one Cholesky factorisation for every rho instead of one eigenvalue decomposition (rho takes about ten values); the steps
 * are in f32, whose rounding is far below rho, and end where rho has become too small for it; rho begins anew, smaller, only where nothing at all has moved, not after every small change;
 * a support that moves and comes back between two looks is not taken for settled; the re-fit is that of refit.ts, where a few projected conjugate
 * gradients were published, and without the damping.
 */

import {
  countKept,
  type Kernels,
  type Mask,
  type Mat,
  matrix,
  type Problem,
  type RunContext,
  type Solver,
  throwIfAborted,
  type Vec,
  weightMask,
} from "@secateur/core";
import { defaults } from "../defaults.ts";
import { noteLong } from "../problem/foreseen.ts";
import { type LayerProblem, layerProblem } from "../problem/layer-problem.ts";
import { refit } from "../problem/refit.ts";
import { solutionOf, withLayer } from "../problem/solution.ts";

/** Settings of {@link alps}. */
export interface AlpsOptions {
  /** Added to the diagonal of H while the support is searched, as a fraction of its mean, >= 0. Default 0.01. */
  readonly damping?: number | undefined;
  /** The first rho, > 0. Default 0.1. */
  readonly rho?: number | undefined;
  /** Steps at most, >= 1. Default 300. */
  readonly iterations?: number | undefined;
}

/** Steps between two looks at how far the support has changed. */
const lookEvery = 3;
/** By how much rho grows for which change of the support, as a fraction of what is kept. */
const growth = [
  { change: 0.1, factor: 1.3 },
  { change: 0.005, factor: 1.2 },
  { change: 0, factor: 1.1 },
] as const;
/** From this step on changes below that fraction count as none. */
const patience = { steps: 30, change: 3e-4 };

/** ALPS as a solver, for any budget over any units. Time: rows cols^2 a step, cols^3 / 6 for every rho. Memory: 8 cols^2 + 28 rows cols bytes more. */
export function alps(options: AlpsOptions = {}): Solver {
  return {
    needs: {},
    scope: "layers",
    draft: alpsDraft(options),
    solve: (problem, ctx) => {
      throwIfAborted(ctx.signal);
      return withLayer(layerProblem(problem, ctx), async (layer) => {
        noteLong(layer, { runsAdmm: true }, ctx);
        const { mask, near, steps, settled } = await alpsMask(problem, layer, ctx, options);
        const { w, status: refitted } = await refit(layer, weightMask(problem.units, mask), ctx, near);
        const status = settled && refitted !== "max-iterations" ? "converged" : "max-iterations";
        return solutionOf(problem, layer, { w, mask, status, stats: { iterations: steps } });
      });
    },
  };
}

/** How much faster rho grows in a draft. */
const haste = 2;

/** ADMM in haste, whose sparse weights are taken as they are: some hundredths above what the re-fit would give, enough to tell which of two budgets a layer-wise method does better with. */
export function alpsDraft(options: AlpsOptions = {}): Solver {
  return {
    needs: {},
    scope: "layers",
    solve: (problem, ctx) => {
      throwIfAborted(ctx.signal);
      return withLayer(layerProblem(problem, ctx), async (layer) => {
        const { mask, near, steps } = await alpsMask(problem, layer, ctx, { ...options, haste });
        // Where no step could be taken these are the dense weights.
        const kept = weightMask(problem.units, mask);
        const w = { ...near, data: near.data.map((value: number, i: number) => value * kept[i]!) as Vec };
        return solutionOf(problem, layer, { w, mask, status: "max-iterations", stats: { iterations: steps } });
      });
    },
  };
}

/** The mask that ADMM ends at, and the weights [rows, cols] f64 that it ends at, which are near to the re-fitted ones. */
export async function alpsMask(
  problem: Problem,
  layer: LayerProblem,
  ctx: RunContext,
  options: AlpsOptions & { readonly haste?: number } = {},
): Promise<{ mask: Mask; near: Mat; steps: number; settled: boolean }> {
  const {
    damping = defaults.alps.damping,
    rho: first = defaults.alps.rho,
    iterations = defaults.alps.iterations,
    haste = 1,
  } = options;
  const patient = Math.ceil(patience.steps / haste);
  const admm = startAdmm(problem, layer, damping, ctx.kernels);
  let rho = first;
  let [hasGrown, steps, moving] = [false, 0, 0];
  try {
    let mask = admm.mask();
    let last = mask;
    for (let step = 1; step <= iterations; step++) {
      const next = admm.step(rho);
      if (!next) return { mask, near: admm.weights(), steps, settled: true };
      moving += changeBetween(mask, next);
      mask = next;
      steps = step;
      if (step % lookEvery !== 0) continue;
      const kept = countKept(mask);
      const change = changeBetween(last, mask);
      // A support that moves and comes back between two looks has not settled.
      const isSettled = moving === 0 || (step > patient && change < patience.change * kept);
      last = mask;
      moving = 0;
      if (isSettled && hasGrown) return { mask, near: admm.weights(), steps, settled: true };
      if (isSettled) {
        // The first rho held everything where it was: begin again with less.
        if (rho < 1e-6 * first) return { mask, near: admm.weights(), steps, settled: true };
        rho /= 5;
        admm.restart();
        continue;
      }
      hasGrown = true;
      rho *= growth.find(({ change: least }) => change >= least * kept)!.factor ** haste;
      await ctx.tick({ task: "solve", done: step, total: iterations });
    }
    return { mask, near: admm.weights(), steps, settled: false };
  } finally {
    admm.release();
  }
}

/** Units that came in and units that went. */
function changeBetween(before: Mask, after: Mask): number {
  let change = 0;
  for (let u = 0; u < after.length; u++) if (after[u] !== before[u]) change++;
  return change;
}

interface Admm {
  /** One step; the mask of D. Undefined where rho is too small for H + rho I to be factored in f32. */
  step(rho: number): Mask | undefined;
  /** The projection of the start. */
  mask(): Mask;
  /** D, in the scale of the layer [rows, cols] f64. */
  weights(): Mat;
  restart(): void;
  release(): void;
}

/** The matrices of ADMM in f32, one column a row of weights, as triangular solves want them. */
function startAdmm(problem: Problem, layer: LayerProblem, damping: number, kernels: Kernels): Admm {
  const { rows, cols, H, B, dense, diagonal } = layer;
  const mean = diagonal.reduce((sum, value) => sum + value, 0) / cols;
  const added = damping * mean;
  const scale = Float64Array.from({ length: cols }, (_, j) => 1 / Math.sqrt(H.data[j * (cols + 1)]! + added));
  const take = (): Mat => matrix(cols, rows, kernels.alloc(cols * rows, "f32"));
  const [target, W, D, V] = [take(), take(), take(), take()];
  const L = matrix(cols, cols, kernels.alloc(cols * cols, "f32"));
  const score = new Float32Array(rows * cols);
  let factoredFor = -1;
  const restart = (): void => {
    V.data.fill(0);
    for (let j = 0; j < cols; j++) {
      for (let r = 0; r < rows; r++) D.data[j * rows + r] = dense.data[r * cols + j]! / scale[j]!;
    }
  };
  for (let j = 0; j < cols; j++) {
    for (let r = 0; r < rows; r++) {
      target.data[j * rows + r] = scale[j]! * (B.data[r * cols + j]! + added * dense.data[r * cols + j]!);
    }
  }
  restart();
  const factor = (rho: number): boolean => {
    if (rho === factoredFor) return true;
    factoredFor = rho;
    for (let i = 0; i < cols; i++) {
      const row = i * cols;
      for (let j = 0; j <= i; j++) L.data[row + j] = scale[i]! * scale[j]! * H.data[row + j]!;
      L.data[row + i] = 1 + rho;
    }
    return kernels.cholesky(L) < 0;
  };
  /** The budget's choice by the squares of what W holds. */
  const project = (at: Mat): Mask => {
    kernels.transposeBlocks(at.data, { count: 1, rows: cols, cols: rows }, score);
    for (let i = 0; i < score.length; i++) score[i] = score[i]! * score[i]!;
    return problem.constraint.select(problem.units.reduce(score));
  };
  return {
    mask: () => project(D),
    weights() {
      const out = matrix(rows, cols, new Float64Array(rows * cols));
      for (let j = 0; j < cols; j++) {
        for (let r = 0; r < rows; r++) out.data[r * cols + j] = scale[j]! * D.data[j * rows + r]!;
      }
      return out;
    },
    restart,
    step(rho) {
      if (!factor(rho)) return undefined;
      for (let i = 0; i < W.data.length; i++) W.data[i] = target.data[i]! - V.data[i]! + rho * D.data[i]!;
      kernels.triangularSolve({ l: L, b: W });
      kernels.triangularSolve({ l: L, b: W, transpose: true });
      for (let i = 0; i < W.data.length; i++) D.data[i] = W.data[i]! + V.data[i]! / rho;
      const mask = project(D);
      const kept = weightMask(problem.units, mask);
      for (let j = 0, i = 0; j < cols; j++) {
        for (let r = 0; r < rows; r++, i++) {
          if (kept[r * cols + j] === 0) D.data[i] = 0;
          V.data[i] = V.data[i]! + rho * (W.data[i]! - D.data[i]!);
        }
      }
      return mask;
    },
    release() {
      for (const { data } of [target, W, D, V, L]) kernels.free(data);
    },
  };
}
