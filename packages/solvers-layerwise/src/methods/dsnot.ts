/**
 * DSnoT (Zhang et al., Dynamic Sparse No Training, ICLR 2024): from Wanda's mask, weights of a row are swapped so that the expected change of its
 * output, e = sum over pruned j of w_j m_j with m the means of the inputs, comes to 0. In turns the pruned weight with the largest
 * sign(e) w_j m_j / v_j comes in, v the variances of the inputs, and the kept one of the least |w_j| sqrt(H_jj) among those whose removal
 * brings e towards 0 goes; in a pattern the least of the group. A row ends where e would change its sign. Weights stay as they are.
 * Departures: no threshold on |e|, which depends on the scale of the inputs; a weight that does not bring e towards 0 ends the row; v comes
 * from the diagonal of H, damping included.
 */
import {
  type Mask,
  type Problem,
  type Selector,
  type Solver,
  selectorFrom,
  solverFrom,
  throwIfAborted,
  type Vec,
} from "@secateur/core";
import { noMeans } from "../errors.ts";
import { weightBudget } from "../problem/budget.ts";
import { equalRows, wandaSaliency } from "./wanda.ts";

/** Swaps of a row at most. */
const mostSwaps = 50;

/** The method as a solver: weights stay as they are. Time: a sort of every row. @throws ERR_INCOMPATIBLE where the inputs' means are not known */
export function dsnot(): Solver {
  return { ...solverFrom(dsnotSelector), scope: "layers" };
}

/** The mask alone. */
export const dsnotSelector: Selector = {
  needs: {},
  async select(problem, ctx) {
    throwIfAborted(ctx.signal);
    const { id, w, curvature } = problem;
    const means = curvature.means?.();
    if (!means) throw noMeans(id);
    const budget = weightBudget("dsnot", problem);
    const score = wandaSaliency.score(problem, ctx) as Float64Array;
    const isEven = budget.kind === "count" && !budget.eligible;
    const mask = isEven
      ? equalRows(problem, score, ctx.kernels)
      : await selectorFrom(wandaSaliency).select(problem, ctx);
    const variances = Float64Array.from(curvature.diagonal(), (value, j) => Math.max(value - means[j]! ** 2, 0));
    const group = budget.kind === "pattern" ? budget.of : undefined;
    for (let r = 0; r < w.rows; r++) {
      swapRow({ problem, r, mask, score, means, variances, group, eligible: budget.eligible });
    }
    return mask;
  },
};

function swapRow(call: {
  problem: Problem;
  r: number;
  /** [rows * cols]; changed. */
  mask: Mask;
  score: Float64Array;
  means: Vec;
  variances: Float64Array;
  group: number | undefined;
  eligible: Mask | undefined;
}): void {
  const { problem, r, mask, score, means, variances, group, eligible } = call;
  const { cols, data } = problem.w;
  const start = r * cols;
  const own = mask.subarray(start, start + cols);
  const share = Float64Array.from({ length: cols }, (_, j) => data[start + j]! * means[j]!);
  let error = 0;
  for (let j = 0; j < cols; j++) if (own[j] === 0) error += share[j]!;
  const sign = Math.sign(error);
  const columns = Array.from(own.keys());
  const gain = Float64Array.from(share, (value, j) => (sign * value) / (variances[j]! || Number.MIN_VALUE));
  const growing = columns.filter((j) => own[j] === 0 && sign * share[j]! > 0 && eligible?.[start + j] !== 0);
  growing.sort((a, b) => gain[b]! - gain[a]! || a - b);
  // What goes adds its share to the error, so that a share of the other sign brings it towards 0.
  const leaving = columns.filter((j) => own[j] === 1 && (group !== undefined || sign * share[j]! < 0));
  leaving.sort((a, b) => score[start + a]! - score[start + b]! || a - b);
  const gone = new Set<number>();
  for (const into of growing.slice(0, mostSwaps)) {
    const isInReach = (j: number): boolean => group === undefined || Math.floor(j / group) === Math.floor(into / group);
    const out = leaving.find((j) => !gone.has(j) && isInReach(j));
    if (out === undefined) continue;
    const after = error + share[out]! - share[into]!;
    if (Math.sign(after) !== sign || Math.abs(after) >= Math.abs(error)) return;
    own[out] = 0;
    own[into] = 1;
    gone.add(out);
    error = after;
  }
}
