import {
  bindBudget,
  createRng,
  createRunContext,
  type FlatParam,
  identityCurvature,
  type Limit,
  matrix,
  type Problem,
} from "@secateur/core";
import { expect, test } from "vitest";
import { magnitude } from "./magnitude.ts";

/** Three layers of four weights, used 256, 64 and once an example. */
const params = [512, 128, 2].map((flopsPerWeight, i): FlatParam => {
  const name = `layer${i}`;
  return { name, shape: [2, 2], rows: 2, cols: 2, prunable: true, flopsPerWeight, start: 4 * i, size: 4 };
});

test("under limits of operations and weights magnitudes keep the most of the squared weights that any mask can", async () => {
  const ctx = createRunContext();
  for (const limits of [
    [{ kind: "flops", amount: 0.4 }],
    [
      { kind: "weights", amount: 0.5 },
      { kind: "flops", amount: 0.4 },
    ],
  ] satisfies readonly (readonly Limit[])[]) {
    const bound = bindBudget({ limits }, params);
    const constraint = bound.constraint(bound.sparsity, ctx.kernels);
    let ratio = 0;
    for (let seed = 0; seed < 20; seed++) {
      const rng = createRng(seed);
      const w = matrix(
        1,
        12,
        Float32Array.from({ length: 12 }, () => rng.normal()),
      );
      const problem: Problem = { id: "network", w, curvature: identityCurvature(12), units: bound.units, constraint };
      const { mask } = await magnitude().solve(problem, ctx);
      expect(constraint.violation(mask)).toBe(0);
      const kept = (one: ArrayLike<number>): number =>
        Array.from(one).reduce((sum, bit, j) => sum + bit * w.data[j]! ** 2, 0);
      let best = 0;
      for (let bits = 0; bits < 2 ** 12; bits++) {
        const other = Uint8Array.from({ length: 12 }, (_, j) => (bits >> j) & 1);
        if (constraint.violation(other) === 0) best = Math.max(best, kept(other));
      }
      ratio += kept(mask) / best / 20;
    }
    // Greedy answers are a unit off at times, and a unit of twelve is much; by |w| the mean under one limit is .967.
    expect(ratio).toBeGreaterThan(0.99);
  }
});
