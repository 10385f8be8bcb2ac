/**
 * OBC (Frantar and Alistarh, Optimal Brain Compression, NeurIPS 2022): the removal traces of all rows, the number of removals of
 * each row by the least losses over the layer, then the exact re-fit, which is what the trace's own weights are.
 */
import { type Mask, matrix, type Problem, type RunContext, type Solver, throwIfAborted } from "@secateur/core";
import { weightBudget } from "../problem/budget.ts";
import { type LayerProblem, layerProblem } from "../problem/layer-problem.ts";
import { refit } from "../problem/refit.ts";
import { solutionOf, withLayer } from "../problem/solution.ts";
import { allocateRemovals, type RowLosses } from "../search/allocate.ts";
import { type RemovalTrace, removalTrace, type TraceOptions } from "../search/trace.ts";

/**
 * OBC as a solver, for budgets of single weights: any k of the layer, or keep of every n. stats: `iterations` (removals traced),
 * `relativeError`. Time: rows cols^3 / 6 for the traces. Memory: 12 rows cols + 24 cols^2 bytes.
 *
 * @example
 * const { w } = await obc().solve(problem, ctx);
 */
export function obc(): Solver {
  return {
    needs: {},
    scope: "layers",
    solve: (problem, ctx) => {
      throwIfAborted(ctx.signal);
      return withLayer(layerProblem(problem, ctx), async (layer) => {
        const { mask, removals } = await obcMask(problem, layer, ctx);
        const { w, status } = await refit(layer, mask, ctx);
        return solutionOf(problem, layer, { w, mask, status, stats: { iterations: removals } });
      });
    },
  };
}

/** OBC's mask, and how many removals were traced. @throws ERR_INCOMPATIBLE */
export async function obcMask(
  problem: Problem,
  layer: LayerProblem,
  ctx: RunContext,
): Promise<{ mask: Mask; removals: number }> {
  const budget = weightBudget("obc", problem);
  const { rows, cols } = layer;
  const { eligible } = budget;
  const pattern = budget.kind === "pattern" ? budget : undefined;
  const trace = await removalTrace(layer, { eligible, pattern }, ctx);
  const removals = trace.counts.reduce((sum, count) => sum + count, 0);
  const counts =
    budget.kind === "pattern"
      ? trace.counts
      : allocateRemovals(rowLosses(trace, cols, eligible), Math.max(0, rows * cols - budget.keep));
  return { mask: maskAfter(trace, counts, cols), removals };
}

/** The losses of a trace, row by row; weights that may not stay have to go. */
export function rowLosses(trace: RemovalTrace, cols: number, eligible?: Mask): readonly RowLosses[] {
  return Array.from(trace.counts, (count, r) => {
    const losses = trace.losses.subarray(r * cols, r * cols + count);
    if (!eligible) return { losses };
    const allowed = eligible.subarray(r * cols, (r + 1) * cols).reduce((sum, bit) => sum + bit, 0);
    return { losses, least: cols - allowed };
  });
}

/** What is left [rows * cols] after so many removals of each row. */
function maskAfter({ order }: Pick<RemovalTrace, "order">, counts: Uint32Array, cols: number): Mask {
  const mask = new Uint8Array(counts.length * cols).fill(1);
  counts.forEach((count, r) => {
    for (let t = 0; t < count; t++) mask[r * cols + order[r * cols + t]!] = 0;
  });
  return mask;
}

/**
 * The traces of a layer on their own: counts and losses, for budgets that several layers share. Nothing of the problem is kept.
 *
 * @param options.eligible - weights [rows * cols] that may stay; the others go first
 */
export async function obcTrace(
  problem: Problem,
  ctx: RunContext,
  options: Pick<TraceOptions, "eligible"> = {},
): Promise<RemovalTrace & { readonly energy: number }> {
  throwIfAborted(ctx.signal);
  return await withLayer(layerProblem(problem, ctx), async (layer) => {
    const { rows, cols } = layer;
    const energy = layer.objective(matrix(rows, cols, new Float64Array(rows * cols)));
    return { ...(await removalTrace(layer, options, ctx)), energy };
  });
}
