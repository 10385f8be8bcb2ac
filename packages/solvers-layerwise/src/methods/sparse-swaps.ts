/**
 * SparseSwaps (Zimmer et al., arXiv 2512.10922): from Wanda's mask, swaps within each row of a kept weight u and a pruned weight p
 * that lower the error of the row with all weights as they are. With q the pruned part of w0 and c = H q,
 *   the error q'H q changes by 2 w_u c_u + w_u^2 H_uu - 2 w_p c_p + w_p^2 H_pp - 2 w_u w_p H_up,
 * the best swap first, until none lowers it. Rows stay as dense as they are; weights are not re-fitted.
 */
import {
  countKept,
  type Mask,
  type Problem,
  type Selector,
  type Solver,
  selectorFrom,
  solverFrom,
} from "@secateur/core";
import { weightBudget } from "../problem/budget.ts";
import { type LayerProblem, layerProblem } from "../problem/layer-problem.ts";
import { withLayer } from "../problem/solution.ts";
import { equalRows, wandaSaliency } from "./wanda.ts";

/** The published swaps as a solver: weights stay as they are. Time: k (cols - k) prices a swap. */
export function sparseSwaps(): Solver {
  return { ...solverFrom(sparseSwapsSelector), scope: "layers" };
}

/** The mask alone. */
export const sparseSwapsSelector: Selector = {
  needs: {},
  select: (problem, ctx) =>
    withLayer(layerProblem(problem, ctx), async (layer) => {
      const budget = weightBudget("sparseswaps", problem);
      const score = wandaSaliency.score(problem, ctx) as Float64Array;
      const isEven = budget.kind === "count" && !budget.eligible;
      const mask = isEven ? equalRows(problem, score) : await selectorFrom(wandaSaliency).select(problem, ctx);
      const group = budget.kind === "pattern" ? budget.of : layer.cols;
      for (let r = 0; r < layer.rows; r++) {
        swapRow({ problem, layer, mask, r, group, eligible: budget.eligible });
        await ctx.tick({ task: "solve", done: r + 1, total: layer.rows });
      }
      return mask;
    }),
};

function swapRow(call: {
  problem: Problem;
  layer: LayerProblem;
  mask: Mask;
  r: number;
  group: number;
  eligible: Mask | undefined;
}): void {
  const { problem, layer, mask, r, group, eligible } = call;
  const { cols, H, dense } = layer;
  const start = r * cols;
  const w = dense.data.subarray(start, start + cols);
  const own = mask.subarray(start, start + cols);
  // c = H q, less the slope where there is one: errors are then those of Q.
  const c = Float64Array.from({ length: cols }, (_, i) => {
    let sum = -(problem.gradient?.data[start + i] ?? 0);
    for (let j = 0; j < cols; j++) if (own[j] === 0) sum += H.data[i * cols + j]! * w[j]!;
    return sum;
  });
  let energy = 0;
  for (let i = 0; i < cols; i++) energy += Math.abs(w[i]! * c[i]!) + w[i]! ** 2 * H.data[i * (cols + 1)]!;
  // Every swap lowers the error: the limit only guards against rounding.
  for (let swaps = 0; swaps < 10 * countKept(own); swaps++) {
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
