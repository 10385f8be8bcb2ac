import { type Dtype, type Mat, matrix, referenceKernels } from "@secateur/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWasmKernels, type WasmKernels } from "../create-wasm-kernels.ts";
import {
  at,
  configurations,
  copyOf,
  expectSame,
  nameOf,
  Operands,
  type Residence,
  roundoff,
  worstRatio,
} from "../kernels.test-support.ts";

const dtypes: readonly Dtype[] = ["f32", "f64"];
const residences: readonly Residence[] = ["inside", "outside"];
/** Around the blocks of 64, the four unknowns and eight rows solved together, and cache blocks of 120 rows. */
const orders = [0, 1, 2, 5, 63, 64, 65, 130, 203];

function lowerOnly(l: Mat): Mat {
  const data = l.data.map((value, i) => (i % l.cols <= Math.floor(i / l.cols) ? value : 0));
  return { ...l, data: data as Mat["data"] };
}

describe.each(configurations.map((options) => [nameOf(options), options] as const))("Cholesky, %s", (_, options) => {
  let kernels: WasmKernels;
  beforeAll(async () => {
    kernels = await createWasmKernels(options);
  });
  afterAll(() => kernels.close());

  it.each(dtypes)("finds a factor of whole numbers exactly and zeroes the upper triangle, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      for (const n of orders) {
        const l = lowerOnly(make.wholeTriangle(n));
        const a = make.filled(n, n, 0);
        referenceKernels.gram({ a: l, out: a });
        // Only the lower triangle may be read.
        for (let i = 0; i < n; i++) a.data.fill(Number.NaN, i * n + i + 1, (i + 1) * n);
        expect(kernels.cholesky(a), `${n} ${residence}`).toBe(-1);
        expectSame(a.data, l.data, `${n} ${residence}`);
      }
    }
  });

  it.each(dtypes)("L L' is the matrix again, to the rounding of n operations, %s", (dtype) => {
    const make = new Operands(kernels, dtype, "inside");
    const n = 150;
    const a = make.filled(n, n, 0);
    referenceKernels.gram({ a: make.real(n, n + 50), out: a });
    const l = copyOf(a);
    expect(kernels.cholesky(l)).toBe(-1);
    const wide = (mat: Mat, change = (x: number) => x): Mat => ({ ...mat, data: Float64Array.from(mat.data, change) });
    const [product, magnitudes] = [matrix(n, n, new Float64Array(n * n)), matrix(n, n, new Float64Array(n * n))];
    referenceKernels.gram({ a: wide(l), out: product });
    referenceKernels.gram({ a: wide(l, Math.abs), out: magnitudes });
    // Higham, Accuracy and Stability of Numerical Algorithms, theorem 10.3: |A - L L'| <= gamma(n + 1) |L| |L'|; the check itself
    // sums n products in f64.
    const bound = (n + 1) * roundoff(dtype) + n * roundoff("f64");
    const errors = [...a.data].map(
      (value, i) => [value - at(product.data, i), bound * at(magnitudes.data, i)] as const,
    );
    expect(worstRatio(errors)).toBeLessThanOrEqual(1);
  });

  it.each(dtypes)("names the first pivot that is not positive and finite, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      for (const [n, at] of [
        [1, 0],
        [40, 39],
        [200, 0],
        [200, 64],
        [200, 131],
      ] as const) {
        for (const change of [-1000, Number.NaN, Number.POSITIVE_INFINITY]) {
          const a = make.filled(n, n, 0);
          referenceKernels.gram({ a: lowerOnly(make.wholeTriangle(n)), out: a });
          a.data[at * n + at] = change;
          expect(referenceKernels.cholesky(copyOf(a))).toBe(at);
          expect(kernels.cholesky(a), `${n} ${at} ${change} ${residence}`).toBe(at);
        }
      }
      // Rank 70 of 100, in whole numbers: pivot 70 is exactly 0.
      const low = make.filled(100, 100, 0);
      const l = lowerOnly(make.wholeTriangle(100));
      for (let i = 70; i < 100; i++) for (let j = 70; j < 100; j++) l.data[i * 100 + j] = 0;
      referenceKernels.gram({ a: l, out: low });
      expect(kernels.cholesky(low)).toBe(70);
    }
  });

  it.each(dtypes)("triangularSolve finds whole-number solutions exactly, %s", (dtype) => {
    for (const residence of residences) {
      const make = new Operands(kernels, dtype, residence);
      for (const n of orders) {
        // A small right-hand side of ones and zeros keeps intermediate numbers exact in f32.
        const l = make.wholeTriangle(n);
        const junkAbove = copyOf(l);
        for (let i = 0; i < n; i++) junkAbove.data.fill(Number.NaN, i * n + i + 1, (i + 1) * n);
        for (const m of [0, 1, 2, 3, 8, 21]) {
          for (const transpose of [false, true]) {
            const x = make.whole(n, m, 1);
            const b = make.filled(n, m, 0);
            referenceKernels.gemm({ a: lowerOnly(l), transposeA: transpose, b: x, out: b });
            const stored = make.filled(n, n, 0);
            stored.data.set(junkAbove.data);
            kernels.triangularSolve({ l: stored, transpose, b });
            // Solutions are compared as numbers: a sum of cancelling terms may come out as -0.
            expect(
              [...b.data].every((value, i) => value === x.data[i]),
              `${n} x ${m} ${transpose} ${residence}`,
            ).toBe(true);
          }
        }
      }
    }
  });
});
