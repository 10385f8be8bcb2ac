/**
 * OBC (Frantar and Alistarh, Optimal Brain Compression, NeurIPS 2022): the removal traces of all rows, the number of removals of
 * each row by the least losses over the layer, then the exact re-fit, which is what the trace's own weights are. Where the traces would cost too
 * much they are taken in blocks of columns (blocked-trace.ts).
 */
import {
  type Mask,
  type Mat,
  matrix,
  type Problem,
  type RunContext,
  type Solver,
  throwIfAborted,
} from "@secateur/core";
import { defaults } from "../defaults.ts";
import { weightBudget } from "../problem/budget.ts";
import { noteLong } from "../problem/foreseen.ts";
import { type LayerProblem, layerProblem } from "../problem/layer-problem.ts";
import { refit } from "../problem/refit.ts";
import { solutionOf, withLayer } from "../problem/solution.ts";
import { allocateRemovals } from "../search/allocate.ts";
import { blockedMask, blockFor } from "../search/blocked-trace.ts";
import {
  maskAfter,
  type RemovalTrace,
  removalTrace,
  rowLosses,
  type TraceOptions,
  traceWork,
} from "../search/trace.ts";
import { alpsDraft } from "./alps.ts";

/** Settings of {@link obc}. */
export interface ObcOptions {
  /**
   * Multiply-adds that the traces may cost, rows cols^3 / 6, > 0. A larger layer is traced in blocks of columns, as large as this allows, with the
   * note "obc-blocked". Default 2e11, some two minutes.
   */
  readonly mostWork?: number | undefined;
}

/**
 * OBC as a solver, for budgets of single weights: any k of the layer, or keep of every n. stats: `iterations` (removals traced), `relativeError`, and
 * `block` (columns) where it was traced in blocks. Time: rows cols^3 / 6 for the traces, or about `mostWork` and rows cols^2. Memory: 20 rows cols + 24 cols^2 bytes, 44 rows cols in blocks.
 *
 * @example
 * const { w } = await obc().solve(problem, ctx);
 */
export function obc(options: ObcOptions = {}): Solver {
  return {
    needs: {},
    scope: "layers",
    draft: alpsDraft(),
    solve: (problem, ctx) => {
      throwIfAborted(ctx.signal);
      return withLayer(layerProblem(problem, ctx), async (layer) => {
        noteLong(layer, { runsAdmm: false }, ctx);
        const { mask, near, removals, block } = await obcMask(problem, layer, ctx, options);
        const { w, status } = await refit(layer, mask, ctx, near);
        const stats = { iterations: removals, ...(block === undefined ? {} : { block }) };
        return solutionOf(problem, layer, { w, mask, status, stats });
      });
    },
  };
}

/** OBC's mask, how many removals were traced, and where they were in blocks of columns, of how many, and the weights that these leave. @throws ERR_INCOMPATIBLE */
export async function obcMask(
  problem: Problem,
  layer: LayerProblem,
  ctx: RunContext,
  { mostWork = defaults.obc.mostWork }: ObcOptions = {},
): Promise<{ mask: Mask; removals: number; block?: number; near?: Mat }> {
  const budget = weightBudget("obc", problem);
  const { rows, cols } = layer;
  if (traceWork(layer) > mostWork) {
    const block = blockFor(layer, { mostWork, of: budget.kind === "pattern" ? budget.of : 1 });
    if (block < cols) {
      noteBlocks(layer, { block, mostWork }, ctx);
      return { ...(await blockedMask(layer, { budget, block }, ctx)), block };
    }
  }
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

function noteBlocks(
  layer: LayerProblem,
  { block, mostWork }: { block: number; mostWork: number },
  ctx: RunContext,
): void {
  const { id, rows, cols } = layer;
  const work = traceWork(layer);
  const message = `${id}: OBC's traces of ${rows} rows of ${cols} inputs would cost ${work.toPrecision(2)} multiply-adds, more than mostWork (${mostWork.toPrecision(2)}); they are taken in blocks of ${block} inputs, each with what the blocks before it have changed, unless mostWork is raised`;
  ctx.report({ type: "note", level: "info", code: "obc-blocked", message });
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
