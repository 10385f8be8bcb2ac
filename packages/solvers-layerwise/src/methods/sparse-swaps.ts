/**
 * SparseSwaps (Zimmer et al., arXiv 2512.10922): from Wanda's mask, swaps within each row of a kept weight u and a pruned weight p
 * that lower the error of the row with all weights as they are. With q the pruned part of w0 and c = H q,
 *   the error q'H q changes by 2 w_u c_u + w_u^2 H_uu - 2 w_p c_p + w_p^2 H_pp - 2 w_u w_p H_up,
 * the best swap first, until none lowers it. Rows stay as dense as they are; weights are not re-fitted.
 * Departure: where pairs are too many to be looked at for every swap, rows end after as many swaps as `mostWork` allows, with a note.
 */
import {
  countKept,
  type Kernels,
  type Mask,
  type Mat,
  matrix,
  type Problem,
  type RunContext,
  type Selector,
  type Solver,
  selectorFrom,
  solverFrom,
  type Vec,
} from "@secateur/core";
import { defaults } from "../defaults.ts";
import { weightBudget } from "../problem/budget.ts";
import { type LayerProblem, layerProblem } from "../problem/layer-problem.ts";
import { withLayer } from "../problem/solution.ts";
import { equalRows, wandaSaliency } from "./wanda.ts";

/** Settings of {@link sparseSwaps}. */
export interface SparseSwapsOptions {
  /** Pairs of weights that may be looked at, > 0: of rows that cost more, each makes as many swaps as its share allows, one at least. Default 1e11, some three minutes. */
  readonly mostWork?: number | undefined;
}

/** The published swaps as a solver: weights stay as they are. Time: k (cols - k) prices a swap, k weights kept in a row, and one product with H. */
export function sparseSwaps(options: SparseSwapsOptions = {}): Solver {
  return { ...solverFrom(sparseSwapsSelector(options)), scope: "layers" };
}

/** The mask alone. */
export function sparseSwapsSelector({ mostWork = defaults.sparseswaps.mostWork }: SparseSwapsOptions = {}): Selector {
  return {
    needs: {},
    select: (problem, ctx) =>
      withLayer(layerProblem(problem, ctx), async (layer) => {
        const budget = weightBudget("sparseswaps", problem);
        const { rows, cols } = layer;
        const score = wandaSaliency.score(problem, ctx) as Float64Array;
        const isEven = budget.kind === "count" && !budget.eligible;
        const mask = isEven
          ? equalRows(problem, score, ctx.kernels)
          : await selectorFrom(wandaSaliency).select(problem, ctx);
        const group = budget.kind === "pattern" ? budget.of : cols;
        const share = mostWork / rows;
        if (pairsOf({ cols, group }) * cols > share) noteLimit(layer, { group, mostWork }, ctx);
        const slopes = prunedSlopes({ problem, layer, mask }, ctx.kernels);
        for (let r = 0; r < rows; r++) {
          const c = slopes.data.subarray(r * cols, (r + 1) * cols);
          swapRow({ layer, mask, r, c, group, eligible: budget.eligible, share });
          await ctx.tick({ task: "solve", done: r + 1, total: rows });
        }
        return mask;
      }),
  };
}

/** The most pairs that a swap looks at in a row. */
function pairsOf({ cols, group }: { cols: number; group: number }): number {
  return (cols * group) / 4;
}

/** Said before the work: a row may need about as many swaps as an eighth of its weights. */
function noteLimit(
  { id, rows, cols }: LayerProblem,
  { group, mostWork }: { group: number; mostWork: number },
  ctx: RunContext,
): void {
  const pairs = pairsOf({ cols, group });
  const swaps = Math.max(1, Math.floor(mostWork / (rows * pairs)));
  const message = `${id}: a swap in a row of ${cols} inputs looks at up to ${pairs.toPrecision(2)} pairs, and ${rows} rows may make hundreds of swaps each; about ${swaps} a row are made unless mostWork (${mostWork.toPrecision(2)} pairs) is raised`;
  ctx.report({ type: "note", level: "warn", code: "swaps-limited", message });
}

/** c = H q of all rows [rows, cols] f64, less the slope where there is one: errors are then those of Q. */
function prunedSlopes(
  { problem, layer, mask }: { problem: Problem; layer: LayerProblem; mask: Mask },
  kernels: Kernels,
): Mat {
  const { rows, cols, H, dense } = layer;
  const q = matrix(rows, cols, new Float64Array(rows * cols));
  for (let i = 0; i < q.data.length; i++) if (mask[i] === 0) q.data[i] = dense.data[i]!;
  const c = matrix(rows, cols, new Float64Array(rows * cols));
  kernels.gemm({ a: q, b: H, out: c });
  const { gradient } = problem;
  if (gradient) for (let i = 0; i < c.data.length; i++) c.data[i]! -= gradient.data[i]!;
  return c;
}

function swapRow(call: {
  layer: LayerProblem;
  mask: Mask;
  r: number;
  /** [cols]; changed. */
  c: Vec;
  group: number;
  eligible: Mask | undefined;
  /** Pairs that may be looked at. */
  share: number;
}): void {
  const { layer, mask, r, c, group, eligible, share } = call;
  const { cols, H, dense } = layer;
  const start = r * cols;
  const w = dense.data.subarray(start, start + cols);
  const own = mask.subarray(start, start + cols);
  let energy = 0;
  for (let i = 0; i < cols; i++) energy += Math.abs(w[i]! * c[i]!) + w[i]! ** 2 * H.data[i * (cols + 1)]!;
  const kept = countKept(own);
  const affordable = Math.max(1, Math.floor(share / Math.max(1, (kept * (cols - kept) * group) / cols)));
  // Every swap lowers the error: ten a weight only guard against rounding.
  for (let swaps = 0; swaps < Math.min(10 * kept, affordable); swaps++) {
    let [out, into, change] = [-1, -1, -1e-12 * energy];
    for (let u = 0; u < cols; u++) {
      if (own[u] === 0) continue;
      const cost = 2 * w[u]! * c[u]! + w[u]! ** 2 * H.data[u * (cols + 1)]!;
      const first = group === cols ? 0 : u - (u % group);
      for (let p = first; p < Math.min(cols, first + group); p++) {
        if (own[p] === 1 || eligible?.[start + p] === 0) continue;
        const gain = 2 * w[p]! * c[p]! - w[p]! ** 2 * H.data[p * (cols + 1)]!;
        const both = cost - gain - 2 * w[u]! * w[p]! * H.data[u * cols + p]!;
        if (both < change) [out, into, change] = [u, p, both];
      }
    }
    if (out < 0) return;
    own[out] = 0;
    own[into] = 1;
    for (let i = 0; i < cols; i++) c[i]! += w[out]! * H.data[i * cols + out]! - w[into]! * H.data[i * cols + into]!;
  }
}
