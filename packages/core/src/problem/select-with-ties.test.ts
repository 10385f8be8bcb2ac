import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countKept, keepCount } from "../budget/constraint.ts";
import { keepOfEvery } from "../budget/keep-of-every.ts";
import { weightUnits } from "../budget/units.ts";
import { matrix } from "./matrix.ts";
import { selectWithTies } from "./select-with-ties.ts";

const layers = [
  { name: "a", start: 0, size: 8 },
  { name: "b", start: 8, size: 4 },
];

function pose(values: ArrayLike<number>, keep: number) {
  const data = Float32Array.from(values);
  const constraint = keepCount({ count: data.length, keep });
  return { w: matrix(1, data.length, data), units: weightUnits(data.length), constraint, layers };
}

describe("scores", () => {
  test("without ties at the edge choose what the constraint chooses", () => {
    const problem = pose([3, 1, 2, 5, 4, 6, 8, 7, 12, 11, 10, 9], 5);
    const { mask, note } = selectWithTies(problem, problem.w.data);
    expect([mask, note]).toEqual([problem.constraint.select(problem.w.data), undefined]);
  });

  test("never keep a weight of a lower score before one of a higher, however many are equal, and fill the budget", () => {
    const scores = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 12, maxLength: 12 });
    const weights = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(scores, weights, fc.nat(12), (score, values, keep) => {
        const { mask } = selectWithTies(pose(values, keep), Float64Array.from(score));
        expect(countKept(mask)).toBe(keep);
        for (let kept = 0; kept < 12; kept++) {
          for (let pruned = 0; pruned < 12; pruned++) {
            if (mask[kept] === 0 || mask[pruned] === 1) continue;
            expect(score[kept]).toBeGreaterThanOrEqual(score[pruned]!);
            // Of equal scores the larger magnitude goes first.
            if (score[kept] === score[pruned]) {
              expect(Math.abs(values[kept]!)).toBeGreaterThanOrEqual(Math.abs(values[pruned]!));
            }
          }
        }
      }),
    );
  });

  test("that are all equal are broken by magnitude, and it is said", () => {
    const { mask, note } = selectWithTies(pose([3, 1, 2, 5, 4, 6, 8, 7, 12, 11, 10, 9], 4), new Float64Array(12));
    expect([...mask]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
    expect(note).toMatchObject({ code: "scores-tied", level: "warn" });
  });

  test("that are all equal, as the magnitudes are, leave every layer its share", () => {
    const { mask, note } = selectWithTies(pose(new Array(12).fill(-2), 6), new Float64Array(12).fill(0.1));
    expect([countKept(mask.subarray(0, 8)), countKept(mask.subarray(8))]).toEqual([4, 2]);
    // Within a layer neither the first half nor the last.
    expect(countKept(mask.subarray(0, 4))).toBe(2);
    expect(note?.message).toMatch(/12 of 12 weights one and the same score/);
  });

  test("are broken inside every group of a pattern", () => {
    const constraint = keepOfEvery({ count: 8, keep: 1, of: 4 });
    const problem = { ...pose([1, 2, 3, 4, 8, 7, 6, 5], 8), constraint, layers: [{ name: "a", start: 0, size: 8 }] };
    expect([...selectWithTies(problem, new Float64Array(8)).mask]).toEqual([0, 0, 0, 1, 1, 0, 0, 0]);
  });

  test("that are not numbers are refused", () => {
    const call = (): unknown => selectWithTies(pose([1, 2], 1), Float64Array.of(1, Number.NaN));
    expect(call).toThrow(expect.objectContaining({ code: "ERR_NOT_FINITE" }));
    expect(call).toThrow(/index 1/);
  });
});
