import { expect, it } from "vitest";
import { countKept, keepCount, shrinkingBudgets, weightUnits } from "../index.ts";

const units = weightUnits(10);
const counts = (steps: number, spacing: "even" | "geometric", keep = 2): readonly number[] =>
  shrinkingBudgets({ units, constraint: keepCount({ count: 10, keep }) }, { steps, spacing }).map((budget) =>
    countKept(budget.select(Float32Array.from({ length: 10 }, (_, j) => j))),
  );

it("removes as many units in each step when even, one by one with no limit on the steps", () => {
  expect(counts(4, "even")).toEqual([8, 6, 4, 2]);
  expect(counts(4.9, "even")).toEqual([8, 6, 4, 2]);
  expect(counts(Number.POSITIVE_INFINITY, "even")).toEqual([9, 8, 7, 6, 5, 4, 3, 2]);
});

it("keeps fewer units by one factor when geometric", () => {
  // 2 * 5^(2/3) = 5.85 and 2 * 5^(1/3) = 3.42, rounded to whole units.
  expect(counts(3, "geometric")).toEqual([6, 3, 2]);
});

it("has the constraint alone where nothing is removed, nothing is kept or it cannot be relaxed", () => {
  const constraint = keepCount({ count: 10, keep: 10 });
  expect(shrinkingBudgets({ units, constraint }, { steps: 3, spacing: "even" })).toEqual([constraint]);
  const rigid = { kind: "rigid", select: keepCount({ count: 10, keep: 4 }).select, violation: () => 0 };
  expect(shrinkingBudgets({ units, constraint: rigid }, { steps: 3, spacing: "even" })).toEqual([rigid]);
  expect(counts(3, "even", 0)).toEqual([0]);
});
