import { createRunContext, keepOfEvery, referenceKernels } from "@secateur/core";
import { expect, test } from "vitest";
import { bestOnMask, keeping, layerOf } from "../layer.test-support.ts";
import { alps } from "../methods/alps.ts";
import { layerwise } from "../methods/layerwise.ts";
import { obc } from "../methods/obc.ts";
import { sparseSwaps } from "../methods/sparse-swaps.ts";
import { wanda } from "../methods/wanda.ts";
import { layerProblem } from "../problem/layer-problem.ts";
import { additionsOf, removalsOf } from "./row-curves.ts";
import { type RowTableau, swap, tableauWorkspace } from "./row-tableau.ts";
import { bestSwap } from "./swaps.ts";

const cols = 10;
/** Exact answers are compared to nine digits: sums of a few hundred products in f64 of matrices with a condition of some thousands. */
const digits = 9;

async function openRow(seed: number, mask: Uint8Array) {
  const problem = layerOf({ rows: 1, cols, seed, constraint: keeping(4) });
  const layer = await layerProblem(problem, createRunContext());
  const tableau = tableauWorkspace(cols, referenceKernels).open(layer.H, layer.B.data, mask);
  const lossOf = (one: Uint8Array): number =>
    bestOnMask(problem.curvature.gram!(), Float64Array.from(problem.w.data), one).loss;
  return { tableau, lossOf };
}

const changed = (mask: Uint8Array, ...places: number[]): Uint8Array =>
  mask.map((bit, j) => (places.includes(j) ? 1 - bit : bit));

test("the best swap is priced as exact re-fits price it", async () => {
  const mask = Uint8Array.of(1, 0, 1, 0, 0, 1, 0, 0, 1, 0);
  for (const seed of [0, 1, 2]) {
    const { tableau, lossOf } = await openRow(seed, mask);
    const now = lossOf(mask);
    for (const eligible of [undefined, Uint8Array.of(1, 1, 1, 0, 1, 1, 0, 1, 1, 0)]) {
      let best = { change: 0, out: -1, into: -1 };
      for (let i = 0; i < cols; i++) {
        for (let j = 0; j < cols; j++) {
          if (mask[i] !== 1 || mask[j] !== 0 || eligible?.[j] === 0) continue;
          const change = lossOf(changed(mask, i, j)) - now;
          if (change < best.change) best = { change, out: i, into: j };
        }
      }
      const found = bestSwap(tableau, { eligible });
      expect(found ? tableau.S[found.out] : -1).toBe(best.out);
      expect(found ? tableau.N[found.into] : -1).toBe(best.into);
      expect(found?.change ?? 0).toBeCloseTo(best.change, digits);
    }
  }
});

test("greedy removals and additions are those of exact re-fits, and leave the row as it was", async () => {
  const mask = Uint8Array.of(1, 0, 1, 0, 0, 1, 0, 0, 1, 0);
  for (const seed of [0, 1, 2]) {
    const { tableau, lossOf } = await openRow(seed, mask);
    const before = structuredClone(tableau);
    const eligible = Uint8Array.of(1, 1, 1, 0, 1, 1, 1, 1, 1, 0);
    for (const [bit, { columns, values }] of [
      [1, removalsOf(tableau, 3)],
      [0, additionsOf(tableau, 3, eligible)],
    ] as const) {
      expect(columns).toHaveLength(3);
      let now: Uint8Array = mask;
      for (const [step, column] of columns.entries()) {
        const others = [...now.keys()].filter((j) => now[j] === bit && (bit === 1 || eligible[j] === 1));
        const least = Math.min(...others.map((j) => lossOf(changed(now, j))));
        expect(lossOf(changed(now, column))).toBeCloseTo(least, digits);
        expect(values[step]).toBeCloseTo(Math.abs(least - lossOf(now)), digits);
        now = changed(now, column);
      }
    }
    expect(tableau).toEqual(before);
    // There are no more than four to remove.
    expect(removalsOf(tableau, 9).columns).toHaveLength(4);
  }
});

