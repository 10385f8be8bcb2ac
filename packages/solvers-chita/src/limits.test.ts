import { optimumOf } from "@secateur/conformance";
import { bindBudget, countKept, createRunContext, type FlatParam, objective, type Problem } from "@secateur/core";
import { expect, test } from "vitest";
import { chita } from "./chita.ts";
import { randomProblem } from "./problem.test-support.ts";
import { chitaBlock, chitaBso, chitaIht } from "./published/named-solvers.ts";

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

/** A problem of twelve weights within both limits: at most six weights, and of these two or so of the dear layer. */
function problemOf(seed: number): Problem {
  const bound = bindBudget({ limits }, params);
  const base = randomProblem({ n: 20, p: 12, keep: 6, ridge: 0.05, seed });
  return { ...base, units: bound.units, constraint: bound.constraint(bound.sparsity, ctx.kernels) };
}

test("under two limits every solver keeps both; what starts from the projection of the weights never ends above it, and chita ends near the best of all masks", async () => {
  const solvers = { chita: chita(), iht: chitaIht(), bso: chitaBso(), block: chitaBlock({ blockSize: 6 }) };
  const mean: Record<string, number> = {};
  for (let seed = 0; seed < 10; seed++) {
    const problem = problemOf(seed);
    const { constraint, units, w } = problem;
    const start = constraint.select(units.reduce(w.data.map((x) => x * x)));
    const projected = await objective(problem, { ...w, data: w.data.map((x, j) => x * start[j]!) });
    // Every mask that no further weight fits beside has six weights here, so that trying all of six is trying all.
    expect(countKept(start)).toBe(6);
    const least = await optimumOf(problem);
    for (const [name, solver] of Object.entries(solvers)) {
      const { mask, objective: found } = await solver.solve(problem, ctx);
      expect(constraint.violation(mask), name).toBe(0);
      // These start from the projection and only go down; block re-fits on a curvature cut to blocks.
      if (name === "iht" || name === "bso") expect(found, name).toBeLessThanOrEqual(projected * (1 + 1e-6));
      expect(found, name).toBeGreaterThan(least.objective * (1 - 1e-6));
      mean[name] = (mean[name] ?? 0) + found / least.objective / 10;
    }
  }
  // Its path goes through relaxed limits; the magnitudes alone come to more than twice as much.
  expect(mean["chita"]).toBeLessThan(1.3);
});
