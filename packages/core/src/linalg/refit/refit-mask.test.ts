import { describe, expect, test } from "vitest";
import { referenceKernels as kernels } from "../../kernels/reference-kernels.ts";
import { type Curvature, factorCurvature } from "../../problem/curvature.ts";
import { matrix } from "../../problem/matrix.ts";
import type { Problem } from "../../problem/problem.ts";
import { createRunContext } from "../../run-context.ts";
import { flattenRows } from "../flatten-rows.ts";
import { prunedModel, quadraticModel } from "../quadratic-model.ts";
import { countingKernels, denseView, randomProblem, withoutColumns } from "../random-systems.test-support.ts";
import { refit } from "./refit.ts";
import { refitMask } from "./refit-mask.ts";

const [rows, p] = [3, 7];
/** Kept weights of all rows; the second keeps nothing. */
const support = Uint32Array.of(0, 3, 4, 6, 15, 16, 18);

/** d of every row on its own, by the primal form. */
async function rowByRow(problem: Problem): Promise<Float64Array> {
  const d: number[] = [];
  for (let row = 0; row < rows; row++) {
    const own = support.filter((j) => Math.floor(j / p) === row).map((j) => j % p);
    const model = await prunedModel(quadraticModel(problem, { kernels, row }), own);
    d.push(...(await refit(model, { form: "primal" }, createRunContext())).d);
  }
  return Float64Array.from(d);
}

describe("the re-fit of several rows on one mask", () => {
  const problem = randomProblem({ n: 9, p, rows });
  const { diagonal, apply } = problem.curvature;
  const curvatures: Readonly<Record<string, Curvature>> = {
    "with columns": problem.curvature,
    "with Gram matrices of columns": factorCurvature(withoutColumns(denseView(problem.G, 0.1))),
    "with products alone": { dim: p, diagonal, apply },
  };

  test.each(Object.entries(curvatures))("is the re-fit of each row, %s", async (_name, curvature) => {
    const expected = await rowByRow(problem);
    const flat = flattenRows({ ...problem, curvature });
    for (const form of ["auto", "primal", "cg"] as const) {
      const held = countingKernels();
      const { d, isExact } = await refitMask(
        { problem: flat, support },
        { form },
        createRunContext({ kernels: held.kernels }),
      );
      d.forEach((value, s) => {
        // Condition numbers of some hundreds; conjugate gradients stop at 1e-10 and below.
        expect(Math.abs(value - expected[s]!)).toBeLessThan(1e-8);
      });
      expect(isExact).toBe(curvature.factor !== undefined && form !== "cg");
      expect(held.held.size).toBe(0);
    }
  });

  test("reads a shared H that is given, and solves rows of a singular one where any minimiser will do", async () => {
    // Columns 0 and 1 of H are equal: rows that keep both have many minimisers.
    const G = matrix(4, p, problem.G.data.slice(0, 4 * p));
    for (let i = 0; i < 4; i++) G.data[i * p + 1] = G.data[i * p]!;
    const singular = randomProblem({ n: 4, p, rows: 2, ridge: 0, slope: false, G });
    const kept = Uint32Array.of(0, 1, 7, 9);
    const ctx = createRunContext();
    const { d } = await refitMask({ problem: flattenRows(singular), support: kept }, {}, ctx);
    expect(d.every(Number.isFinite)).toBe(true);
    const refused = refitMask({ problem: flattenRows(singular), support: kept }, { singular: "refuse" }, ctx);
    await expect(refused).rejects.toMatchObject({ code: "ERR_SINGULAR" });
  });
});