test("a row after swaps is the row opened on their support", async () => {
  const mask = Uint8Array.of(1, 1, 0, 0, 1, 0, 1, 0, 0, 1);
  /** By column, whichever slots they stand in. */
  const numbersOf = ({ S, N, A, T, c, w, e }: RowTableau): Map<string, number> => {
    const all = new Map<string, number>();
    S.forEach((i, s) => {
      all.set(`w ${i}`, w[s]!);
      S.forEach((j, t) => void all.set(`A ${i} ${j}`, A[s * S.length + t]!));
      N.forEach((j, t) => void all.set(`T ${i} ${j}`, T[s * N.length + t]!));
    });
    N.forEach((j, t) => {
      all.set(`c ${j}`, c[t]!);
      all.set(`e ${j}`, e[t]!);
    });
    return all;
  };
  const { tableau } = await openRow(4, mask);
  let now: Uint8Array = mask;
  for (const [s, t] of [
    [1, 3],
    [4, 0],
    [1, 3],
  ] as const) {
    now = changed(now, tableau.S[s]!, tableau.N[t]!);
    swap(tableau, s, t);
    expect([...tableau.mask]).toEqual([...now]);
    const wanted = numbersOf((await openRow(4, now)).tableau);
    const found = numbersOf(tableau);
    expect(found.size).toBe(wanted.size);
    for (const [key, value] of wanted) expect(found.get(key)).toBeCloseTo(value, digits);
  }
});

test("layerwise is never worse than alps and obc, and leaves no swap in a row that would lower Q", async () => {
  for (const seed of [0, 1, 2, 3]) {
    const problem = layerOf({ rows: 3, cols, seed, constraint: keeping(11) });
    const ctx = createRunContext();
    const found = await layerwise().solve(problem, ctx);
    const others = [await alps().solve(problem, ctx), await obc().solve(problem, ctx)];
    for (const { objective } of others) expect(found.objective).toBeLessThanOrEqual(objective * (1 + 1e-12));
    for (let r = 0; r < 3; r++) {
      const mask = found.mask.slice(r * cols, (r + 1) * cols);
      const w0 = Float64Array.from(problem.w.data.subarray(r * cols, (r + 1) * cols));
      const H = problem.curvature.gram!();
      const now = bestOnMask(H, w0, mask).loss;
      for (let i = 0; i < cols; i++) {
        for (let j = 0; j < cols; j++) {
          if (mask[i] !== 1 || mask[j] !== 0) continue;
          // Falls below 1e-10 of the row's energy are not taken.
          expect(bestOnMask(H, w0, changed(mask, i, j)).loss).toBeGreaterThan(now - 1e-8);
        }
      }
    }
  }
});

test("with 'keep of every' swaps stay within their group", async () => {
  const problem = layerOf({
    rows: 4,
    cols: 12,
    constraint: (count) => keepOfEvery({ count, cols: 12, keep: 1, of: 3 }),
  });
  const { mask, stats } = await layerwise({ start: "alps" }).solve(problem, createRunContext());
  expect(problem.constraint.violation(mask)).toBe(0);
  expect(stats["moved"]).toBe(0);
  const start = await alps().solve(problem, createRunContext());
  const found = await layerwise({ start: "alps" }).solve(problem, createRunContext());
  expect(found.objective).toBeLessThanOrEqual(start.objective);
});

test("weights change rows where that lowers Q", async () => {
  // The second row's weights are a tenth of the first's: an even start wastes the budget.
  const problem = layerOf({ rows: 2, cols, constraint: keeping(8) });
  const w = { ...problem.w, data: problem.w.data.map((value, i) => (i < cols ? value : 0.1 * value)) };
  const uneven = { ...problem, w };
  const shared = await layerwise().solve(uneven, createRunContext());
  const kept = shared.mask.subarray(0, cols).reduce((sum, bit) => sum + bit, 0);
  expect(kept).toBeGreaterThan(4);
});

test("SparseSwaps never loses to Wanda, keeps its rows' counts, and leaves no swap that would lower the error", async () => {
  const problem = layerOf({ rows: 3, cols, seed: 5, constraint: keeping(12) });
  const ctx = createRunContext();
  const start = await wanda().solve(problem, ctx);
  const found = await sparseSwaps().solve(problem, ctx);
  expect(found.objective).toBeLessThan(start.objective);
  const H = problem.curvature.gram!();
  for (let r = 0; r < 3; r++) {
    const w0 = problem.w.data.subarray(r * cols, (r + 1) * cols);
    const mask = found.mask.slice(r * cols, (r + 1) * cols);
    expect(mask.reduce((sum, bit) => sum + bit, 0)).toBe(4);
    const errorOf = (one: Uint8Array): number => {
      const q = Float64Array.from(w0, (value, j) => (one[j] === 1 ? 0 : value));
      let sum = 0;
      for (let i = 0; i < cols; i++) for (let j = 0; j < cols; j++) sum += q[i]! * H.data[i * cols + j]! * q[j]!;
      return sum;
    };
    for (let i = 0; i < cols; i++) {
      for (let j = 0; j < cols; j++) {
        if (mask[i] === 1 && mask[j] === 0) expect(errorOf(changed(mask, i, j))).toBeGreaterThan(errorOf(mask) - 1e-9);
      }
    }
  }
});
