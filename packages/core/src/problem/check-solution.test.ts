import { describe, expect, test } from "vitest";
import { keepCount } from "../budget/constraint.ts";
import { blockUnits } from "../budget/group-units.ts";
import { weightUnits } from "../budget/units.ts";
import { checkSolution } from "./check-solution.ts";
import { identityCurvature } from "./curvature.ts";
import { matrix } from "./matrix.ts";
import type { Problem, Solution } from "./problem.ts";

const problem: Problem = {
  id: "network",
  w: matrix(1, 4, Float32Array.of(1, -2, 3, 4)),
  curvature: identityCurvature(4),
  units: weightUnits(4),
  constraint: keepCount({ count: 4, keep: 2 }),
};
const sound: Solution = {
  w: matrix(1, 4, Float32Array.of(0, 0, 3, 4)),
  mask: Uint8Array.of(0, 0, 1, 1),
  objective: 2.5, // half of 1 + 4
  status: "exact",
  stats: {},
};

describe("a solution", () => {
  test("that keeps every rule passes, also one that keeps less than it may", async () => {
    await checkSolution(problem, sound, "mine");
    const fewer = { ...sound, w: matrix(1, 4, Float32Array.of(0, 0, 0, 4)), mask: Uint8Array.of(0, 0, 0, 1) };
    await checkSolution(problem, { ...fewer, objective: 7 }, "mine");
  });

  test.each<[string, Partial<Solution>]>([
    ["one entry for each of the 4 units; found 3 entries", { mask: Uint8Array.of(0, 1, 1) }],
    ["0 and 1 only; found 2", { mask: Uint8Array.of(0, 0, 2, 1) }],
    ["no more than the budget; found 4 kept units, 2 beyond", { mask: Uint8Array.of(1, 1, 1, 1) }],
    ["a matrix 1 x 4; found 1 x 3", { w: matrix(1, 3) }],
    ["a matrix 1 x 4; found none", { w: undefined as never }],
    ["a finite number; found NaN at index 3", { w: matrix(1, 4, Float32Array.of(0, 0, 3, Number.NaN)) }],
    ["0 where the mask is 0; found 1 at index 0", { w: matrix(1, 4, Float32Array.of(1, 0, 3, 4)) }],
    ["the objective is a finite number; found Infinity", { objective: Number.POSITIVE_INFINITY }],
    ["the objective is Q of the weights", { objective: 2.4 }],
    ["the status is converged, max-iterations, stalled, exact; found undefined", { status: undefined as never }],
    ["stats are an object of numbers", { stats: undefined as never }],
    ["stats are an object of numbers, {} at least; found string for 'k'", { stats: { k: "2" as never } }],
  ])("that breaks a rule is refused, with the solver and the rule named: %s", async (words, broken) => {
    const check = checkSolution(problem, { ...sound, ...broken }, "mine");
    await expect(check).rejects.toMatchObject({ code: "ERR_SOLUTION", fault: "runtime" });
    await expect(checkSolution(problem, { ...sound, ...broken }, "mine")).rejects.toThrow(/^mine: .*'network'/);
    await expect(checkSolution(problem, { ...sound, ...broken }, "mine")).rejects.toThrow(words);
  });

  test("over units of several weights is checked weight by weight", async () => {
    const units = blockUnits({ rows: 1, cols: 4, height: 1, width: 2 });
    const blocks = { ...problem, units, constraint: keepCount({ count: 2, keep: 1 }) };
    await checkSolution(blocks, { ...sound, mask: Uint8Array.of(0, 1) }, "mine");
    await expect(checkSolution(blocks, { ...sound, mask: Uint8Array.of(1, 0) }, "mine")).rejects.toThrow(/mask is 0/);
  });

  test("may report an objective as exact as its terms, not as their difference", async () => {
    // Q = 1/2 d'd + g'd with g so that both terms, of 2.5 each, cancel.
    const gradient = matrix(1, 4, Float32Array.of(2.5, 0, 0, 0));
    await checkSolution({ ...problem, gradient }, { ...sound, objective: 1e-4 }, "mine");
    await expect(checkSolution({ ...problem, gradient }, { ...sound, objective: 0.1 }, "mine")).rejects.toThrow(/is Q/);
  });
});
