import { createRunContext, keepCount, keepOfEvery, type Mask, type Mat, matrix } from "@secateur/core";
import { expect, test } from "vitest";
import { bestOnMask, keeping, layerOf, secondMoment, someInputs } from "../layer.test-support.ts";
import { layerProblem } from "../problem/layer-problem.ts";
import { refit } from "../problem/refit.ts";
import { withLayer } from "../problem/solution.ts";
import { alps, alpsMask } from "./alps.ts";
import { layerwise } from "./layerwise.ts";
import { obc, obcMask } from "./obc.ts";
import { sparseGpt } from "./sparse-gpt.ts";
import { sparseSwaps } from "./sparse-swaps.ts";
import { wanda } from "./wanda.ts";

/** The lower Cholesky factor, by the textbook. */
function choleskyOf({ cols: n, data }: Mat): number[][] {
  const L = Array.from({ length: n }, () => new Array<number>(n).fill(0));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = data[i * n + j]!;
      for (let l = 0; l < j; l++) sum -= L[i]![l]! * L[j]![l]!;
      L[i]![j] = i === j ? Math.sqrt(sum) : sum / L[j]![j]!;
    }
  }
  return L;
}

/** The inverse by Gauss-Jordan elimination. */
function inverseOf({ cols: n, data }: Mat): Mat {
  const rows = Array.from({ length: n }, (_, i) => [
    ...Array.from(data.subarray(i * n, (i + 1) * n)),
    ...Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)),
  ]);
  for (let p = 0; p < n; p++) {
    const scale = rows[p]![p]!;
    rows[p] = rows[p]!.map((value) => value / scale);
    for (let i = 0; i < n; i++) {
      if (i === p) continue;
      const factor = rows[i]![p]!;
      rows[i] = rows[i]!.map((value, j) => value - factor * rows[p]![j]!);
    }
  }
  return matrix(n, n, Float64Array.from(rows.flatMap((row) => row.slice(n))));
}

/** SparseGPT as it is defined: one column after the other, every error sent on at once. */
function byColumns(spec: {
  H: Mat;
  w: Mat;
  damping: number;
  blockSize: number;
  shares: readonly number[];
}): Float64Array {
  const { H, damping, blockSize, shares } = spec;
  const { rows, cols } = spec.w;
  const w = Float64Array.from(spec.w.data);
  const mean = Array.from({ length: cols }, (_, j) => H.data[j * (cols + 1)]!).reduce((a, b) => a + b, 0) / cols;
  const damped = matrix(
    cols,
    cols,
    H.data.map((value, i) => (i % (cols + 1) === 0 ? value + damping * mean : value)),
  );
  // U upper with U'U = H^-1: the transpose of its lower factor.
  const lower = choleskyOf(inverseOf(damped));
  const U = (i: number, j: number): number => lower[j]![i]!;
  const isKept = new Uint8Array(rows * cols);
  for (let j = 0; j < cols; j++) {
    if (j % blockSize === 0) {
      const end = Math.min(cols, j + blockSize);
      const places: number[] = [];
      for (let r = 0; r < rows; r++) for (let l = j; l < end; l++) places.push(r * cols + l);
      const score = (place: number): number => (w[place]! / U(place % cols, place % cols)) ** 2;
      places.sort((a, b) => score(b) - score(a));
      for (const place of places.slice(0, shares[j / blockSize]!)) isKept[place] = 1;
    }
    for (let r = 0; r < rows; r++) {
      if (isKept[r * cols + j] === 1) continue;
      const error = w[r * cols + j]! / U(j, j);
      for (let l = j; l < cols; l++) w[r * cols + l]! -= error * U(j, l);
      w[r * cols + j] = 0;
    }
  }
  return w;
}

test("SparseGPT in blocks equals its column-wise definition", async () => {
  const H = secondMoment(someInputs(80, 12));
  const problem = layerOf({ rows: 5, cols: 12, H, constraint: keeping(30) });
  for (const blockSize of [4, 5, 12]) {
    const { w } = await sparseGpt({ blockSize, damping: 0.01 }).solve(problem, createRunContext());
    const shares = Array.from({ length: Math.ceil(12 / blockSize) }, (_, b) => {
      return Math.round((30 * Math.min(12, (b + 1) * blockSize)) / 12) - Math.round((30 * b * blockSize) / 12);
    });
    const expected = byColumns({ H, w: problem.w, damping: 0.01, blockSize, shares });
    for (let i = 0; i < 60; i++) expect(w.data[i]).toBeCloseTo(expected[i]!, 9);
  }
});

