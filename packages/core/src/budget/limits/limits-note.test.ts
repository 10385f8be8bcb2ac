import { expect, test } from "vitest";
import { referenceKernels } from "../../kernels/reference-kernels.ts";
import type { FlatParam } from "../../problem/flat-weights.ts";
import { bindBudget } from "../bound-budget.ts";
import { limitsNote } from "./limits-note.ts";

const param = (name: string, start: number, flopsPerWeight: number): FlatParam => ({
  ...{ name, shape: [1, 3], rows: 1, cols: 3, prunable: true, flopsPerWeight, start, size: 3 },
});
const params = [param("a", 0, 8), param("b", 3, 2)];
const weights = Float32Array.of(4, 3, 2, 3, 2, 1);

test("two limits tell what a mask keeps of the squares and the most there could be; one needs no telling", () => {
  const told = (limits: Parameters<typeof bindBudget>[0]["limits"]) => {
    const bound = bindBudget({ limits: limits! }, params);
    const constraint = bound.constraint(bound.sparsity, referenceKernels);
    const mask = constraint.select(Float64Array.from(weights, (value) => value * value));
    return limitsNote({ bound, constraint, weights, mask })?.message;
  };
  // Of squares 16 9 4 | 9 4 1 with costs 8 | 2, three weights of at most 12 operations: 16 + 9 + 4 of 43.
  const both = told([
    { kind: "weights", amount: 0.5 },
    { kind: "flops", amount: 0.4 },
  ]);
  expect(both).toBe(
    "of the squared weights the mask keeps 67.44 %; no mask within these limits keeps more than 67.44 %",
  );
  expect(told([{ kind: "weights", amount: 0.5 }])).toBeUndefined();
});
