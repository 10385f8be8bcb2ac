import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Mat, matrix, type Vec } from "../problem/matrix.ts";
import { createRng } from "../rng.ts";
import { referenceKernels as kernels } from "./reference-kernels.ts";

const rng = createRng("reference kernels");
const flags = [false, true] as const;

/** Whole numbers from -5 to 5: sums of their products are exact, so results can be compared exactly. */
function whole(rows: number, cols: number): Mat {
  return matrix(
    rows,
    cols,
    Float32Array.from({ length: rows * cols }, () => rng.integer(11) - 5),
  );
}

function entry(mat: Mat, i: number, j: number): number {
  return mat.data[i * mat.cols + j] as number;
}

function transposed(mat: Mat): Mat {
  const data = mat.data.map((_, i) => entry(mat, i % mat.rows, Math.floor(i / mat.rows)));
  return { rows: mat.cols, cols: mat.rows, data: data as Vec };
}

/** a b, entry by entry as it is defined. */
function product(a: Mat, b: Mat): Mat {
  const out = matrix(a.rows, b.cols, new Float64Array(a.rows * b.cols));
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.cols; j++) {
      let sum = 0;
      for (let l = 0; l < a.cols; l++) sum += entry(a, i, l) * entry(b, l, j);
      out.data[i * b.cols + j] = sum;
    }
  }
  return out;
}

describe("referenceKernels products", () => {
  it("gemm is alpha op(a) op(b) + beta out in every transposition", () => {
    for (const [m, n, k] of [
      [3, 4, 5],
      [1, 7, 2],
      [0, 2, 3],
      [2, 0, 3],
      [2, 3, 0],
    ] as const) {
      for (const transposeA of flags) {
        for (const transposeB of flags) {
          const [a, b, out] = [whole(m, k), whole(k, n), whole(m, n)];
          const expected = product(a, b).data.map((value, i) => 2 * value - 0.5 * (out.data[i] as number));
          kernels.gemm({
            a: transposeA ? transposed(a) : a,
            transposeA,
            b: transposeB ? transposed(b) : b,
            transposeB,
            out,
            alpha: 2,
            beta: -0.5,
          });
          expect([...out.data]).toEqual([...expected]);
        }
      }
    }
  });

  it("overwrites NaN when beta is 0, in gemm, gram, gemv and rowDots", () => {
    const a = whole(3, 3);
    const square = (): Mat => matrix(3, 3, new Float32Array(9).fill(Number.NaN));
    const vector = (): Float32Array => new Float32Array(3).fill(Number.NaN);
    const results = [square().data, square().data, vector(), vector()] as const;
    kernels.gemm({ a, b: a, out: matrix(3, 3, results[0]) });
    kernels.gram({ a, out: matrix(3, 3, results[1]) });
    kernels.gemv({ a, x: Float32Array.of(1, 2, 3), out: results[2] });
    kernels.rowDots(a, a, results[3], 0);
    for (const result of results) expect(result.some(Number.isNaN)).toBe(false);
  });

  it("gram is gemm of a matrix with its own transpose", () => {
    for (const transpose of flags) {
      const a = whole(4, 6);
      const n = transpose ? 6 : 4;
      const out = matrix(n, n);
      kernels.gram({ a, transpose, out, alpha: 3 });
      const expected = transpose ? product(transposed(a), a) : product(a, transposed(a));
      expect([...out.data]).toEqual([...expected.data].map((value) => 3 * value));
    }
  });

  it("gemv is gemm with one column", () => {
    for (const transpose of flags) {
      const a = whole(4, 6);
      const x = whole(transpose ? 4 : 6, 1);
      const out = whole(transpose ? 6 : 4, 1);
      const held = [...out.data];
      kernels.gemv({ a, transpose, x: x.data, out: out.data, alpha: -1, beta: 2 });
      const expected = product(transpose ? transposed(a) : a, x);
      expect([...out.data]).toEqual([...expected.data].map((value, i) => 2 * (held[i] as number) - value));
    }
  });

  it("sums in f64: a product too small for f32 is not lost on the way", () => {
    const a = matrix(1, 3, Float32Array.of(2 ** 24, 1, -(2 ** 24)));
    const ones = matrix(3, 1, Float32Array.of(1, 1, 1));
    const out = matrix(1, 1);
    kernels.gemm({ a, b: ones, out });
    expect(out.data[0]).toBe(1);
    expect(kernels.dot(a.data, ones.data)).toBe(1);
  });
});

