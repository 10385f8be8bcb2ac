/**
 * ExactOBS (Frantar and Alistarh, Optimal Brain Compression, 2022, algorithm 1): of a row, weight after weight goes, always
 * the one whose removal with all others re-fitted costs least, w_j^2 / (2 [H^-1]_jj) with H^-1 taken over what is left. The
 * whole order with its losses is kept, so that one pass serves every sparsity.
 *
 * Removing j takes u u' off H^-1, u = H^-1 e_j / sqrt([H^-1]_jj). Departure: the order needs the diagonal and one row of
 * H^-1 at a time only, so these matrices are not subtracted one by one from the whole but `batch` at a time in one product
 * U'U, over the weights that are left. cols^3 / 6 multiply-adds a row instead of cols^3.
 */
import { type Kernels, type Mask, type Mat, matrix, type RunContext, type Vec } from "@secateur/core";
import { invertSpd, withScratch } from "@secateur/core/linalg";
import type { LayerProblem } from "../problem/layer-problem.ts";
import type { RowLosses } from "./allocate.ts";

/** What each removal costs: of all rows, in flat weights of the layer. */
export interface RemovalTrace {
  /** [rows, cols]: the columns of a row in the order in which they go. */
  readonly order: Uint32Array;
  /** [rows, cols] f64: how much Q grows with each removal. */
  readonly losses: Float64Array;
  /** Removals in each row [rows]; with a pattern fewer than columns. */
  readonly counts: Uint32Array;
}

/** What is removed first or never. */
export interface TraceOptions {
  /** Weights [rows * cols] that may stay; the others go first. */
  readonly eligible?: Mask | undefined;
  /** Of every `of` weights `keep` stay. */
  readonly pattern?: { readonly keep: number; readonly of: number } | undefined;
}

/** Removals between two updates of H^-1. */
const batch = 48;

/** Multiply-adds of the whole trace of a layer. */
export function traceWork({ rows, cols }: { readonly rows: number; readonly cols: number }): number {
  return (rows * cols ** 3) / 6;
}

/** Traces all rows. Time: {@link traceWork}. Memory: 16 cols^2 + 8 rows cols bytes beside the result. */
export function removalTrace(layer: LayerProblem, options: TraceOptions, ctx: RunContext): Promise<RemovalTrace> {
  const { rows, cols, H, B } = layer;
  const { kernels } = ctx;
  return withScratch(kernels, async (alloc) => {
    const inverse = matrix(cols, cols, alloc(cols * cols, "f64"));
    inverse.data.set(H.data);
    invertSpd({ H: inverse, what: `H of '${layer.id}'`, damping: layer.ridge, kernels });
    const optimum = matrix(rows, cols, alloc(rows * cols, "f64"));
    kernels.gemm({ a: B, b: inverse, out: optimum });
    return await traceRows({ inverse, start: optimum, ...options }, ctx);
  });
}

/**
 * Traces rows from their minimisers.
 *
 * @param spec.inverse - H^-1 [cols, cols] of the weights that can be removed, all others re-fitted
 * @param spec.start - [rows, cols] f64; not changed
 */
