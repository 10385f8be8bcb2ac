import fc from "fast-check";
import { CholeskyDecomposition, EigenvalueDecomposition, inverse, Matrix } from "ml-matrix";
import { describe, expect, test } from "vitest";
import { referenceKernels as kernels } from "../kernels/reference-kernels.ts";
import { type Mat, matrix } from "../problem/matrix.ts";
import { factorize, invertSpd, solveSpd } from "./cholesky.ts";
import { gradientRows, symmetric, toMlMatrix } from "./random-systems.test-support.ts";

/** H = G'G / n + damping I in f64. */
function spdMatrix(spec: { rows: number; size: number; damping: number; seed: number }): Mat {
  return symmetric(gradientRows(spec), spec.damping);
}

const about = { what: "the curvature", damping: 0, kernels } as const;
const cases = fc.record({
  rows: fc.integer({ min: 1, max: 12 }),
  size: fc.integer({ min: 1, max: 9 }),
  damping: fc.constantFrom(1e-3, 0.1, 3),
  seed: fc.nat(),
});

describe("a symmetric positive definite matrix", () => {
  test("has the Cholesky factor that ml-matrix finds", () => {
    fc.assert(
      fc.property(cases, (spec) => {
        const H = spdMatrix(spec);
        const expected = new CholeskyDecomposition(toMlMatrix(H)).lowerTriangularMatrix;
        const L = factorize({ ...about, H });
        // Condition numbers are up to 1e4 here: twelve digits remain.
        L.data.forEach((value, i) => {
          expect(value).toBeCloseTo(expected.get(Math.floor(i / L.cols), i % L.cols), 11);
        });
      }),
    );
  });

  test("solves for several right-hand sides as ml-matrix does", () => {
    fc.assert(
      fc.property(cases, (spec) => {
        const H = spdMatrix(spec);
        const b = matrix(spec.size, 3, gradientRows({ rows: spec.size, size: 3, seed: spec.seed + 1 }).data);
        const expected = new CholeskyDecomposition(toMlMatrix(H)).solve(toMlMatrix(b));
        solveSpd({ ...about, H, b });
        b.data.forEach((value, i) => {
          const wanted = expected.get(Math.floor(i / 3), i % 3);
          expect(Math.abs(value - wanted)).toBeLessThan(1e-10 * (1 + Math.abs(wanted) / spec.damping));
        });
      }),
    );
  });

  test("has the inverse that ml-matrix finds by LU", () => {
    fc.assert(
      fc.property(cases, (spec) => {
        const H = spdMatrix(spec);
        const expected = inverse(toMlMatrix(H));
        const found = invertSpd({ ...about, H });
        found.data.forEach((value, i) => {
          const wanted = expected.get(Math.floor(i / spec.size), i % spec.size);
          expect(Math.abs(value - wanted)).toBeLessThan(1e-9 / spec.damping);
        });
      }),
    );
  });
});

describe("a singular matrix", () => {
  test("is refused at the first column that depends on those before it, wherever it stands", () => {
    for (let planted = 1; planted < 6; planted++) {
      const G = gradientRows({ rows: 9, size: 6, seed: planted });
      // Column `planted` becomes the sum of all before it.
      for (let i = 0; i < 9; i++) {
        let sum = 0;
        for (let j = 0; j < planted; j++) sum += G.data[i * 6 + j]!;
        G.data[i * 6 + planted] = sum;
      }
      expect(() => factorize({ ...about, H: symmetric(G, 0) })).toThrow(
        `the curvature is singular (pivot ${planted} is not positive with damping 0)`,
      );
    }
  });

  test("is said with a damping under which it can be solved", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 2, max: 9 }), (seed, size) => {
        const G = gradientRows({ rows: 12, size, seed });
        for (let i = 0; i < 12; i++) G.data[i * size + size - 1] = G.data[i * size]!;
        let message = "";
        try {
          factorize({ ...about, H: symmetric(G, 0) });
        } catch (error) {
          message = String(error);
        }
        const enough = Number(/for example to ([\d.e+-]+)/.exec(message)?.[1]);
        const { realEigenvalues } = new EigenvalueDecomposition(toMlMatrix(symmetric(G, 0)), { assumeSymmetric: true });
        expect(enough).toBeLessThan(1e-12 * Math.max(...realEigenvalues));
        expect(() => factorize({ ...about, damping: enough, H: symmetric(G, enough) })).not.toThrow();
      }),
    );
  });

  test("is refused for a zero, a negative and a NaN pivot alike", () => {
    for (const pivot of [0, -1, Number.NaN]) {
      const H = matrix(2, 2, Float64Array.of(1, 0, 0, pivot));
      expect(() => factorize({ ...about, H })).toThrow("pivot 1");
    }
  });
});

test("ml-matrix and this package mean the same by rows", () => {
  expect(toMlMatrix(matrix(1, 2, Float64Array.of(1, 2)))).toEqual(new Matrix([[1, 2]]));
});