describe("referenceKernels factorisations", () => {
  /** A lower triangle with a diagonal of powers of two: its products, and the way back, are exact. */
  function triangle(n: number): Mat {
    const l = whole(n, n);
    for (let i = 0; i < n; i++) {
      l.data[i * n + i] = 2 ** rng.integer(3);
      l.data.fill(0, i * n + i + 1, (i + 1) * n);
    }
    return l;
  }

  it("cholesky finds L again from the lower triangle of L L', and zeroes the upper one", () => {
    for (const n of [0, 1, 2, 9]) {
      const l = triangle(n);
      const a = product(l, transposed(l));
      for (let i = 0; i < n; i++) a.data.fill(Number.NaN, i * n + i + 1, (i + 1) * n);
      expect(kernels.cholesky(a)).toBe(-1);
      expect([...a.data]).toEqual([...l.data]);
    }
  });

  it("cholesky names the first pivot that is not positive and finite", () => {
    for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const a = matrix(3, 3, Float64Array.of(4, 0, 0, 0, bad, 0, 0, 0, -9));
      expect(kernels.cholesky(a), String(bad)).toBe(1);
    }
  });

  it("triangularSolve undoes a product with L or L', for any number of right-hand sides", () => {
    for (const transpose of flags) {
      for (const m of [0, 1, 4]) {
        const l = triangle(7);
        const x = whole(7, m);
        const b = product(transpose ? transposed(l) : l, x);
        const withJunkAbove = { ...l, data: Float64Array.from(l.data) };
        for (let i = 0; i < 7; i++) withJunkAbove.data.fill(Number.NaN, i * 7 + i + 1, (i + 1) * 7);
        kernels.triangularSolve({ l: withJunkAbove, transpose, b });
        expect(b.data.every((value, i) => value === x.data[i])).toBe(true);
      }
    }
  });
});

describe("referenceKernels passes over vectors and rows", () => {
  const a = matrix(2, 3, Float32Array.of(1, -2, 3, -4, 5, -6));

  it("axpy, multiply, scaleRows and addRow do what their names say", () => {
    const y = Float32Array.of(1, 1, 1);
    kernels.axpy(2, Float32Array.of(1, 2, 3), y);
    expect([...y]).toEqual([3, 5, 7]);
    kernels.multiply(y, y, y);
    expect([...y]).toEqual([9, 25, 49]);
    const out = matrix(2, 3);
    kernels.scaleRows(a, Float32Array.of(2, -1), out);
    expect([...out.data]).toEqual([2, -4, 6, 4, -5, 6]);
    kernels.addRow(out, Float32Array.of(10, 20, 30));
    expect([...out.data]).toEqual([12, 16, 36, 14, 15, 36]);
  });

  it("rowDots, columnSums and gatherColumns reduce and pick, also into f64", () => {
    const dots = Float64Array.of(100, 200);
    kernels.rowDots(a, a, dots, 0.5);
    expect([...dots]).toEqual([50 + 14, 100 + 77]);
    const sums = new Float64Array(3);
    kernels.columnSums(a, sums);
    expect([...sums]).toEqual([-3, 3, -3]);
    const out = matrix(2, 4);
    kernels.gatherColumns(a, Uint32Array.of(2, 0, 0, 1), out);
    expect([...out.data]).toEqual([3, 1, 1, -2, -6, -4, -4, 5]);
  });

  it("relu and its backward pass gate on the sign; NaN stays NaN", () => {
    const x = Float32Array.of(-1, 0, -0, 2, Number.NaN);
    const out = new Float32Array(5);
    kernels.relu(x, out);
    expect([...out]).toEqual([0, 0, 0, 2, Number.NaN]);
    kernels.reluBackward(x, Float32Array.of(7, 7, 7, 7, 7), out);
    expect([...out]).toEqual([0, 0, 0, 7, 0]);
  });

  it("alloc gives zeros of the asked-for dtype; free takes anything", () => {
    expect(kernels.alloc(3, "f32")).toEqual(new Float32Array(3));
    expect(kernels.alloc(2, "f64")).toEqual(new Float64Array(2));
    expect(kernels.free(new Float32Array(1))).toBeUndefined();
  });
});