export async function traceRows(
  spec: TraceOptions & { readonly inverse: Mat; readonly start: Mat },
  ctx: RunContext,
): Promise<RemovalTrace> {
  const { inverse, start, ...options } = spec;
  const { rows, cols } = start;
  const { kernels } = ctx;
  const order = new Uint32Array(rows * cols);
  const losses = new Float64Array(rows * cols);
  const counts = new Uint32Array(rows);
  await withScratch(kernels, async (alloc) => {
    const work: Workspace = { P: alloc(cols * cols, "f64"), U: alloc(batch * cols, "f64") };
    for (let r = 0; r < rows; r++) {
      const [from, to] = [r * cols, (r + 1) * cols];
      counts[r] = traceRow({
        inverse,
        w: Float64Array.from(start.data.subarray(from, to)),
        eligible: options.eligible?.subarray(from, to),
        pattern: options.pattern,
        order: order.subarray(from, to),
        losses: losses.subarray(from, to),
        work,
        kernels,
      });
      await ctx.tick({ task: "solve", done: r + 1, total: rows });
    }
  });
  return { order, losses, counts };
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
export function maskAfter({ order }: Pick<RemovalTrace, "order">, counts: Uint32Array, cols: number): Mask {
  const mask = new Uint8Array(counts.length * cols).fill(1);
  counts.forEach((count, r) => {
    for (let t = 0; t < count; t++) mask[r * cols + order[r * cols + t]!] = 0;
  });
  return mask;
}

interface Workspace {
  /** H^-1 over what is left. */
  readonly P: Vec;
  /** [batch, left], packed: the removals since the last update. */
  readonly U: Vec;
}

/** What is left of a row. Arrays are by place among the weights left, `size` of them. */
interface RowState {
  size: number;
  readonly column: Uint32Array;
  readonly alive: Uint8Array;
  readonly w: Float64Array;
  readonly diagonal: Float64Array;
}

interface RowCall {
  readonly inverse: Mat;
  /** The row's minimiser; overwritten. */
  readonly w: Float64Array;
  readonly eligible: Mask | undefined;
  readonly pattern: TraceOptions["pattern"];
  readonly order: Uint32Array;
  readonly losses: Float64Array;
  readonly work: Workspace;
  readonly kernels: Kernels;
}

/** One row; returns how many weights went. */
function traceRow({ inverse, w, eligible, pattern, order, losses, work, kernels }: RowCall): number {
  const cols = inverse.cols;
  const state: RowState = {
    size: cols,
    column: Uint32Array.from({ length: cols }, (_, j) => j),
    alive: new Uint8Array(cols).fill(1),
    w,
    diagonal: Float64Array.from({ length: cols }, (_, j) => inverse.data[j * cols + j]!),
  };
  const budget = groupsOf(cols, eligible, pattern);
  const { U } = work;
  // The first batch reads the inverse that all rows share.
  let P: Vec = inverse.data;
  let [done, pending] = [0, 0];
  for (;;) {
    const place = cheapest(state, budget);
    if (place < 0) return done;
    if (pending === batch) {
      P = update({ P, into: work.P, U, pending, state, kernels });
      pending = 0;
      continue;
    }
    const { size, column, alive, diagonal } = state;
    const row = pending * size;
    rowLeft({ P, U, pending, place, size, kernels });
    const pivot = Math.sqrt(diagonal[place]!);
    const step = state.w[place]! / pivot;
    for (let i = 0; i < size; i++) {
      const value = U[row + i]! / pivot;
      U[row + i] = value;
      state.w[i]! -= step * value;
      diagonal[i]! -= value * value;
    }
    losses[done] = 0.5 * step * step;
    order[done++] = column[place]!;
    alive[place] = 0;
    budget.remove(column[place]!);
    pending++;
  }
}

/** Numbers from which on a product is worth a call of the kernels. */
const worthACall = 4096;

/** Row `place` of P - U'U, written behind the rows of U [pending, size]. */
function rowLeft(spec: { P: Vec; U: Vec; pending: number; place: number; size: number; kernels: Kernels }): void {
  const { P, U, pending, place, size, kernels } = spec;
  const [from, to] = [place * size, pending * size];
  for (let i = 0; i < size; i++) U[to + i] = P[from + i]!;
  if (to < worthACall) {
    for (let a = 0; a < to; a += size) {
      const x = U[a + place]!;
      for (let i = 0; i < size; i++) U[to + i]! -= x * U[a + i]!;
    }
    return;
  }
  const x = Float64Array.from({ length: pending }, (_, s) => U[s * size + place]!);
  const a = matrix(pending, size, U.subarray(0, to));
  kernels.gemv({ a, transpose: true, x, out: U.subarray(to, to + size), alpha: -1, beta: 1 });
}

/** P - U'U over the weights left, packed; returns where it stands. */
function update(spec: { P: Vec; into: Vec; U: Vec; pending: number; state: RowState; kernels: Kernels }): Vec {
  const { P, into, U, pending, state, kernels } = spec;
  const { size, column, alive, w, diagonal } = state;
  const left = new Uint32Array(size);
  let count = 0;
  for (let i = 0; i < size; i++) if (alive[i] === 1) left[count++] = i;
  // Ascending places: what is read lies behind what is written.
  for (let i = 0, place = 0; i < count; i++) {
    const row = left[i]! * size;
    for (let j = 0; j < count; j++) into[place++] = P[row + left[j]!]!;
  }
  for (let s = 0; s < pending; s++) {
    for (let j = 0; j < count; j++) U[s * count + j] = U[s * size + left[j]!]!;
  }
  const packed = matrix(count, count, into.subarray(0, count * count));
  kernels.gram({
    a: matrix(pending, count, U.subarray(0, pending * count)),
    transpose: true,
    out: packed,
    alpha: -1,
    beta: 1,
  });
  for (let i = 0; i < count; i++) {
    column[i] = column[left[i]!]!;
    w[i] = w[left[i]!]!;
    diagonal[i] = packed.data[i * count + i]!;
    alive[i] = 1;
  }
  state.size = count;
  return into;
}

/** Which columns may go now. */
interface Groups {
  /** 0: may not go, 1: may go, 2: has to go before all others. */
  readonly may: Uint8Array;
  remove(column: number): void;
}

function groupsOf(cols: number, eligible: Mask | undefined, pattern: TraceOptions["pattern"]): Groups {
  const may = new Uint8Array(cols).fill(1);
  if (!pattern) {
    if (eligible) for (let j = 0; j < cols; j++) may[j] = eligible[j] === 1 ? 1 : 2;
    return { may, remove: () => undefined };
  }
  const { keep, of } = pattern;
  const kept = new Uint32Array(Math.ceil(cols / of));
  for (let j = 0; j < cols; j++) kept[Math.floor(j / of)]!++;
  const bar = (group: number): void => {
    if (kept[group]! > keep) return;
    for (let j = group * of; j < Math.min(cols, (group + 1) * of); j++) if (may[j] === 1) may[j] = 0;
  };
  if (eligible) for (let j = 0; j < cols; j++) if (eligible[j] === 0) may[j] = 2;
  kept.forEach((_, group) => {
    bar(group);
  });
  return {
    may,
    remove(column) {
      const group = Math.floor(column / of);
      kept[group]!--;
      bar(group);
    },
  };
}

/** The place whose removal costs least, ties to the lower column; -1 when none may go. */
function cheapest({ size, column, alive, w, diagonal }: RowState, { may }: Groups): number {
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  let urgency = 1;
  for (let i = 0; i < size; i++) {
    if (alive[i] === 0) continue;
    const allowed = may[column[i]!]!;
    if (allowed < urgency) continue;
    const cost = (w[i]! * w[i]!) / diagonal[i]!;
    if (allowed > urgency || cost < least || best < 0) {
      best = i;
      least = cost;
      urgency = allowed;
    }
  }
  return best;
}
