/**
 * SparseGPT (Frantar and Alistarh, ICML 2023): columns from left to right; removing w_ij sends its error, w_ij / U_jj times
 * U[j, j:], into the columns behind it, U upper triangular with U'U = (H + damping)^-1. The mask of a block of columns is chosen
 * when the block begins, by the scores w_ij^2 / U_jj^2 over all rows; "keep of every" when a group begins. Columns behind
 * a block are updated once a block.
 * Departures: a block keeps exactly its share of the budget (the published comparison with <= removes one weight more); U
 * comes from the Cholesky factor of H with its order reversed, H = R R' with R upper triangular, as R^-1: one factorisation
 * where the published code takes three.
 */

import {
  type Kernels,
  keepCount,
  type Mask,
  type Mat,
  matrix,
  type Problem,
  type Solver,
  throwIfAborted,
} from "@secateur/core";
import { withScratch } from "@secateur/core/linalg";
import { defaults } from "../defaults.ts";
import { type WeightBudget, weightBudget } from "../problem/budget.ts";
import { type LayerProblem, layerProblem } from "../problem/layer-problem.ts";
import { solutionOf, withLayer } from "../problem/solution.ts";
import { writeInverseFactor } from "../search/inverse-factor.ts";

/** Settings of {@link sparseGpt}. */
export interface SparseGptOptions {
  /** Columns whose mask is chosen together, >= 1. Default 128. */
  readonly blockSize?: number | undefined;
  /** Added to the diagonal of H, as a fraction of its mean, >= 0. Default 0.01. */
  readonly damping?: number | undefined;
}

/**
 * SparseGPT as a solver. The order of the columns is part of the method: permuted inputs give another answer. Its weights are not
 * the best on their mask. Time: rows cols^2 / 2 + cols^3 / 3. Memory: 24 cols^2 + 16 rows cols bytes.
 */
export function sparseGpt(options: SparseGptOptions = {}): Solver {
  const { blockSize = defaults.sparsegpt.blockSize, damping = defaults.sparsegpt.damping } = options;
  return {
    needs: {},
    scope: "layers",
    solve: (problem, ctx) => {
      throwIfAborted(ctx.signal);
      const budget = weightBudget("sparsegpt", problem);
      const { kernels } = ctx;
      return withLayer(layerProblem(problem, ctx), (layer) =>
        withScratch(kernels, async (alloc) => {
          const { rows, cols } = layer;
          const U = matrix(cols, cols, alloc(cols * cols, "f64"));
          writeInverseFactor(U, { layer, damping, who: "sparsegpt", kernels });
          const w = matrix(rows, cols, alloc(rows * cols, "f64"));
          writeStart(w, { problem, layer, U, kernels });
          const mask = new Uint8Array(rows * cols);
          const blocks = blocksOf(cols, blockSize, budget);
          for (const [index, block] of blocks.entries()) {
            pruneBlock({ block, budget, U, w, mask, layer, kernels });
            await ctx.tick({ task: "solve", done: index + 1, total: blocks.length });
          }
          return solutionOf(problem, layer, { w, mask, status: "exact", stats: { iterations: blocks.length } });
        }),
      );
    },
  };
}

/**
 * Writes the dense minimiser: w0, less (H + damping)^-1 g = U'U g where there is a slope. The damping is that of the removals: H alone may be
 * singular but for rounding, in directions of which the examples tell nothing and the start would be thrown far out.
 */
function writeStart(
  w: Mat,
  { problem, layer, U, kernels }: { problem: Problem; layer: LayerProblem; U: Mat; kernels: Kernels },
): void {
  const { rows, cols, dense } = layer;
  const { gradient } = problem;
  w.data.set(dense.data);
  if (!gradient) return;
  const half = matrix(rows, cols, kernels.alloc(rows * cols, "f64"));
  kernels.gemm({ a: matrix(rows, cols, Float64Array.from(gradient.data)), b: U, transposeB: true, out: half });
  kernels.gemm({ a: half, b: U, alpha: -1, beta: 1, out: w });
  kernels.free(half.data);
}

interface Block {
  readonly from: number;
  readonly to: number;
  /** Weights that all blocks up to this one keep. */
  readonly kept: number;
  readonly keptBefore: number;
}

/** Blocks that cut no group in two. */
function blocksOf(cols: number, blockSize: number, budget: WeightBudget): readonly Block[] {
  const size = budget.kind === "pattern" ? Math.max(1, Math.round(blockSize / budget.of)) * budget.of : blockSize;
  const share = (to: number): number => (budget.kind === "count" ? Math.round((budget.keep * to) / cols) : 0);
  return Array.from({ length: Math.ceil(cols / size) }, (_, b) => {
    const [from, to] = [b * size, Math.min(cols, (b + 1) * size)];
    return { from, to, kept: share(to), keptBefore: share(from) };
  });
}

interface BlockCall {
  readonly block: Block;
  readonly budget: WeightBudget;
  readonly U: Mat;
  /** [rows, cols]; changed in place. */
  readonly w: Mat;
  /** [rows * cols]; written in the block. */
  readonly mask: Mask;
  readonly layer: LayerProblem;
  readonly kernels: Kernels;
}

