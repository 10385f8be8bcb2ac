import { createRunContext, type Mat, matrix, objective, type Problem, referenceKernels } from "@secateur/core";
import { expect, test } from "vitest";
import { chita } from "../chita.ts";
import { bruteForce, denseHessian, exactOn, problemFrom, randomProblem } from "../problem.test-support.ts";
import { type ChitaByColumnsSpec, type ColumnSolution, chitaByColumns } from "./chita-by-columns.ts";
import { columnShard } from "./column-shard.ts";
import { type ColumnRows, cutPanels } from "./panels.ts";

const kernels = referenceKernels;
const panel = 4;

interface Posed {
  readonly rows: Mat;
  readonly problem: Problem;
  readonly keep: number;
  readonly damping: number;
  readonly firstOrder: boolean;
}

/** Rows and weights that f32 holds, as a problem of the ordinary solvers and by columns. */
function posed(spec: {
  n: number;
  p: number;
  keep: number;
  seed: number;
  firstOrder?: boolean;
  ridge?: number;
}): Posed {
  const { n, p, keep, seed, firstOrder = false, ridge = 0.01 } = spec;
  const rng = randomProblem({ n, p: Math.max(p, 6), keep, seed, dtype: "f32" });
  const source = randomProblem({ n, p: n * p, keep: 1, seed: `rows ${seed}`, dtype: "f32" });
  const rows = matrix(n, p, source.w.data.slice());
  const w = matrix(1, p, rng.w.data.slice(0, p));
  return { rows, problem: problemFrom({ rows, w, keep, ridge, firstOrder }), keep, damping: ridge, firstOrder };
}

async function solve(
  { rows, problem, keep, damping, firstOrder }: Posed,
  how: { shards: number; residentBytes?: number } & Pick<Partial<ChitaByColumnsSpec>, "pool" | "rounds">,
): Promise<ColumnSolution & { reads: number }> {
  let reads = 0;
  const source: ColumnRows = {
    rows: rows.rows,
    size: rows.cols,
    read(from, out) {
      reads++;
      for (let i = 0; i < rows.rows; i++) {
        const row = rows.data.subarray(i * rows.cols + from, i * rows.cols + from + out.cols);
        out.data.set(row, i * out.cols);
      }
    },
  };
  const { residentBytes = Number.POSITIVE_INFINITY, shards: count, ...more } = how;
  const shards = cutPanels(rows.cols, count, panel).map((range) =>
    columnShard({ source, range, panel, residentBytes, kernels }),
  );
  const solution = await chitaByColumns(
    {
      ...{ shards, weights: problem.w.data as Float32Array, keep, panel, kernels, damping, firstOrder },
      ...{ rows: rows.rows, scale: 1 / rows.rows, ...more },
    },
    createRunContext({ seed: 0, kernels }),
  );
  for (const shard of shards) shard.release();
  return { ...solution, reads };
}

const shapes = [
  { n: 5, p: 30, keep: 6, seed: 1 },
  { n: 8, p: 41, keep: 20, seed: 2, firstOrder: true },
  { n: 12, p: 64, keep: 58, seed: 3 },
  { n: 3, p: 9, keep: 2, seed: 4, firstOrder: true },
] as const;

test("weights and objective are the same bits for any number of shards, and for rows that do not stay in memory", async () => {
  for (const shape of shapes) {
    const one = posed(shape);
    const { reads: readOnce, ...whole } = await solve(one, { shards: 1 });
    for (const shards of [2, 3, 100]) {
      const { reads: _, ...found } = await solve(one, { shards });
      expect(found).toEqual(whole);
    }
    const { reads, ...streamed } = await solve(one, { shards: 2, residentBytes: 4 * one.rows.rows * panel });
    expect(streamed).toEqual(whole);
    expect(reads).toBeGreaterThan(readOnce);
    expect(readOnce).toBe(Math.ceil(shape.p / panel));
  }
});

test("the support is as good as that of chita on the whole matrix, and its weights are the minimiser on it", async () => {
  for (const shape of shapes) {
    const one = posed(shape);
    const ctx = createRunContext({ seed: 0, kernels });
    const plain = await chita().solve(one.problem, ctx);
    const found = await solve(one, { shards: 3 });
    // Both search heuristically and round otherwise; here they end within a thousandth of each other.
    const scale = Math.abs(plain.objective) + 1e-12;
    expect((found.objective - plain.objective) / scale).toBeLessThan(1e-3);
    const columns = [...found.mask.keys()].filter((j) => found.mask[j] === 1);
    expect(columns.length).toBe(shape.keep);
    expect(found.weights.every((value, j) => value === 0 || found.mask[j] === 1)).toBe(true);
    const exact = await exactOn(one.problem, columns, await denseHessian(one.problem));
    // Weights are f32: an error e in them costs e^2 of Q, the sums of f32 products some 1e-7 of its parts.
    expect(found.objective - exact.value).toBeLessThan(1e-5 * (Math.abs(exact.value) + 1));
    // Q as core computes it from the problem itself.
    const own = await objective(one.problem, matrix(1, shape.p, found.weights));
    expect(Math.abs(found.objective - own)).toBeLessThan(1e-5 * (Math.abs(own) + 1));
  }
});

