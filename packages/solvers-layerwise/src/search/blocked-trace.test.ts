import { createRunContext, keepCount, keepOfEvery, type Mask, type RunEvent, withoutRegrowth } from "@secateur/core";
import { expect, test } from "vitest";
import { traceLosses } from "../allocation/trace-losses.ts";
import { bestOnMask, keeping, layerOf } from "../layer.test-support.ts";
import { obc } from "../methods/obc.ts";
import { sparseGpt } from "../methods/sparse-gpt.ts";
import { layerProblem } from "../problem/layer-problem.ts";
import { blockedMask, blockFor } from "./blocked-trace.ts";

const rowOf = (mask: Mask, r: number, cols: number): Mask => mask.subarray(r * cols, (r + 1) * cols);

test("blocks of one column remove what SparseGPT with blocks of one column removes", async () => {
  const problem = layerOf({ rows: 6, cols: 16, constraint: keeping(48) });
  const ctx = createRunContext();
  const layer = await layerProblem(problem, ctx);
  const budget = { kind: "count", keep: 48, eligible: undefined } as const;
  const { mask } = await blockedMask(layer, { budget, block: 1 }, ctx);
  // In a block of one column the cheapest removals are the least w^2 / U_jj^2, which is SparseGPT's score.
  const { mask: expected } = await sparseGpt({ blockSize: 1, damping: 0 }).solve(problem, ctx);
  expect([...mask]).toEqual([...expected]);
});

test("in two blocks, the second is the greedy one with the first block's removals made up for", async () => {
  const [cols, block] = [12, 6];
  const problem = layerOf({ rows: 1, cols, seed: 4, constraint: keeping(6) });
  const ctx = createRunContext();
  const layer = await layerProblem(problem, ctx);
  const budget = { kind: "count", keep: 6, eligible: undefined } as const;
  const { mask } = await blockedMask(layer, { budget, block }, ctx);
  // By trial: three removals in each block, each the one of least loss; the values of weights before the second block are settled by then.
  const H = problem.curvature.gram!();
  const w0 = Float64Array.from(problem.w.data);
  const kept = new Uint8Array(cols).fill(1);
  const removeFrom = (from: number, to: number, loss: (mask: Mask) => number): void => {
    for (let t = 0; t < 3; t++) {
      const losses = Array.from({ length: cols }, (_, j) => {
        if (j < from || j >= to || kept[j] === 0) return Number.POSITIVE_INFINITY;
        return loss(kept.map((bit, i) => (i === j ? 0 : bit)));
      });
      kept[losses.indexOf(Math.min(...losses))] = 0;
    }
  };
  removeFrom(0, block, (trial) => bestOnMask(H, w0, trial).loss);
  const settled = bestOnMask(H, w0, kept).w.subarray(0, block);
  // The rest as a problem of its own: of 1/2 (r - w0)'H(r - w0) with the first block settled, the minimiser over the second.
  const own = (i: number, j: number): number => H.data[(block + i) * cols + block + j]!;
  const rest = cols - block;
  const Hrest = { rows: rest, cols: rest, data: new Float64Array(rest * rest) };
  for (let i = 0; i < rest; i++) for (let j = 0; j < rest; j++) Hrest.data[i * rest + j] = own(i, j);
  const start = bestWith(H, w0, settled);
  removeFrom(block, cols, (trial) => bestOnMask(Hrest, start, trial.subarray(block)).loss);
  expect([...rowOf(mask, 0, cols)]).toEqual([...kept]);
});

/** The last weights that are best when the first are settled, all of them kept: r_2 = w_2 - H22^-1 H21 (r_1 - w_1), by coordinate descent. */
function bestWith(H: { cols: number; data: ArrayLike<number> }, w0: Float64Array, settled: Float64Array): Float64Array {
  const n = w0.length;
  const r = Float64Array.from(w0, (value, j) => (j < settled.length ? settled[j]! : value));
  for (let pass = 0; pass < 20_000; pass++) {
    for (let i = settled.length; i < n; i++) {
      let slope = 0;
      for (let j = 0; j < n; j++) slope += H.data[i * n + j]! * (r[j]! - w0[j]!);
      r[i]! -= slope / H.data[i * n + i]!;
    }
  }
  return r.slice(settled.length);
}