function pruneBlock(call: BlockCall): void {
  const { block, budget, U, w, mask, layer, kernels } = call;
  const { from, to } = block;
  const { rows, cols } = layer;
  const width = to - from;
  const errors = matrix(rows, width, kernels.alloc(rows * width, "f64"));
  if (budget.kind === "count") chooseShare(call, budget);
  for (let j = from; j < to; j++) {
    if (budget.kind === "pattern" && (j - from) % budget.of === 0) chooseGroups(call, budget, j);
    const u = U.data.subarray(j * cols, (j + 1) * cols);
    for (let r = 0; r < rows; r++) {
      const place = r * cols + j;
      if (mask[place] === 1) {
        errors.data[r * width + (j - from)] = 0;
        continue;
      }
      const error = w.data[place]! / u[j]!;
      errors.data[r * width + (j - from)] = error;
      w.data[place] = 0;
      for (let l = j + 1; l < to; l++) w.data[r * cols + l]! -= error * u[l]!;
    }
  }
  sendOn({ errors, U, w, from, to, kernels });
  kernels.free(errors.data);
}

/** w[:, to:] -= errors U[from:to, to:] */
function sendOn(spec: { errors: Mat; U: Mat; w: Mat; from: number; to: number; kernels: Kernels }): void {
  const { errors, U, w, from, to, kernels } = spec;
  const { rows, cols } = w;
  const behind = cols - to;
  if (behind === 0) return;
  const right = matrix(to - from, behind, kernels.alloc((to - from) * behind, "f64"));
  for (let j = from; j < to; j++) right.data.set(U.data.subarray(j * cols + to, (j + 1) * cols), (j - from) * behind);
  const change = matrix(rows, behind, kernels.alloc(rows * behind, "f64"));
  kernels.gemm({ a: errors, b: right, out: change });
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < behind; j++) w.data[r * cols + to + j]! -= change.data[r * behind + j]!;
  }
  kernels.free(right.data);
  kernels.free(change.data);
}

/** The block's share of the budget, over all rows; ties go to the lower index. */
function chooseShare({ block, U, w, mask, layer, kernels }: BlockCall, { keep, eligible }: WeightBudget): void {
  const { from, to, kept, keptBefore } = block;
  const { rows, cols } = layer;
  const width = to - from;
  const score = new Float64Array(rows * width);
  let allowed = 0;
  for (let r = 0; r < rows; r++) {
    for (let j = from; j < to; j++) {
      const place = r * cols + j;
      const isEligible = !eligible || eligible[place] === 1;
      if (isEligible) allowed++;
      score[r * width + (j - from)] = isEligible ? (w.data[place]! / U.data[j * (cols + 1)]!) ** 2 : -1;
    }
  }
  // With weights barred, a block may hold fewer than its share; what it cannot keep the later ones may.
  let keptSoFar = 0;
  if (eligible) for (let r = 0; r < rows; r++) for (let j = 0; j < from; j++) keptSoFar += mask[r * cols + j]!;
  const share = eligible ? shareAmongEligible({ keep, eligible, rows, cols, from, to, keptSoFar }) : kept - keptBefore;
  const chosen = keepCount({ count: score.length, keep: Math.min(share, allowed), kernels }).select(score);
  for (let r = 0; r < rows; r++) {
    for (let j = from; j < to; j++) mask[r * cols + j] = chosen[r * width + (j - from)]!;
  }
}

/** What is left of the budget, in proportion to the eligible weights of the block among those of it and behind it. */
function shareAmongEligible(spec: {
  keep: number;
  eligible: Mask;
  rows: number;
  cols: number;
  from: number;
  to: number;
  keptSoFar: number;
}): number {
  const { keep, eligible, rows, cols, from, to, keptSoFar } = spec;
  let [here, ahead] = [0, 0];
  for (let r = 0; r < rows; r++) {
    for (let j = from; j < cols; j++) {
      if (j < to) here += eligible[r * cols + j]!;
      ahead += eligible[r * cols + j]!;
    }
  }
  return ahead === 0 ? 0 : Math.round(((keep - keptSoFar) * here) / ahead);
}

/** The best of one group in every row. */
function chooseGroups({ U, w, mask, layer }: BlockCall, { keep, eligible, ...pattern }: WeightBudget, j: number): void {
  const { rows, cols } = layer;
  const of = "of" in pattern ? pattern.of : cols;
  const end = Math.min(cols, j + of);
  for (let r = 0; r < rows; r++) {
    const places = Array.from({ length: end - j }, (_, l) => r * cols + j + l).filter(
      (place) => eligible?.[place] !== 0,
    );
    const score = (place: number): number => (w.data[place]! / U.data[(place - r * cols) * (cols + 1)]!) ** 2;
    places.sort((a, b) => score(b) - score(a) || a - b);
    for (const place of places.slice(0, keep)) mask[place] = 1;
  }
}
