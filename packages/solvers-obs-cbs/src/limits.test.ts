import { bindBudget, createRunContext, type FlatParam, objective, type Problem } from "@secateur/core";
import { expect, test } from "vitest";
import { cbs } from "./cbs/cbs.ts";
import { obs } from "./obs/obs.ts";
import { woodfisher, woodfisherSaliency } from "./obs/woodfisher.ts";
import { randomProblem } from "./problem.test-support.ts";

/** Two layers of six weights, of which one's are used nine times an example. */
const params = [18, 2].map((flopsPerWeight, i): FlatParam => {
  const name = `layer${i}`;
  return { name, shape: [2, 3], rows: 2, cols: 3, prunable: true, flopsPerWeight, start: 6 * i, size: 6 };
});
const limits = [
  { kind: "weights", amount: 0.5 },
  { kind: "flops", amount: 0.4 },
] as const;
const ctx = createRunContext();

function problemOf(seed: number): Problem {
  const bound = bindBudget({ limits }, params);
  const constraint = bound.constraint(bound.sparsity, ctx.kernels);
  return { ...randomProblem({ n: 20, p: 12, keep: 6, seed, constraint }), units: bound.units };
}

test("woodfisher under two limits keeps the mask of greatest total of its scores, of all masks within both", async () => {
  for (let seed = 0; seed < 8; seed++) {
    const problem = problemOf(seed);
    const { constraint } = problem;
    const scores = await woodfisherSaliency().score(problem, ctx);
    const total = (mask: ArrayLike<number>): number =>
      Array.from(mask).reduce((sum, bit, j) => sum + bit * scores[j]!, 0);
    const { mask } = await woodfisher().solve(problem, ctx);
    expect(constraint.violation(mask)).toBe(0);
    let best = 0;
    for (let bits = 0; bits < 2 ** 12; bits++) {
      const other = Uint8Array.from({ length: 12 }, (_, j) => (bits >> j) & 1);
      if (constraint.violation(other) === 0) best = Math.max(best, total(other));
    }
    // Scores are summed in f64 in another order.
    expect(total(mask)).toBeCloseTo(best, 9);
  }
});

test("obs and cbs keep both limits, also after rounds and swaps, and come below the projection of the weights in the mean", async () => {
  const mean: Record<string, number> = { obs: 0, cbs: 0 };
  for (let seed = 0; seed < 8; seed++) {
    const problem = problemOf(seed);
    const { constraint, w } = problem;
    const start = constraint.select(w.data.map((x) => x * x));
    const projected = await objective(problem, { ...w, data: w.data.map((x, j) => x * start[j]!) });
    for (const [name, solver] of Object.entries({ obs: obs(), cbs: cbs() })) {
      const { mask, objective: found } = await solver.solve(problem, ctx);
      expect(constraint.violation(mask), name).toBe(0);
      mean[name]! += found / projected / 8;
    }
  }
  for (const ratio of Object.values(mean)) expect(ratio).toBeLessThan(1);
});
