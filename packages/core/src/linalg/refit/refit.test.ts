import fc from "fast-check";
import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, test } from "vitest";
import { referenceKernels as kernels } from "../../kernels/reference-kernels.ts";
import { factorCurvature } from "../../problem/curvature.ts";
import { matrix, type Vec, zeros } from "../../problem/matrix.ts";
import { createRunContext } from "../../run-context.ts";
import { gradientAt, pointAt, prunedModel, type QuadraticModel, quadraticModel, valueAt } from "../quadratic-model.ts";
import {
  denseView,
  gradientRows,
  normals,
  randomProblem,
  toMlMatrix,
  withoutColumns,
} from "../random-systems.test-support.ts";
import { refit } from "./refit.ts";
import { refitBlocks } from "./refit-blocks.ts";
import { cheapestForm } from "./refit-form.ts";

const ctx = createRunContext();
const forms = ["primal", "dual", "cg"] as const;
const support = Uint32Array.of(0, 2, 3, 5, 8, 9);

/** A model over six of ten weights: it has an offset and, with `slope`, a gradient. */
function modelOf(spec: {
  n: number;
  ridge: number;
  slope: boolean;
  dtype?: "f32" | "f64";
  seed?: number;
}): Promise<QuadraticModel> {
  return prunedModel(quadraticModel(randomProblem({ p: 10, ...spec }), { kernels }), support);
}

async function pointAfter(model: QuadraticModel, d: Vec): ReturnType<typeof pointAt> {
  return pointAt(
    model,
    model.w0.map((value, j) => value + d[j]!),
  );
}

async function slopeAt(model: QuadraticModel, d: Vec): Promise<number> {
  const slope = zeros(model.dim, model.dtype);
  await gradientAt(model, await pointAfter(model, d), slope);
  return Math.sqrt(kernels.dot(slope, slope));
}

const valueAfter = async (model: QuadraticModel, d: Vec): Promise<number> => valueAt(model, await pointAfter(model, d));