describe("referenceKernels largest", () => {
  it("chooses as a stable sort by falling score does, with NaN as -Infinity", () => {
    const score = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(-0, Number.NaN, Number.NEGATIVE_INFINITY));
    fc.assert(
      fc.property(fc.array(score, { maxLength: 30 }), fc.nat(), (scores, seed) => {
        const k = seed % (scores.length + 1);
        const value = (i: number): number => {
          const found = scores[i] as number;
          return Number.isNaN(found) ? Number.NEGATIVE_INFINITY : found;
        };
        // Array sort is stable: equal scores stay in index order. Infinities are compared, since their difference is NaN.
        const byScore = (i: number, j: number): number => (value(i) < value(j) ? 1 : value(i) > value(j) ? -1 : 0);
        const expected = [...scores.keys()].sort(byScore).slice(0, k);
        expect([...kernels.largest(Float64Array.from(scores), k)]).toEqual(expected.sort((i, j) => i - j));
      }),
      { seed: 11 },
    );
  });
});

describe("referenceKernels softmaxCrossEntropy", () => {
  it("gives -log softmax of the label, and softmax - onehot", () => {
    const logits = matrix(2, 3, Float64Array.of(0, Math.log(2), Math.log(5), 1, 1, 1));
    const loss = new Float64Array(2);
    const delta = matrix(2, 3, new Float64Array(6));
    const total = kernels.softmaxCrossEntropy({ logits, labels: Uint32Array.of(2, 0), loss, delta });
    // Rounding of exp and log of numbers near 1: a few units in the last of 16 digits.
    expect(loss[0]).toBeCloseTo(Math.log(8 / 5), 14);
    expect(loss[1]).toBeCloseTo(Math.log(3), 14);
    expect(total).toBe((loss[0] as number) + (loss[1] as number));
    const expected = [1 / 8, 2 / 8, 5 / 8 - 1, 1 / 3 - 1, 1 / 3, 1 / 3];
    expected.forEach((value, i) => {
      expect(delta.data[i]).toBeCloseTo(value, 14);
    });
  });

  it("is stable for large logits and may write the gradient over them", () => {
    const logits = matrix(1, 2, Float32Array.of(1e30, -1e30));
    const loss = new Float64Array(1);
    expect(kernels.softmaxCrossEntropy({ logits, labels: Uint32Array.of(0), loss, delta: logits })).toBe(0);
    expect([...logits.data]).toEqual([0, 0]);
    const far = matrix(1, 2, Float64Array.of(0, 1000));
    expect(kernels.softmaxCrossEntropy({ logits: far, labels: Uint32Array.of(0), loss })).toBe(1000);
  });
});

