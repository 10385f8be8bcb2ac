import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countKept, keepCount, keptCount, sparsityConstraint } from "./constraint.ts";

describe("keptCount", () => {
  test("is floor((1 - s) p) in exact arithmetic, where binary fractions would lose one", () => {
    expect(keptCount(1000, 0.9)).toBe(100); // (1 - 0.9) * 1000 is 99.99999999999997
    expect(keptCount(32360, 0.9)).toBe(3236);
    expect(keptCount(32360, 0.98)).toBe(647);
    expect(keptCount(10, 0.55)).toBe(4);
    expect(keptCount(7, 0)).toBe(7);
    expect(keptCount(1, 0.5)).toBe(0);
  });

  test("says what a percentage is as a fraction", () => {
    expect(() => keptCount(10, 98.5)).toThrow(/98\.5 percent are 0\.985$/);
  });

  test.each([1, -0.1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("refuses sparsity %s", (sparsity) => {
    expect(() => keptCount(10, sparsity)).toThrow(
      expect.objectContaining({ code: "ERR_SPARSITY_RANGE", fault: "input" }),
    );
  });
});

describe("keepCount", () => {
  test("selects the greatest total score with ties to the lower index", () => {
    const scores = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(scores, fc.nat(9), (values, wanted) => {
        const keep = Math.min(wanted, values.length);
        const mask = keepCount({ count: values.length, keep }).select(Float64Array.from(values));
        const order = values.map((_, i) => i).sort((a, b) => values[b]! - values[a]! || a - b);
        const expected = new Uint8Array(values.length);
        for (const index of order.slice(0, keep)) expected[index] = 1;
        expect(mask).toEqual(expected);
      }),
    );
  });

  test("measures violation and allows one-for-one swaps", () => {
    const constraint = keepCount({ count: 5, keep: 2 });
    const mask = Uint8Array.of(1, 1, 1, 1, 0);
    expect(constraint.violation(mask)).toBe(2);
    expect(constraint.canSwap!(Uint8Array.of(1, 1, 0, 0, 0))(0, 2)).toBe(true);
    expect(constraint.canSwap!(Uint8Array.of(1, 1, 0, 0, 0))(2, 0)).toBe(false);
    expect(countKept(constraint.relax!(1.5).select(Float64Array.of(1, 2, 3, 4, 5)))).toBe(3);
  });

  test.each([-1, 6, 2.5, Number.NaN])("refuses to keep %s of 5", (keep) => {
    expect(() => keepCount({ count: 5, keep })).toThrow(expect.objectContaining({ code: "ERR_KEEP_RANGE" }));
  });

  test("sparsityConstraint keeps exactly the counted number, also with all scores equal", () => {
    const mask = sparsityConstraint({ count: 1000, sparsity: 0.9 }).select(new Float32Array(1000));
    expect(countKept(mask)).toBe(100);
    expect(countKept(mask.subarray(0, 100))).toBe(100);
  });
});
