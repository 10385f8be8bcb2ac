/**
 * OBC in blocks of columns, for layers whose whole trace costs too much: the columns of a block are traced with those behind it re-fitted and those before it settled, with
 * [H[F, F]^-1] of the block, F the columns from it on; the cheapest removals of all rows go, and what they change is sent into the columns behind,
 *   w_F -= l' H[F, F]^-1,  l the solution of H[F, F]^-1 over the removed weights of a row = their values.
 * It is SparseGPT (Frantar and Alistarh, ICML 2023) with OBC's order and its exact updates in the place of columns from left to right, and OBC where there
 * is one block. Each block keeps its share of the budget. rows cols block^2 / 6 multiply-adds for the traces.
 */
import { type Mask, type Mat, matrix, type RunContext } from "@secateur/core";
import { refitRows, withScratch } from "@secateur/core/linalg";
import type { WeightBudget } from "../problem/budget.ts";
import type { LayerProblem } from "../problem/layer-problem.ts";
import { allocateRemovals } from "./allocate.ts";
import { writeInverseFactor } from "./inverse-factor.ts";
import { maskAfter, rowLosses, traceRows } from "./trace.ts";

/** The least columns of a block. */
const leastBlock = 32;

/** Columns of a block, so that all traces cost at most so many multiply-adds where blocks are not too small for it; blocks are as equal as can be. */
export function blockFor(
  { rows, cols }: { readonly rows: number; readonly cols: number },
  { mostWork, of }: { mostWork: number; of: number },
): number {
  const most = Math.max(leastBlock, Math.floor(Math.sqrt((6 * mostWork) / (rows * cols))));
  const blocks = Math.ceil(cols / Math.max(of, most - (most % of)));
  return Math.ceil(cols / blocks / of) * of;
}

/** The mask, the weights [rows, cols] f64 that are left when each block has been sent on, and how many removals were traced. */
export async function blockedMask(
  layer: LayerProblem,
  { budget, block }: { budget: WeightBudget; block: number },
  ctx: RunContext,
): Promise<{ mask: Mask; near: Mat; removals: number }> {
  const { rows, cols } = layer;
  const { kernels } = ctx;
  const mask = new Uint8Array(rows * cols).fill(1);
  let removals = 0;
  const near = await withScratch(kernels, async (alloc) => {
    const U = matrix(cols, cols, alloc(cols * cols, "f64"));
    writeInverseFactor(U, { layer, damping: 0, who: "obc", kernels });
    const w = matrix(rows, cols, alloc(rows * cols, "f64"));
    const half = matrix(rows, cols, alloc(rows * cols, "f64"));
    kernels.gemm({ a: layer.B, b: U, transposeB: true, out: half });
    kernels.gemm({ a: half, b: U, out: w });
    const shares = sharesOf(budget, { rows, cols, block });
    for (const [b, remove] of shares.entries()) {
      const [from, to] = [b * block, Math.min(cols, (b + 1) * block)];
      const inverse = inverseOf(U, from, to, ctx);
      const start = columnsOf(w, from, to);
      const eligible = budget.eligible && bitsOf(budget.eligible, { rows, cols, from, to });
      const pattern = budget.kind === "pattern" ? budget : undefined;
      const trace = await traceRows({ inverse: columnsOf(inverse, 0, to - from), start, eligible, pattern }, ctx);
      const counts = pattern ? trace.counts : allocateRemovals(rowLosses(trace, to - from, eligible), remove);
      removals += trace.counts.reduce((sum, count) => sum + count, 0);
      const kept = maskAfter(trace, counts, to - from);
      for (let r = 0; r < rows; r++) mask.set(kept.subarray(r * (to - from), (r + 1) * (to - from)), r * cols + from);
      await sendOn({ w, start, kept, inverse, from, id: layer.id }, ctx);
      await ctx.tick({ task: "solve", done: b + 1, total: shares.length });
    }
    return matrix(rows, cols, Float64Array.from(w.data));
  });
  return { mask, near, removals };
}

/** Weights that each block loses. */
function sharesOf(
  budget: WeightBudget,
  { rows, cols, block }: { rows: number; cols: number; block: number },
): readonly number[] {
  const ends = Array.from({ length: Math.ceil(cols / block) }, (_, b) => Math.min(cols, (b + 1) * block));
  if (budget.kind === "pattern") return ends.map(() => 0);
  const { keep, eligible } = budget;
  // In proportion to what may stay: what a block cannot keep the others do.
  const allowed = ends.map((to, b) => {
    const from = b * block;
    return eligible ? countIn(eligible, { rows, cols, from, to }) : rows * (to - from);
  });
  let [left, ahead] = [keep, allowed.reduce((sum, count) => sum + count, 0)];
  return ends.map((to, b) => {
    const kept = ahead > 0 ? Math.min(allowed[b]!, Math.round((left * allowed[b]!) / ahead)) : 0;
    left -= kept;
    ahead -= allowed[b]!;
    return rows * (to - b * block) - kept;
  });
}

function countIn(mask: Mask, at: { rows: number; cols: number; from: number; to: number }): number {
  let count = 0;
  for (let r = 0; r < at.rows; r++) for (let j = at.from; j < at.to; j++) count += mask[r * at.cols + j]!;
  return count;
}

/** H[F, F]^-1 of the columns [from, to), F from `from` on: [to - from, cols - from]. */
function inverseOf(U: Mat, from: number, to: number, { kernels }: RunContext): Mat {
  const own = columnsOf(rowsOf(U, from, to), from, U.cols);
  const out = matrix(to - from, U.cols - from, new Float64Array((to - from) * (U.cols - from)));
  kernels.gemm({ a: columnsOf(own, 0, to - from), transposeA: true, b: own, out });
  return out;
}

/** Takes the removals of a block into its other columns and those behind it. */
async function sendOn(
  call: { w: Mat; start: Mat; kept: Mask; inverse: Mat; from: number; id: string },
  ctx: RunContext,
): Promise<void> {
  const { w, start, kept, inverse, from, id } = call;
  const { rows, cols: width } = start;
  const { w: multipliers } = await refitRows(
    {
      H: columnsOf(inverse, 0, width),
      b: start,
      mask: kept.map((bit) => 1 - bit),
      what: `the inverse of H of '${id}' over a block's removed weights`,
    },
    ctx,
  );
  const change = matrix(rows, inverse.cols, new Float64Array(rows * inverse.cols));
  ctx.kernels.gemm({ a: multipliers, b: inverse, out: change });
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < inverse.cols; j++) w.data[r * w.cols + from + j]! -= change.data[r * inverse.cols + j]!;
  }
}

function rowsOf({ cols, data }: Mat, from: number, to: number): Mat {
  return matrix(to - from, cols, data.subarray(from * cols, to * cols));
}

/** A copy of the columns [from, to). */
function columnsOf({ rows, cols, data }: Mat, from: number, to: number): Mat {
  const width = to - from;
  const out = data.slice(0, rows * width);
  for (let r = 0; r < rows; r++) out.set(data.subarray(r * cols + from, r * cols + to), r * width);
  return matrix(rows, width, out);
}

function bitsOf(mask: Mask, at: { rows: number; cols: number; from: number; to: number }): Mask {
  const { rows, cols, from, to } = at;
  const out = new Uint8Array(rows * (to - from));
  for (let r = 0; r < rows; r++) out.set(mask.subarray(r * cols + from, r * cols + to), r * (to - from));
  return out;
}
