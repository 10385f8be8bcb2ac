import { describe, expect, test } from "vitest";
import { keepCount } from "../budget/constraint.ts";
import { type Units, weightUnits } from "../budget/units.ts";
import { createRunContext } from "../run-context.ts";
import { type Curvature, identityCurvature } from "./curvature.ts";
import { masked, selectorFrom, solverFrom } from "./lift.ts";
import { type Mat, matrix } from "./matrix.ts";
import { assertNeeds } from "./needs.ts";
import { objective } from "./objective.ts";
import type { Problem } from "./problem.ts";
import type { Saliency } from "./strategy.ts";

/** H = [[2, 1], [1, 3]] by its product alone. */
const small: Curvature = {
  dim: 2,
  diagonal: () => Float64Array.of(2, 3),
  apply(x, out) {
    const [a, b] = [x[0]!, x[1]!];
    out[0] = 2 * a + b;
    out[1] = a + 3 * b;
  },
};

function problem(w: Mat, curvature: Curvature, gradient?: Mat): Problem {
  const count = w.rows * w.cols;
  const constraint = keepCount({ count, keep: 1 });
  return { id: "test", w, curvature, units: weightUnits(count), constraint, ...(gradient ? { gradient } : {}) };
}

describe("objective", () => {
  test("sums 1/2 d'Hd + g'd over rows that share H", async () => {
    const w0 = matrix(2, 2, Float64Array.of(1, 1, 0, 2));
    const g = matrix(2, 2, Float64Array.of(1, -1, 0, 4));
    // Row 1: d = (1, 0): 1/2 * 2 + 1 = 2. Row 2: d = (1, -1): 1/2 (2 - 2 + 3) - 4 = -2.5.
    expect(await objective(problem(w0, small, g), matrix(2, 2, Float64Array.of(2, 1, 1, 1)))).toBe(-0.5);
  });

  test("is zero at the dense weights and does not need the gradient there", async () => {
    const w0 = matrix(1, 2, Float32Array.of(3, -1));
    expect(await objective(problem(w0, small), w0)).toBe(0);
  });
});

describe("the ladder", () => {
  const bySize: Saliency = { needs: {}, score: ({ w }) => w.data.map(Math.abs) };

  test("a saliency becomes a solver that keeps the best units as they are and reports its objective", async () => {
    const posed = problem(matrix(1, 2, Float32Array.of(1, -4)), identityCurvature(2));
    const solution = await solverFrom(selectorFrom(bySize)).solve(posed, createRunContext());
    expect([...solution.w.data]).toEqual([0, -4]);
    expect([...solution.mask]).toEqual([0, 1]);
    expect(solution.objective).toBe(0.5);
    expect([...posed.w.data]).toEqual([1, -4]);
  });

  test("masked zeroes whole units", () => {
    const pairs: Units = {
      count: 2,
      perWeight: false,
      indices: (unit) => Uint32Array.of(2 * unit, 2 * unit + 1),
      reduce: (score) => Float64Array.of(score[0]! + score[1]!, score[2]! + score[3]!),
      costs: {},
    };
    const w = matrix(1, 4, Float32Array.of(1, 2, 3, 4));
    expect([...masked(w, pairs, Uint8Array.of(0, 1)).data]).toEqual([0, 0, 3, 4]);
  });

  test("what a problem lacks is named with what it has, before anything runs", () => {
    const posed = problem(matrix(1, 2), small);
    expect(() => assertNeeds("chita", { curvature: ["factor"], constraint: ["canSwap"] }, posed)).toThrow(
      /chita cannot solve 'test': needs curvature\.factor \(the curvature has diagonal, apply;/,
    );
    expect(() =>
      assertNeeds("chita", { curvature: [["factor", "apply"]], constraint: ["canSwap"] }, posed),
    ).not.toThrow();
  });
});