test("SparseGPT starts from the minimum of the damped problem, which stays near where examples are fewer than inputs", async () => {
  const [rows, cols, damping] = [3, 8, 0.01];
  const H = secondMoment(someInputs(5, cols));
  const gradient = matrix(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, (_, i) => Math.sin(i)),
  );
  const problem = { ...layerOf({ rows, cols, H, constraint: keeping(rows * cols) }), gradient };
  const { w } = await sparseGpt({ damping }).solve(problem, createRunContext());
  let mean = 0;
  for (let j = 0; j < cols; j++) mean += H.data[j * (cols + 1)]! / cols;
  for (let r = 0; r < rows; r++) {
    const change = Float64Array.from({ length: cols }, (_, j) => w.data[r * cols + j]! - problem.w.data[r * cols + j]!);
    for (let i = 0; i < cols; i++) {
      let slope = gradient.data[r * cols + i]! + damping * mean * change[i]!;
      for (let j = 0; j < cols; j++) slope += H.data[i * cols + j]! * change[j]!;
      // The ridge that makes H factorable is at most 1e-10 of its mean diagonal, and changes are below 1e2.
      expect(slope).toBeCloseTo(0, 6);
    }
  }
});

test("SparseGPT's groups of 'keep of every' are chosen when each begins, also where a block would cut them", async () => {
  const constraint = (count: number) => keepOfEvery({ count, cols: 12, keep: 2, of: 3 });
  const H = secondMoment(someInputs(80, 12));
  const problem = layerOf({ rows: 3, cols: 12, H, constraint });
  const inBlocks = await sparseGpt({ blockSize: 4 }).solve(problem, createRunContext());
  const atOnce = await sparseGpt({ blockSize: 12 }).solve(problem, createRunContext());
  expect(problem.constraint.violation(inBlocks.mask)).toBe(0);
  expect([...inBlocks.mask]).toEqual([...atOnce.mask]);
  for (let i = 0; i < 36; i++) expect(inBlocks.w.data[i]).toBeCloseTo(atOnce.w.data[i]!, 9);
});

test("Wanda keeps |w| times the norm of the input row by row, ties going to the lower index", async () => {
  const H = matrix(4, 4, Float64Array.from([4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 9]));
  const w = matrix(2, 4, Float64Array.of(1, 2, -2, 0.1, 0.5, 1, 1, 1));
  const problem = layerOf({ rows: 2, cols: 4, H, w, constraint: keeping(4) });
  const { mask, w: kept } = await wanda().solve(problem, createRunContext());
  // Scores 2 2 2 .3 and 1 1 1 3.
  expect([...mask]).toEqual([1, 1, 0, 0, 1, 0, 0, 1]);
  expect([...kept.data]).toEqual([1, 2, 0, 0, 0.5, 0, 0, 1]);
});

test("Wanda meets a budget that rows cannot share evenly, and takes the best of the layer when asked to", async () => {
  const H = matrix(2, 2, Float64Array.of(1, 0, 0, 1));
  const w = matrix(3, 2, Float64Array.of(9, 8, 3, 2, 5, 4));
  const constraint = (count: number) => keepCount({ count, keep: 4 });
  const problem = layerOf({ rows: 3, cols: 2, H, w, constraint });
  expect([...(await wanda().solve(problem, createRunContext())).mask]).toEqual([1, 1, 1, 0, 1, 0]);
  expect([...(await wanda({ rows: "free" }).solve(problem, createRunContext())).mask]).toEqual([1, 1, 0, 0, 1, 1]);
});

test("ALPS ends at the budget with every row at the minimum of Q on its support", async () => {
  const problem = layerOf({ rows: 4, cols: 16, constraint: keeping(24) });
  const { w, mask, status } = await alps().solve(problem, createRunContext());
  expect(status).toBe("converged");
  expect(mask.reduce((sum, bit) => sum + bit, 0)).toBe(24);
  const H = problem.curvature.gram!();
  for (let r = 0; r < 4; r++) {
    for (let i = 0; i < 16; i++) {
      if (mask[r * 16 + i] === 0) continue;
      let slope = 0;
      for (let j = 0; j < 16; j++) slope += H.data[i * 16 + j]! * (w.data[r * 16 + j]! - problem.w.data[r * 16 + j]!);
      // Solved in f64 at condition numbers of some hundreds.
      expect(Math.abs(slope)).toBeLessThan(1e-9);
    }
  }
});

test("weights that meet the budget already are a fixed point of ALPS", async () => {
  const problem = layerOf({ rows: 2, cols: 12, constraint: keeping(10) });
  const first = await alps().solve(problem, createRunContext());
  const again = await alps().solve({ ...problem, w: first.w }, createRunContext());
  expect([...again.mask]).toEqual([...first.mask]);
  for (let i = 0; i < 24; i++) expect(again.w.data[i]).toBeCloseTo(first.w.data[i]!, 9);
  expect(again.objective).toBeLessThan(1e-12);
});

