import { createRng, factorCurvature, type Mat, matrix, referenceKernels, type Vec } from "@secateur/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { denseBlock } from "./dense-block.ts";
import { factoredBlock } from "./factored-block.ts";
import { denseFactor, rowFactor, type StoredFactor } from "./row-factor.ts";
import { expandRows } from "./take-rows.ts";

const kernels = referenceKernels;

interface Layer {
  readonly out: number;
  readonly cols: number;
}

function random(length: number, seed: string): Float32Array {
  const rng = createRng(seed);
  return Float32Array.from({ length }, () => rng.normal());
}

/**
 * The same random rows as a factored view, as a dense view in f32, and written out in f64 (G); `sizes` is G with the
 * absolute value of every product summed into it: what rounding is relative to, also where the sum cancels.
 */
function views(spec: { rows: number; group: number; layers: readonly Layer[] }): {
  factored: StoredFactor;
  dense: StoredFactor;
  G: Mat;
  sizes: Mat;
} {
  const { rows, group, layers } = spec;
  const factors = layers.map(({ out, cols }, l) => ({
    delta: matrix(rows * group, out, random(rows * group * out, `delta ${l}`)),
    input: matrix(rows * group, cols, random(rows * group * cols, `input ${l}`)),
    group,
  }));
  const expand = (all: typeof factors): Mat[] =>
    all.map((f) => expandRows({ kind: "factored", param: "w", ...f }, kernels));
  const expanded = expand(factors);
  const absolute = ({ rows: n, cols, data }: Mat): Mat => matrix(n, cols, data.map(Math.abs));
  const sizes = sideBySide(
    expand(factors.map((f) => ({ ...f, delta: absolute(f.delta), input: absolute(f.input) }))),
    rows,
  );
  return {
    factored: rowFactor({ blocks: factors.map((f) => factoredBlock(f, kernels)), rows, dtype: "f32", damping: 0.1 }),
    dense: rowFactor({ blocks: expanded.map((m) => denseBlock(m, kernels)), rows, dtype: "f32", damping: 0.1 }),
    G: sideBySide(expanded, rows),
    sizes,
  };
}

function sideBySide(parts: readonly Mat[], rows: number): Mat {
  const dim = parts.reduce((sum, { cols }) => sum + cols, 0);
  const G = matrix(rows, dim, new Float64Array(rows * dim));
  let start = 0;
  for (const { cols, data } of parts) {
    for (let i = 0; i < rows; i++) G.data.set(data.subarray(i * cols, (i + 1) * cols), i * dim + start);
    start += cols;
  }
  return G;
}

/** Largest difference, relative to the largest of `sizes` (at least 1e-30). */
function difference(a: ArrayLike<number>, b: ArrayLike<number>, sizes: ArrayLike<number> = b): number {
  expect(a.length).toBe(b.length);
  let [gap, size] = [0, 1e-30];
  for (let i = 0; i < a.length; i++) {
    gap = Math.max(gap, Math.abs(a[i]! - b[i]!));
    size = Math.max(size, Math.abs(sizes[i]!));
  }
  return gap / size;
}

function product(G: Mat, x: Vec, transpose: boolean): Float64Array {
  const out = new Float64Array(transpose ? G.cols : G.rows);
  kernels.gemv({ a: G, x: Float64Array.from(x), out, transpose });
  return out;
}

const ones = (length: number): Float64Array => new Float64Array(length).fill(1);

// Sums of at most a few hundred f32 products of numbers of order 1 to 3: a few hundred times 2^-24, relative to
// the largest sum of their absolute values.
const f32Tolerance = 2e-5;
// The rows themselves were rounded to f32 when they were expanded (a relative 2^-24 per entry); the sums were not.
const f64Tolerance = 1e-6;