test("a layer whose traces cost more than may be is traced in blocks, says so, and meets budgets and patterns", async () => {
  const notes: RunEvent[] = [];
  const ctx = createRunContext({ onEvent: (event) => void notes.push(event) });
  const mostWork = (8 * 64 * 33 ** 2) / 6;
  const whole = await obc().solve(layerOf({ rows: 8, cols: 64, constraint: keeping(200) }), ctx);
  const blocked = await obc({ mostWork }).solve(layerOf({ rows: 8, cols: 64, constraint: keeping(200) }), ctx);
  expect(blocked.stats.block).toBe(32);
  expect(whole.stats.block).toBeUndefined();
  expect(blocked.mask.reduce((sum, bit) => sum + bit, 0)).toBe(200);
  expect(notes.flatMap((event) => (event.type === "note" ? [event.code] : []))).toEqual(["obc-blocked"]);
  const pattern = layerOf({
    rows: 4,
    cols: 64,
    constraint: (count) => keepOfEvery({ count, cols: 64, keep: 2, of: 4 }),
  });
  const { mask: inGroups } = await obc({ mostWork }).solve(pattern, createRunContext());
  for (let g = 0; g < inGroups.length; g += 4) {
    expect(inGroups.subarray(g, g + 4).reduce((sum, bit) => sum + bit, 0)).toBe(2);
  }
  const eligible = Uint8Array.from({ length: 512 }, (_, i) => (i % 3 === 0 ? 0 : 1));
  const barred = layerOf({
    ...{ rows: 8, cols: 64 },
    constraint: (count) => withoutRegrowth(keepCount({ count, keep: 200 }), eligible),
  });
  const { mask: allowed } = await obc({ mostWork }).solve(barred, createRunContext());
  expect(allowed.reduce((sum, bit) => sum + bit, 0)).toBe(200);
  expect(allowed.every((bit, i) => bit <= eligible[i]!)).toBe(true);
  // Between the whole trace and columns from left to right.
  const gpt = await sparseGpt({ damping: 0, blockSize: 32 }).solve(
    layerOf({ rows: 8, cols: 64, constraint: keeping(200) }),
    ctx,
  );
  expect(blocked.objective).toBeLessThan(gpt.objective);
  expect(whole.objective).toBeLessThan(blocked.objective * 1.001);
});

test("blocks are as large as the work allows, as equal as can be, and cut no group", () => {
  expect(blockFor({ rows: 4096, cols: 4096 }, { mostWork: 2e11, of: 1 })).toBe(256);
  expect(blockFor({ rows: 4096, cols: 4096 }, { mostWork: 1, of: 1 })).toBe(32);
  expect(blockFor({ rows: 10, cols: 100 }, { mostWork: 1e12, of: 1 })).toBe(100);
  expect(blockFor({ rows: 1000, cols: 1000 }, { mostWork: 1e9, of: 12 }) % 12).toBe(0);
});

test("some rows stand for all where layers share a budget, and rows that are alike say the same as all of them", async () => {
  const base = layerOf({ rows: 2, cols: 10, constraint: keeping(20) });
  const rows = 6;
  // Three times row 0, three times row 1.
  const data = Float64Array.from({ length: rows * 10 }, (_, i) => base.w.data[(i < 30 ? 0 : 10) + (i % 10)]!);
  const problem = layerOf({ rows, cols: 10, w: { rows, cols: 10, data }, constraint: keeping(rows * 10) });
  const notes: RunEvent[] = [];
  const ctx = createRunContext({ onEvent: (event) => void notes.push(event) });
  const rules = ["global", "loss-database"] as const;
  const all = await traceLosses(problem, { rules }, ctx);
  const some = await traceLosses(problem, { rules, mostWork: (2 * 1000) / 6 }, ctx);
  expect(notes.flatMap((event) => (event.type === "note" ? [event.code] : []))).toEqual(["trace-sampled"]);
  // The same sums of f64 in another order.
  for (const [i, loss] of some.losses!.entries()) expect(loss).toBeCloseTo(all.losses![i]!, 12);
  expect(some.levels!.kept[0]).toBe(60);
  expect(some.levels!.kept.at(-1)).toBe(0);
});
