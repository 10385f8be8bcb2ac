import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scheduleNames, sparsitySchedule } from "./sparsity-schedule.ts";

/** Compares at the number of digits the reference prints. */
const rounded = (values: readonly number[], digits: number): number[] =>
  values.map((value) => Number(value.toFixed(digits)));

describe("sparsitySchedule", () => {
  test("agrees with the values the public CHITA code prints for N = 15, b = .1, s = .98", () => {
    const exp = sparsitySchedule({ name: "exp", stages: 15, target: 0.98, from: 0.1 });
    expect(rounded(exp.slice(0, 3), 2)).toEqual([0.1, 0.54, 0.76]);
    expect(rounded(exp.slice(3, 5), 4)).toEqual([0.87, 0.9251]);
    const poly = sparsitySchedule({ name: "poly", stages: 15, target: 0.98, from: 0.1 });
    expect(rounded(poly.slice(0, 3), 4)).toEqual([0.1, 0.2754, 0.4258]);
  });

  test("geometric shrinks the kept fraction by one factor a stage, and mfac is its published name", () => {
    const spec = { stages: 6, target: 0.98, from: 0.5 };
    const geometric = sparsitySchedule({ name: "geometric", ...spec });
    let kept = 0.5;
    for (const sparsity of geometric) {
      // Rounding of six multiplications.
      expect((1 - sparsity) / kept).toBeCloseTo((0.02 / 0.5) ** (1 / 6), 12);
      kept = 1 - sparsity;
    }
    expect(sparsitySchedule({ name: "mfac", ...spec })).toEqual(geometric);
  });

  test("every schedule stays in range, never decreases and ends exactly at the target", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...scheduleNames),
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (name, stages, target, share) => {
          const values = sparsitySchedule({ name, stages, target, from: share * target });
          expect(values).toHaveLength(stages);
          expect(values.at(-1)).toBe(target);
          let before = 0;
          for (const value of values) {
            // One part in 10^12 for the rounding of the powers.
            expect(value).toBeGreaterThanOrEqual(before - 1e-12);
            expect(value).toBeLessThanOrEqual(target + 1e-12);
            before = value;
          }
        },
      ),
    );
  });

  test("refuses no stages, a start above the target and unknown names", () => {
    expect(() => sparsitySchedule({ name: "exp", stages: 0, target: 0.9 })).toThrow(/at least 1/);
    expect(() => sparsitySchedule({ name: "exp", stages: 3, target: 0.5, from: 0.6 })).toThrow(/must not decrease/);
    expect(() => sparsitySchedule({ name: "expo" as "exp", stages: 3, target: 0.5 })).toThrow(/did you mean 'exp'/);
    expect(() => sparsitySchedule({ name: "exp", stages: 3, target: 1 })).toThrow(/outside \[0, 1\)/);
  });
});
