import { createRng, createRunContext, matrix, type Vec, zeros } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { problemFrom, randomProblem } from "../problem.test-support.ts";
import { gradientAt, pointAt, type RowModel, restrict, rowModel, valueAt } from "../relaxation/row-model.ts";
import { refit } from "./refit.ts";

const ctx = createRunContext();

const { kernels } = createRunContext();
const forms = ["primal", "dual", "cg"] as const;

/** A model over six of ten weights: it has an offset and, with `firstOrder`, a gradient. */
async function modelOf(spec: {
  n: number;
  ridge: number;
  firstOrder: boolean;
  dtype: "f32" | "f64";
}): Promise<RowModel> {
  const problem = randomProblem({ p: 10, keep: 6, ...spec });
  return (await restrict(rowModel(problem, kernels), Uint32Array.of(0, 2, 3, 5, 8, 9))).model;
}

async function slopeAt(model: RowModel, d: Vec): Promise<Vec> {
  const slope = zeros(model.size, model.dtype);
  await gradientAt(
    model,
    await pointAt(
      model,
      model.w0.map((value, j) => value + d[j]!),
    ),
    slope,
  );
  return slope;
}

/** Q at w0 + d. */
async function valueAfter(model: RowModel, d: Vec): Promise<number> {
  return valueAt(
    model,
    await pointAt(
      model,
      model.w0.map((value, j) => value + d[j]!),
    ),
  );
}

const norm = (x: Vec): number => Math.sqrt(kernels.dot(x, x));

describe("the re-fit", () => {
  test.each(
    (["f64", "f32"] as const).flatMap((dtype) =>
      [4, 15].flatMap((n) => [false, true].map((firstOrder) => ({ dtype, n, firstOrder, ridge: 0.2 }))),
    ),
  )("leaves no slope on the support, in every form: %j", async (spec) => {
    const model = await modelOf(spec);
    const start = norm(await slopeAt(model, zeros(model.size, spec.dtype)));
    for (const form of forms) {
      const { d, form: used } = await refit(model, { form }, ctx);
      expect(used).toBe(form);
      // f64: 1e-12 is asked of conjugate gradients. f32: the slope itself is a sum of numbers rounded at 2^-24.
      expect(norm(await slopeAt(model, d)) / start).toBeLessThan(spec.dtype === "f64" ? 1e-11 : 5e-6);
    }
    expect(norm(await slopeAt(model, (await refit(model, {}, ctx)).d)) / start).toBeLessThan(
      spec.dtype === "f64" ? 1e-11 : 5e-6,
    );
  });

  test("by conjugate gradients never lets Q rise, iteration by iteration, from any start", async () => {
    const model = await modelOf({ n: 15, ridge: 0.01, firstOrder: true, dtype: "f64" });
    const rng = createRng("start");
    const start = Float64Array.from({ length: model.size }, () => 3 * rng.normal());
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

  test("of nothing is nothing", async () => {
    const { model } = await restrict(rowModel(randomProblem({ n: 3, p: 4, keep: 1 }), kernels), new Uint32Array(0));
    expect((await refit(model, {}, ctx)).d).toHaveLength(0);
  });

  test("without damping and with dependent columns still reaches the least Q, and stays finite", async () => {
    // Columns 0 and 1 are equal, 2 is zero: any split between 0 and 1 is a minimiser.
    const rows = matrix(4, 4, Float64Array.of(1, 1, 0, 2, 2, 2, 0, -1, 0, 0, 0, 3, -1, -1, 0, 1));
    for (const dtype of ["f64", "f32"] as const) {
      const cast = (data: Float64Array): Vec => (dtype === "f64" ? data : Float32Array.from(data));
      const problem = problemFrom({
        rows: { ...rows, data: cast(rows.data as Float64Array) },
        w: matrix(1, 4, cast(Float64Array.of(1, 2, 3, 4))),
        keep: 3,
        ridge: 0,
      });
      const { model } = await restrict(rowModel(problem, kernels), Uint32Array.of(0, 1, 2));
      const { d, form } = await refit(model, {}, ctx);
      expect(form).toBe("cg");
      expect(d.every(Number.isFinite)).toBe(true);
      // With column 1 pruned, column 0 can do all that both can: the same least Q, and a regular system.
      const { model: alone } = await restrict(rowModel(problem, kernels), Uint32Array.of(0));
      const { d: exact } = await refit(alone, { form: "primal" }, ctx);
      expect(await valueAfter(model, d)).toBeCloseTo(await valueAfter(alone, exact), dtype === "f64" ? 10 : 5);
    }
  });

  test("does not run off along directions that the rows do not see when it starts at the minimiser", async () => {
    // 9 weights, 4 rows, no damping: five flat directions, and nothing but rounding to be gained.
    const problem = randomProblem({ n: 4, p: 9, keep: 9, ridge: 0, firstOrder: true });
    const model = rowModel(problem, kernels);
    const { d: first } = await refit(model, { form: "cg" }, ctx);
    const { d: again } = await refit(model, { form: "cg", start: first }, ctx);
    expect(norm(again)).toBeLessThan(2 * norm(first));
    expect(await valueAfter(model, again)).toBeCloseTo(await valueAfter(model, first), 10);
  });

  test("in a form that needs columns refuses a curvature that has none, and takes products by itself", async () => {
    const { gather: _, rowGram: __, ...model } = await modelOf({ n: 15, ridge: 0.1, firstOrder: false, dtype: "f64" });
    for (const form of ["primal", "dual"] as const) {
      await expect(refit(model, { form }, ctx)).rejects.toMatchObject({ code: "ERR_INCOMPATIBLE" });
    }
    expect((await refit(model, {}, ctx)).form).toBe("cg");
  });
});