test("the bound is below the best of all supports, which small problems are solved to within it", async () => {
  for (const seed of [11, 12, 13, 14]) {
    const one = posed({ n: 4, p: 10, keep: 4, seed, firstOrder: seed % 2 === 0 });
    const best = await bruteForce(one.problem, 4);
    const { objective: value, stats } = await solve(one, { shards: 2 });
    // The bound is that of f32 sums.
    expect(stats["lowerBound"]).toBeLessThan(best.value + 1e-5 * (Math.abs(best.value) + 1));
    expect(value).toBeGreaterThan(best.value - 1e-5 * (Math.abs(best.value) + 1));
    // All places are in the pool, so that the swaps reach the best support.
    expect(value - best.value).toBeLessThan(1e-4 * (Math.abs(best.value) + 1));
  }
});

test("swaps lower the objective, and a round that does not pay is taken back", async () => {
  let rejected = 0;
  for (const seed of [21, 22, 23]) {
    const one = posed({ n: 10, p: 80, keep: 12, seed });
    const rounded = await solve(one, { shards: 2, pool: 0 });
    const swapped = await solve(one, { shards: 2, pool: 4, rounds: 10 });
    expect(swapped.objective).toBeLessThan(rounded.objective);
    // The same without the round after the last that paid.
    const shorter = await solve(one, { shards: 2, pool: 4, rounds: swapped.trace.length - 1 });
    if (shorter.stats["swaps"] !== swapped.stats["swaps"]) rejected++;
    expect(shorter.weights).toEqual(swapped.weights);
    expect(shorter.objective).toBe(swapped.objective);
  }
  expect(rejected).toBeGreaterThan(0);
});

test("what a shard is asked while it works waits for its turn", async () => {
  const one = posed({ n: 4, p: 30, keep: 5, seed: 9 });
  const { rows, problem } = one;
  const source: ColumnRows = {
    ...{ rows: 4, size: 30 },
    async read(from, out) {
      // Whoever came in between would find another panel in the same memory.
      await new Promise((resolve) => setTimeout(resolve, 1));
      for (let i = 0; i < 4; i++)
        out.data.set(rows.data.subarray(i * 30 + from, i * 30 + from + out.cols), i * out.cols);
    },
  };
  const shardOf = () => columnShard({ source, range: { from: 0, to: 8 }, panel, residentBytes: 0, kernels });
  const [alone, asked] = [shardOf(), shardOf()];
  for (const shard of [alone, asked]) await shard.begin(problem.w.data as Float32Array);
  const product = await alone.product({ of: "dense" });
  const gram = await alone.gram("all");
  expect(await Promise.all([asked.product({ of: "dense" }), asked.gram("all")])).toEqual([product, gram]);
});

test("numbers that f32 does not hold end in an error, not in weights", async () => {
  const one = posed({ n: 4, p: 10, keep: 3, seed: 8 });
  for (let j = 0; j < 10; j++) (one.problem.w.data as Float32Array)[j] = 3e38;
  await expect(solve(one, { shards: 2 })).rejects.toMatchObject({ code: "ERR_OVERFLOW" });
});

test("equal weights are kept from the lower column on, across shards", async () => {
  const rows = matrix(2, 12, new Float32Array(24));
  const w = matrix(1, 12, new Float32Array(12).fill(0.5));
  const problem = problemFrom({ rows, w, keep: 7, ridge: 0.1 });
  const found = await solve({ rows, problem, keep: 7, damping: 0.1, firstOrder: false }, { shards: 3, pool: 0 });
  expect([...found.mask]).toEqual([1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
});

test("all weights kept, none kept, and weights that meet the budget already", async () => {
  const all = await solve(posed({ n: 4, p: 10, keep: 10, seed: 5 }), { shards: 2 });
  expect(all.objective).toBe(0);
  const none = posed({ n: 4, p: 10, keep: 0, seed: 5 });
  const empty = await solve(none, { shards: 2 });
  expect(empty.weights.every((value) => value === 0)).toBe(true);
  const own = await objective(none.problem, matrix(1, 10, new Float32Array(10)));
  // Two sums of f32 products.
  expect(Math.abs(empty.objective - own)).toBeLessThan(1e-5 * own);
  const sparse = posed({ n: 4, p: 10, keep: 10, seed: 6 });
  (sparse.problem.w.data as Float32Array).fill(0, 3);
  const kept = await solve({ ...sparse, keep: 5 }, { shards: 2 });
  expect(kept).toMatchObject({ objective: 0, status: "exact" });
  expect(kept.weights).toEqual(sparse.problem.w.data);
});

test("no damping, and rows that are not finite, are refused", async () => {
  const one = posed({ n: 4, p: 10, keep: 3, seed: 8 });
  await expect(solve({ ...one, damping: 0 }, { shards: 2 })).rejects.toThrow(/--ridge/);
  one.rows.data[5] = Number.NaN;
  await expect(solve(one, { shards: 2 })).rejects.toMatchObject({ code: "ERR_NOT_FINITE" });
});