test("ALPS and OBC in blocks hand on weights near to the re-fitted ones, which their re-fit starts from where rows are long", async () => {
  const problem = layerOf({ rows: 8, cols: 64, constraint: keeping(200) });
  const ctx = createRunContext();
  await withLayer(layerProblem(problem, ctx), async (layer) => {
    const blocked = await obcMask(problem, layer, ctx, { mostWork: (8 * 64 * 33 ** 2) / 6 });
    for (const { mask, near } of [await alpsMask(problem, layer, ctx), { ...blocked, near: blocked.near! }]) {
      near.data.forEach((value: number, i: number) => {
        // What a block sends on is 0 where it was removed but for rounding.
        if (mask[i] === 0) expect(Math.abs(value)).toBeLessThan(1e-9);
      });
      const { w } = await refit(layer, mask, ctx);
      const [least, reached] = [layer.objective(w), layer.objective(near)];
      expect(reached).toBeGreaterThanOrEqual(least - 1e-12);
      // ALPS ends near with its damping of a hundredth, OBC's blocks when those behind have changed.
      expect(reached).toBeLessThan(1.2 * least);
    }
  });
});

test("SparseSwaps says so before it starts where pairs are too many, and its fewer swaps are never worse than Wanda's mask", async () => {
  const problem = layerOf({ rows: 6, cols: 32, constraint: keeping(96) });
  const notes: string[] = [];
  const ctx = createRunContext({ onEvent: (event) => void (event.type === "note" && notes.push(event.code)) });
  const whole = await sparseSwaps().solve(problem, ctx);
  expect(notes).toEqual([]);
  // Two swaps a row: each looks at 16 x 16 pairs.
  const cut = await sparseSwaps({ mostWork: 6 * 256 * 2 }).solve(problem, ctx);
  expect(notes).toEqual(["swaps-limited"]);
  const start = await wanda().solve(problem, ctx);
  expect(whole.objective).toBeLessThan(cut.objective);
  expect(cut.objective).toBeLessThan(start.objective);
  for (let r = 0; r < 6; r++) {
    const row = (mask: Mask) => mask.subarray(r * 32, (r + 1) * 32);
    const moved = row(cut.mask).reduce((sum, bit, j) => sum + (bit === 1 && row(start.mask)[j] === 0 ? 1 : 0), 0);
    expect(moved).toBeLessThanOrEqual(2);
  }
});

test("of every group alone the best weights stay: found by trying all, where groups have nothing to do with each other", async () => {
  const [rows, cols, of] = [3, 12, 4];
  const masks = Array.from({ length: 2 ** of }, (_, bits) =>
    Uint8Array.from({ length: of }, (_, j) => (bits >> j) & 1),
  );
  for (const seed of [0, 1, 2, 3]) {
    const whole = secondMoment(someInputs(60, cols, seed));
    for (const isApart of [true, false]) {
      // Inputs that hang together within a group only, or not at all. One swap leads from any three of four to any other.
      const keep = isApart ? 2 : 3;
      const choices = masks.filter((mask) => mask.reduce((sum, bit) => sum + bit, 0) === keep);
      const belong = (i: number, j: number): boolean => (isApart ? i === j : Math.floor(i / of) === Math.floor(j / of));
      const H = matrix(
        cols,
        cols,
        whole.data.map((value, at) => (belong(Math.floor(at / cols), at % cols) ? value : 0)),
      );
      const constraint = (count: number) => keepOfEvery({ count, cols, keep, of });
      const problem = layerOf({ rows, cols, H, seed, constraint });
      let least = 0;
      for (let first = 0; first < rows * cols; first += of) {
        const at = first % cols;
        const own = matrix(
          of,
          of,
          Float64Array.from({ length: of * of }, (_, e) => H.data[(at + Math.floor(e / of)) * cols + at + (e % of)]!),
        );
        const w0 = Float64Array.from(problem.w.data.subarray(first, first + of));
        least += Math.min(...choices.map((mask) => bestOnMask(own, w0, mask).loss));
      }
      // ALPS is left out: its multipliers bring weights in that are not best, whatever the inputs.
      const methods = isApart ? [obc(), sparseGpt({ damping: 0 }), wanda(), sparseSwaps(), layerwise()] : [layerwise()];
      for (const method of methods) {
        const { objective, mask } = await method.solve(problem, createRunContext());
        expect(problem.constraint.violation(mask)).toBe(0);
        // In f64, another order of addition, after a Gaussian elimination.
        expect(objective).toBeCloseTo(least, 9);
      }
    }
  }
});