describe("the re-fit", () => {
  test("is the least-squares solution that ml-matrix finds by SVD, in every form", async () => {
    const cases = fc.record({ n: fc.integer({ min: 1, max: 15 }), slope: fc.boolean(), seed: fc.nat(500) });
    await fc.assert(
      fc.asyncProperty(cases, fc.constantFrom(...forms, "auto" as const), async (spec, form) => {
        const ridge = 0.2;
        const problem = randomProblem({ p: 10, ridge, ...spec });
        const model = await prunedModel(quadraticModel(problem, { kernels }), support);
        const { d } = await refit(model, { form }, ctx);
        // 1/2 ||X w - t||^2 over w on the support, X = [G / sqrt(n); sqrt(ridge) I], and t from (X'X) w0 - g.
        const H = toMlMatrix(problem.G)
          .transpose()
          .mmul(toMlMatrix(problem.G))
          .div(spec.n)
          .add(Matrix.eye(10).mul(ridge));
        const target = H.mmul(Matrix.columnVector(problem.w.data)).sub(
          Matrix.columnVector(problem.gradient?.data ?? new Float64Array(10)),
        );
        const kept = [...support];
        const expected = new SingularValueDecomposition(H.selection(kept, kept)).solve(target.selection(kept, [0]));
        kept.forEach((j, s) => {
          // Condition numbers of some tens; conjugate gradients stop at 1e-12.
          expect(Math.abs(problem.w.data[j]! + d[s]! - expected.get(s, 0))).toBeLessThan(1e-9);
        });
      }),
    );
  });

  test.each(
    (["f64", "f32"] as const).flatMap((dtype) =>
      [4, 15].flatMap((n) => [false, true].map((slope) => ({ dtype, n, slope, ridge: 0.2 }))),
    ),
  )("leaves no slope on the support, in every form: %j", async (spec) => {
    const model = await modelOf(spec);
    const start = await slopeAt(model, zeros(model.dim, spec.dtype));
    // f64: 1e-12 is asked of conjugate gradients. f32: the slope itself is a sum of numbers rounded at 2^-24.
    const tolerance = spec.dtype === "f64" ? 1e-11 : 5e-6;
    for (const form of forms) {
      const { d, form: used, status } = await refit(model, { form }, ctx);
      expect([used, status]).toEqual([form, form === "cg" ? "converged" : "exact"]);
      expect((await slopeAt(model, d)) / start).toBeLessThan(tolerance);
    }
    expect((await slopeAt(model, (await refit(model, {}, ctx)).d)) / start).toBeLessThan(tolerance);
  });

  test("by conjugate gradients never lets Q rise, iteration by iteration, from any start", async () => {
    const model = await modelOf({ n: 15, ridge: 0.01, slope: true });
    const start = normals(model.dim, "start").map((value) => 3 * value);
    const before = start.slice();
    let last = await valueAfter(model, start);
    for (let maxIterations = 1; maxIterations <= 6; maxIterations++) {
      const fit = await refit(model, { form: "cg", start, maxIterations }, ctx);
      expect(fit.iterations).toBeLessThanOrEqual(maxIterations);
      const value = await valueAfter(model, fit.d);
      expect(value).toBeLessThanOrEqual(last + 1e-13); // rounding once it has converged
      last = value;
    }
    expect(start).toEqual(before);
    // Six unknowns: exact after six iterations.
    expect(last).toBeCloseTo(await valueAfter(model, (await refit(model, { form: "primal" }, ctx)).d), 10);
  });

  test("with recurrences in f64 over f32 rows is nearer to the exact weights than with recurrences in f32", async () => {
    const model = await modelOf({ n: 15, ridge: 1e-3, slope: false, dtype: "f32" });
    const exact = await refit(model, { form: "primal", recurrences: "f64" }, ctx);
    const errorOf = async (recurrences: "f32" | "f64"): Promise<number> => {
      const { d } = await refit(model, { form: "cg", tolerance: 0, maxIterations: 30, recurrences }, ctx);
      expect(d).toBeInstanceOf(recurrences === "f64" ? Float64Array : Float32Array);
      return Math.max(...exact.d.map((value, j) => Math.abs(value - d[j]!)));
    };
    expect(await errorOf("f64")).toBeLessThan(1e-5);
    expect(await errorOf("f64")).toBeLessThanOrEqual(await errorOf("f32"));
  });

  test("of nothing is nothing", async () => {
    const model = await prunedModel(quadraticModel(randomProblem({ n: 3, p: 4 }), { kernels }), new Uint32Array(0));
    expect((await refit(model, {}, ctx)).d).toHaveLength(0);
  });

  test("serves a curvature that has Gram matrices of columns instead of columns", async () => {
    for (const slope of [false, true]) {
      const problem = randomProblem({ n: 7, p: 10, slope });
      const bare = { ...problem, curvature: factorCurvature(withoutColumns(denseView(problem.G, 0.1))) };
      const exact = await refit(
        await prunedModel(quadraticModel(problem, { kernels }), support),
        { form: "primal" },
        ctx,
      );
      const model = await prunedModel(quadraticModel(bare, { kernels }), support);
      for (const form of ["primal", "cg", "auto"] as const) {
        const { d } = await refit(model, { form }, ctx);
        exact.d.forEach((value, s) => {
          expect(d[s]).toBeCloseTo(value, 10);
        });
      }
      await expect(refit(model, { form: "dual" }, ctx)).rejects.toMatchObject({ code: "ERR_INCOMPATIBLE" });
    }
  });
});

