import fc from "fast-check";
import { solve as leastSquares, Matrix } from "ml-matrix";
import { describe, expect, test } from "vitest";
import { type Mask, type Mat, matrix } from "../../problem/matrix.ts";
import { createRng } from "../../rng.ts";
import { createRunContext } from "../../run-context.ts";
import { gradientRows, symmetric, toMlMatrix } from "../random-systems.test-support.ts";
import { type RowsRefitForm, refitRows } from "./refit-rows.ts";

const ctx = createRunContext();
const forms = ["kept", "pruned", "cg", "auto"] as const satisfies readonly RowsRefitForm[];

interface Layer {
  /** X [examples, c] with sqrt(damping) I below it, over sqrt(examples): H = X'X. */
  readonly X: Mat;
  readonly H: Mat;
  readonly w0: Mat;
  readonly b: Mat;
  readonly mask: Mask;
}

/** A layer of random inputs, targets b = H w0 and a random mask of about half. */
function layer(spec: { examples: number; size: number; rows: number; seed: number }): Layer {
  const { examples, size, rows, seed } = spec;
  const damping = 0.05;
  const inputs = gradientRows({ rows: examples, size, seed });
  const X = matrix(examples + size, size, new Float64Array((examples + size) * size));
  inputs.data.forEach((value, i) => {
    X.data[i] = value / Math.sqrt(examples);
  });
  for (let j = 0; j < size; j++) X.data[(examples + j) * size + j] = Math.sqrt(damping);
  const H = symmetric(inputs, damping);
  const w0 = gradientRows({ rows, size, seed: seed + 1 });
  const b = matrix(rows, size, new Float64Array(rows * size));
  ctx.kernels.gemm({ a: w0, b: H, out: b });
  const rng = createRng(`mask ${seed}`);
  return { X, H, w0, b, mask: Uint8Array.from({ length: rows * size }, () => rng.integer(2)) };
}

/** Row r by least squares on the columns of X it keeps, X_S w = X w0, by ml-matrix alone. */
function byLeastSquares({ X, w0, mask }: Layer, r: number): Float64Array {
  const { cols } = w0;
  const all = toMlMatrix(X);
  const target = all.mmul(Matrix.columnVector(w0.data.subarray(r * cols, (r + 1) * cols)));
  const support = Array.from({ length: cols }, (_, j) => j).filter((j) => mask[r * cols + j] === 1);
  const out = new Float64Array(cols);
  if (support.length === 0) return out;
  const found = leastSquares(all.subMatrixColumn(support), target);
  support.forEach((j, s) => {
    out[j] = found.get(s, 0);
  });
  return out;
}

const layers = fc.record({
  examples: fc.integer({ min: 1, max: 14 }),
  size: fc.integer({ min: 1, max: 8 }),
  rows: fc.integer({ min: 1, max: 5 }),
  seed: fc.nat(1000),
});

describe("rows that share H, re-fitted on supports of their own", () => {
  test("are the least-squares solutions that ml-matrix finds from the inputs, in every form", async () => {
    await fc.assert(
      fc.asyncProperty(layers, fc.constantFrom(...forms), async (spec, form) => {
        const posed = layer(spec);
        const { w } = await refitRows({ ...posed, form }, ctx);
        for (let r = 0; r < spec.rows; r++) {
          byLeastSquares(posed, r).forEach((value, j) => {
            // Condition numbers of H up to some hundreds; conjugate gradients stop at a residual of 1e-10.
            expect(Math.abs(w.data[r * spec.size + j]! - value)).toBeLessThan(1e-8 * (1 + Math.abs(value)));
          });
        }
      }),
    );
  });

  test("with one support for several rows are what each is alone", async () => {
    const posed = layer({ examples: 9, size: 6, rows: 3, seed: 5 });
    posed.mask.set(posed.mask.subarray(0, 6), 12);
    for (const form of ["kept", "pruned"] as const) {
      const { w } = await refitRows({ ...posed, form }, ctx);
      for (let r = 0; r < 3; r++) {
        const own = matrix(1, 6, posed.b.data.slice(r * 6, (r + 1) * 6));
        const mask = posed.mask.slice(r * 6, (r + 1) * 6);
        const alone = await refitRows({ H: posed.H, b: own, mask, form }, ctx);
        // Equal up to the order of sums in a product of one row or of three.
        alone.w.data.forEach((value, j) => {
          expect(w.data[r * 6 + j]).toBeCloseTo(value, 12);
        });
      }
    }
  });

  test("keep everything or nothing", async () => {
    const { H, b } = layer({ examples: 9, size: 6, rows: 2, seed: 6 });
    for (const form of forms) {
      const mask = Uint8Array.from({ length: 12 }, (_, i) => (i < 6 ? 1 : 0));
      const { w } = await refitRows({ H, b, mask, form }, ctx);
      expect([...w.data.subarray(6)]).toEqual([0, 0, 0, 0, 0, 0]);
      const image = new Float64Array(6);
      ctx.kernels.gemv({ a: H, x: w.data.subarray(0, 6), out: image });
      image.forEach((value, j) => {
        expect(value).toBeCloseTo(b.data[j]!, 8);
      });
    }
  });

  test("take the form of fewest multiply-adds", async () => {
    const posed = layer({ examples: 30, size: 24, rows: 200, seed: 7 });
    const rng = createRng("few");
    const few = new Uint8Array(200 * 24);
    for (let r = 0; r < 200; r++) for (let s = 0; s < 3; s++) few[r * 24 + rng.integer(24)] = 1;
    expect((await refitRows({ ...posed, mask: few }, ctx)).form).toBe("kept");
    expect((await refitRows({ ...posed, mask: few.map((bit) => 1 - bit) }, ctx)).form).toBe("pruned");
    // 300^3 / 6 for the factor of a row is less than 80 products of it with H, 80 * 300^2; twice as much would be more.
    const size = 300;
    const H = matrix(size, size, new Float64Array(size * size));
    for (let i = 0; i < size; i++) H.data[i * (size + 1)] = 1 + i;
    const b = matrix(1, size, new Float64Array(size).fill(1));
    expect((await refitRows({ H, b, mask: new Uint8Array(size).fill(1) }, ctx)).form).toBe("kept");
  });

  test("leave what they were given as it was", async () => {
    const posed = layer({ examples: 9, size: 6, rows: 2, seed: 8 });
    const before = structuredClone(posed);
    for (const form of forms) await refitRows({ ...posed, start: posed.b, form }, ctx);
    expect(posed).toEqual(before);
  });

  test("are refused with the row and the pivot where H is singular on a support", async () => {
    const H = matrix(3, 3, Float64Array.of(1, 1, 0, 1, 1, 0, 0, 0, 1));
    const spec = { H, b: matrix(2, 3, new Float64Array(6).fill(1)), mask: Uint8Array.of(1, 0, 1, 1, 1, 0) };
    await expect(refitRows({ ...spec, form: "kept" }, ctx)).rejects.toThrow(
      /the curvature on the support of row 1 is singular \(pivot 1 is not positive with damping 0\); raise the ridge/,
    );
  });
});