describe("kernel shape checks", () => {
  const two = matrix(2, 2);
  const wide = matrix(2, 3);
  const vector = new Float32Array(2);
  const other = (): Mat => matrix(2, 2);

  it.each<[string, () => unknown, RegExp]>([
    ["gemm of sums of unequal length", () => kernels.gemm({ a: wide, b: wide, out: two }), /2 x 3 and op\(b\) 2 x 3/],
    ["gemm into a wrong shape", () => kernels.gemm({ a: two, b: wide, out: other() }), /out of 2 x 2/],
    [
      "gemm of mixed dtypes",
      () => kernels.gemm({ a: two, b: matrix(2, 2, new Float64Array(4)), out: other() }),
      /f32 and f64/,
    ],
    ["gemm over its operand", () => kernels.gemm({ a: two, b: other(), out: two }), /overlaps/],
    [
      "gemm of a matrix without its entries",
      () => kernels.gemm({ a: { ...two, data: vector }, b: two, out: other() }),
      /holds 2/,
    ],
    ["gram into a wrong shape", () => kernels.gram({ a: wide, transpose: true, out: two }), /3 x 3; got 2 x 2/],
    ["gram over its operand", () => kernels.gram({ a: two, out: two }), /overlaps/],
    [
      "gemv with a wrong x",
      () => kernels.gemv({ a: wide, x: vector, out: new Float32Array(2) }),
      /x must have 3 entries; got 2/,
    ],
    [
      "gemv with a wrong out",
      () => kernels.gemv({ a: wide, transpose: true, x: vector, out: vector }),
      /out must have 3/,
    ],
    ["gemv over x", () => kernels.gemv({ a: two, x: vector, out: vector }), /overlaps/],
    ["cholesky of a wide matrix", () => kernels.cholesky(wide), /square; got 2 x 3/],
    ["triangularSolve with a wide l", () => kernels.triangularSolve({ l: wide, b: two }), /square/],
    ["triangularSolve with a short b", () => kernels.triangularSolve({ l: two, b: matrix(1, 2) }), /2 rows.*got 1/],
    ["triangularSolve over l", () => kernels.triangularSolve({ l: two, b: two }), /overlaps/],
    ["dot of unequal lengths", () => kernels.dot(vector, new Float32Array(3)), /one length; got 2 and 3/],
    ["axpy of mixed dtypes", () => kernels.axpy(1, vector, new Float64Array(2)), /one dtype/],
    ["scaleRows with wrong scales", () => kernels.scaleRows(wide, new Float32Array(3), wide), /scales must have 2/],
    ["scaleRows into a wrong shape", () => kernels.scaleRows(wide, vector, two), /out must be 2 x 3/],
    ["rowDots of unequal shapes", () => kernels.rowDots(wide, two, vector, 0), /b must be 2 x 3; got 2 x 2/],
    ["columnSums into a wrong length", () => kernels.columnSums(wide, vector), /out must have 3/],
    ["addRow of a wrong length", () => kernels.addRow(wide, vector), /row must have 3/],
    [
      "gatherColumns of a missing column",
      () => kernels.gatherColumns(wide, Uint32Array.of(0, 3), other()),
      /column 1 is 3; it must be below 3/,
    ],
    ["gatherColumns into a wrong shape", () => kernels.gatherColumns(wide, Uint32Array.of(0), two), /2 x 1; got 2 x 2/],
    ["largest of too many", () => kernels.largest(vector, 3), /from 0 to 2; got 3/],
    ["largest of a fraction", () => kernels.largest(vector, 0.5), /got 0.5/],
    [
      "softmaxCrossEntropy of a missing class",
      () => kernels.softmaxCrossEntropy({ logits: two, labels: Uint32Array.of(0, 2), loss: new Float64Array(2) }),
      /label 1 is 2; it must be below 2/,
    ],
    [
      "softmaxCrossEntropy with too few labels",
      () => kernels.softmaxCrossEntropy({ logits: two, labels: new Uint32Array(1), loss: new Float64Array(2) }),
      /2 rows.*got 1 and 2/,
    ],
  ])("refuse %s", (_, call, message) => {
    expect(call).toThrow(RangeError);
    expect(call).toThrow(message);
  });
});