describe("a singular re-fit", () => {
  // Columns 0 and 1 are equal, 2 is zero: any split between 0 and 1 is a minimiser.
  const G = matrix(4, 4, Float64Array.of(1, 1, 0, 2, 2, 2, 0, -1, 0, 0, 0, 3, -1, -1, 0, 1));

  test.each(["f64", "f32"] as const)(
    "reaches the least Q and stays finite where any minimiser will do, in %s",
    async (dtype) => {
      const problem = randomProblem({ n: 4, p: 4, ridge: 0, slope: false, G, dtype });
      const model = await prunedModel(quadraticModel(problem, { kernels }), Uint32Array.of(0, 1, 2));
      const { d, form } = await refit(model, {}, ctx);
      expect(form).toBe("cg");
      expect(d.every(Number.isFinite)).toBe(true);
      // With column 1 pruned, column 0 can do all that both can: the same least Q, and a regular system.
      const alone = await prunedModel(quadraticModel(problem, { kernels }), Uint32Array.of(0));
      const { d: exact } = await refit(alone, { form: "primal" }, ctx);
      expect(await valueAfter(model, d)).toBeCloseTo(await valueAfter(alone, exact), dtype === "f64" ? 10 : 5);
    },
  );

  test("does not run off along directions that the rows do not see when it starts at the minimiser", async () => {
    // 9 weights, 4 rows, no damping, a slope in the span of the rows: five flat directions, and only rounding to be gained.
    const problem = randomProblem({ n: 4, p: 9, ridge: 0, slope: false });
    const slope = matrix(1, 9, new Float64Array(9));
    kernels.gemv({ a: problem.G, transpose: true, x: normals(4, "u"), out: slope.data });
    const model = quadraticModel({ ...problem, gradient: slope }, { kernels });
    const { d: first } = await refit(model, { form: "cg" }, ctx);
    const { d: again } = await refit(model, { form: "cg", start: first }, ctx);
    expect(kernels.dot(again, again)).toBeLessThan(4 * kernels.dot(first, first));
    expect(await valueAfter(model, again)).toBeCloseTo(await valueAfter(model, first), 10);
  });

  test.each([
    { what: "fewer rows than weights", rows: gradientRows({ rows: 4, size: 6, seed: 1 }), pivot: 4 },
    { what: "a weight that no gradient reaches", rows: matrix(4, 4, G.data), pivot: 1, kept: [0, 2] },
    { what: "equal columns", rows: matrix(4, 4, G.data), pivot: 1, kept: [0, 1] },
  ])("is refused with form, pivot and damping where it must be unique: $what", async ({ rows, pivot, kept }) => {
    const places = Uint32Array.from(kept ?? Array.from({ length: rows.cols }, (_, j) => j));
    const problem = randomProblem({ n: rows.rows, p: rows.cols, ridge: 0, slope: false, G: rows });
    const bare = { ...problem, curvature: factorCurvature(withoutColumns(denseView(rows, 0))) };
    for (const posed of [problem, bare]) {
      // Its weights outside the support pull, so that there is something to solve.
      const model = await prunedModel(quadraticModel(posed, { kernels }), places);
      await expect(refit(model, { singular: "refuse", who: "test" }, ctx)).rejects.toThrow(
        expect.objectContaining({
          code: "ERR_SINGULAR",
          message: expect.stringMatching(
            new RegExp(`^test \\((auto|primal) form\\).*pivot ${pivot} .*damping 0\\).*for example to`),
          ),
        }),
      );
    }
  });
});

describe("the form of a re-fit", () => {
  const view = { damping: 1, columns: () => undefined };
  const usual = { hasSlope: false, refusesSingular: false };

  test("is primal for few weights, dual for few rows, products for many of both", () => {
    const formFor = (rows: number, dim: number): string =>
      cheapestForm({ ...view, rows, dim, productCost: rows * dim }, usual);
    expect([formFor(5000, 50), formFor(50, 5000), formFor(5000, 5000)]).toEqual(["primal", "dual", "cg"]);
  });

  test("is not dual with a slope, nor without damping", () => {
    const shape = { ...view, rows: 50, dim: 5000, productCost: 250_000 };
    expect(cheapestForm(shape, { ...usual, hasSlope: true })).toBe("cg");
    expect(cheapestForm({ ...shape, damping: 0 }, usual)).toBe("cg");
    expect(cheapestForm({ ...shape, damping: 0, rows: 5000, dim: 50 }, usual)).toBe("primal");
  });
});

test("the re-fit in blocks is the re-fit of each block as if the others stayed where they were", async () => {
  const problem = randomProblem({ n: 7, p: 12 });
  const model = quadraticModel(problem, { kernels });
  const kept = Uint32Array.of(0, 1, 4, 6, 9, 10);
  const ranges = [
    { start: 0, end: 5 },
    { start: 5, end: 6 },
    { start: 6, end: 12 },
  ];
  const { d } = await refitBlocks({ model, support: kept, ranges }, { form: "primal" }, ctx);
  // H with zeros between blocks, by ml-matrix.
  const G = toMlMatrix(problem.G);
  const H = G.transpose().mmul(G).div(7).add(Matrix.eye(12).mul(0.1));
  const blockOf = (j: number): number => ranges.findIndex(({ end }) => j < end);
  for (let i = 0; i < 12; i++) for (let j = 0; j < 12; j++) if (blockOf(i) !== blockOf(j)) H.set(i, j, 0);
  const target = H.mmul(Matrix.columnVector(problem.w.data)).sub(Matrix.columnVector(problem.gradient!.data));
  const exact = new SingularValueDecomposition(H.selection([...kept], [...kept])).solve(
    target.selection([...kept], [0]),
  );
  kept.forEach((j, s) => {
    expect(problem.w.data[j]! + d[s]!).toBeCloseTo(exact.get(s, 0), 10);
  });
});