describe("factored rows, dense rows and the written-out matrix agree", () => {
  const shapes = fc.record({
    rows: fc.integer({ min: 1, max: 7 }),
    group: fc.integer({ min: 1, max: 3 }),
    layers: fc.array(fc.record({ out: fc.integer({ min: 1, max: 4 }), cols: fc.integer({ min: 1, max: 5 }) }), {
      minLength: 1,
      maxLength: 3,
    }),
  });

  test("for products with G and G', in f32 and in f64", async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async (spec) => {
        const { factored, dense, G, sizes } = views(spec);
        const x = random(G.cols, "x");
        const u = random(G.rows, "u");
        const [forward, backward] = [product(sizes, x.map(Math.abs), false), product(sizes, u.map(Math.abs), true)];
        for (const view of [factored, dense]) {
          expect([view.rows, view.dim]).toEqual([G.rows, G.cols]);
          const [Gx, Gu] = [new Float32Array(G.rows), new Float32Array(G.cols)];
          await view.times(x, Gx);
          await view.transposeTimes(u, Gu);
          expect(difference(Gx, product(G, x, false), forward)).toBeLessThan(f32Tolerance);
          expect(difference(Gu, product(G, u, true), backward)).toBeLessThan(f32Tolerance);
          const [Gx64, Gu64] = [new Float64Array(G.rows), new Float64Array(G.cols)];
          await view.times(Float64Array.from(x), Gx64);
          await view.transposeTimes(Float64Array.from(u), Gu64);
          expect(difference(Gx64, product(G, x, false), forward)).toBeLessThan(f64Tolerance);
          expect(difference(Gu64, product(G, u, true), backward)).toBeLessThan(f64Tolerance);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("for the row Gram, chosen columns and column norms", async () => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.nat(1000), async (spec, seed) => {
        const { factored, dense, G, sizes } = views(spec);
        const rng = createRng(seed);
        const support = Uint32Array.from(Array.from({ length: G.cols }, (_, j) => j).filter(() => rng.next() < 0.4));
        const gramOf = (a: Mat): Mat => {
          const out = matrix(a.rows, a.rows, new Float64Array(a.rows ** 2));
          kernels.gram({ a, out });
          return out;
        };
        const columnsOf = (a: Mat): Mat => {
          const out = matrix(a.rows, support.length, new Float64Array(a.rows * support.length));
          kernels.gatherColumns(a, support, out);
          return out;
        };
        const normsOf = (a: Mat): Float64Array => product({ ...a, data: a.data.map((v) => v * v) }, ones(a.rows), true);
        for (const view of [factored, dense]) {
          expect(difference((await view.rowGram()).data, gramOf(G).data, gramOf(sizes).data)).toBeLessThan(
            f32Tolerance,
          );
          const picked = matrix(G.rows, support.length);
          await view.columns(support, picked);
          expect(difference(picked.data, columnsOf(G).data, columnsOf(sizes).data)).toBeLessThan(f32Tolerance);
          expect(difference(view.columnNormsSquared(), normsOf(G), normsOf(sizes))).toBeLessThan(f32Tolerance);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("also where the row Gram and f64 products need several tiles", async () => {
    // 300 rows of 2 examples span three Gram tiles of 256; 600 x 900 inputs span three f64 tiles.
    const { factored, G } = views({ rows: 300, group: 2, layers: [{ out: 2, cols: 900 }] });
    const gram = matrix(300, 300, new Float64Array(300 * 300));
    kernels.gram({ a: G, out: gram });
    expect(difference((await factored.rowGram()).data, gram.data)).toBeLessThan(f32Tolerance);
    const x = Float64Array.from(random(G.cols, "x"));
    const out = new Float64Array(300);
    await factored.times(x, out);
    expect(difference(out, product(G, x, false))).toBeLessThan(f64Tolerance);
    const back = new Float64Array(G.cols);
    await factored.transposeTimes(out, back);
    expect(difference(back, product(G, out, true))).toBeLessThan(f64Tolerance);
  });
});

describe("denseFactor", () => {
  test("the curvature it gives is G'G / n + damping I", async () => {
    const rows = matrix(3, 4, Float64Array.from(random(12, "rows")));
    const curvature = factorCurvature(denseFactor({ rows, damping: 0.5, kernels }));
    const H = matrix(4, 4, new Float64Array(16));
    kernels.gram({ a: rows, transpose: true, out: H, alpha: 1 / 3 });
    for (let j = 0; j < 4; j++) H.data[j * 5] = H.data[j * 5]! + 0.5;
    for (let j = 0; j < 4; j++) {
      const unit = new Float64Array(4);
      unit[j] = 1;
      const column = new Float64Array(4);
      await curvature.apply(unit, column);
      // Sums of three f64 products.
      expect(difference(column, H.data.subarray(j * 4, j * 4 + 4))).toBeLessThan(1e-14);
      expect(curvature.diagonal()[j]).toBeCloseTo(H.data[j * 5]!, 13);
    }
  });

  test("several matrices side by side are one, and f32 vectors over f64 rows are computed in f64", async () => {
    const left = matrix(2, 3, Float64Array.of(1, 2, 3, 4, 5, 6));
    const right = matrix(2, 1, Float64Array.of(1e-9, -1));
    const view = denseFactor({ rows: [left, right], kernels });
    const out = new Float32Array(2);
    await view.times(Float32Array.of(1, 0, 0, 1), out);
    expect([...out]).toEqual([Math.fround(1 + 1e-9), 3]);
    const picked = matrix(2, 2, new Float64Array(4));
    await view.columns(Uint32Array.of(1, 3), picked);
    expect([...picked.data]).toEqual([2, 1e-9, 5, -1]);
  });

  test("rows that do not belong together or are not finite are refused", () => {
    expect(() => denseFactor({ rows: matrix(0, 3), kernels })).toThrow(/at least one/);
    expect(() => denseFactor({ rows: [matrix(2, 1), matrix(3, 1)], kernels })).toThrow(/2 and 3 rows/);
    const bad = matrix(1, 2, Float32Array.of(0, Number.POSITIVE_INFINITY));
    expect(() => denseFactor({ rows: bad, kernels })).toThrow(expect.objectContaining({ code: "ERR_NOT_FINITE" }));
  });

  test("rows in kernel memory are checked by their norms, and by their numbers where squares overflow", () => {
    const resident = { ...kernels, holds: () => true };
    const named = { where: "G.npy", remedy: "leave such rows out" };
    for (const bad of [Number.NaN, Number.NEGATIVE_INFINITY]) {
      const rows = matrix(3, 2, Float32Array.of(1, 2, 3, 4, bad, 6));
      expect(() => denseFactor({ rows, kernels: resident, named })).toThrow(
        /G\.npy: 1 of its numbers is not finite, the first is (NaN|-Infinity) at row 2, column 0 \(from 0\); leave such rows out/,
      );
    }
    const large = matrix(1, 2, Float64Array.of(1e200, 1));
    expect(denseFactor({ rows: large, kernels: resident }).columnNormsSquared()[1]).toBe(1);
  });

  test.each([{ damping: -1 }, { damping: Number.NaN }, { scale: -0.5 }, { scale: Number.POSITIVE_INFINITY }])(
    "refuses %j",
    (wrong) => {
      const rows = matrix(2, 2, Float64Array.of(1, 2, 3, 4));
      expect(() => denseFactor({ rows, kernels, ...wrong })).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    },
  );
});
