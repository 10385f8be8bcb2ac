import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { countKept } from "./constraint.ts";
import { keepOfEvery } from "./keep-of-every.ts";

/** Every mask over `count` units. */
function* masks(count: number): Generator<Uint8Array> {
  for (let bits = 0; bits < 2 ** count; bits++) yield Uint8Array.from({ length: count }, (_, j) => (bits >> j) & 1);
}

const total = (mask: Uint8Array, score: readonly number[]): number =>
  score.reduce((sum, value, j) => sum + (mask[j] === 1 ? value : 0), 0);

describe("keepOfEvery", () => {
  test("selects the feasible set of greatest total score, found by trying every mask", () => {
    const scores = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 10, maxLength: 10 });
    fc.assert(
      fc.property(scores, fc.nat(3), (score, keep) => {
        const constraint = keepOfEvery({ count: 10, cols: 5, keep, of: 3 });
        const found = constraint.select(Float64Array.from(score));
        expect(constraint.violation(found)).toBe(0);
        const best = Math.max(
          ...[...masks(10)].filter((mask) => constraint.violation(mask) === 0).map((mask) => total(mask, score)),
        );
        expect(total(found, score)).toBe(best);
        // Rows of 5 are groups of 3 and 2.
        expect(countKept(found)).toBe(2 * (Math.min(3, keep) + Math.min(2, keep)));
      }),
    );
  });

  test("runs along input channels where units of a group are a stride apart, as taps of a convolution put them", () => {
    // Two rows of 5 channels of 2 taps: for each tap groups of 3 and of 2 channels.
    const groups = [0, 10].flatMap((row) =>
      [0, 1].flatMap((tap) =>
        [
          [0, 2, 4],
          [6, 8],
        ].map((own) => own.map((c) => row + c + tap)),
      ),
    );
    const scores = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 20, maxLength: 20 });
    fc.assert(
      fc.property(scores, (score) => {
        const constraint = keepOfEvery({ count: 20, cols: 10, keep: 2, of: 3, stride: 2 });
        expect(constraint.pattern).toBeUndefined();
        const found = constraint.select(Float64Array.from(score));
        for (const group of groups) {
          const kept = group.filter((unit) => found[unit] === 1).map((unit) => score[unit]!);
          expect(kept).toHaveLength(2);
          const lost = group.filter((unit) => found[unit] === 0).map((unit) => score[unit]!);
          expect(Math.min(...kept)).toBeGreaterThanOrEqual(Math.max(0, ...lost));
        }
        expect(constraint.violation(found)).toBe(0);
        expect(constraint.violation(new Uint8Array(20).fill(1))).toBe(4);
      }),
    );
    expect(() => keepOfEvery({ count: 20, cols: 10, keep: 2, of: 3, stride: 3 })).toThrow(/ERR_PATTERN|of/);
  });

  test("gives ties to the lower index and takes NaN for the lowest score", () => {
    const constraint = keepOfEvery({ count: 8, keep: 2, of: 4 });
    expect(constraint.select(new Float32Array(8))).toEqual(Uint8Array.of(1, 1, 0, 0, 1, 1, 0, 0));
    expect(constraint.select(Float64Array.of(Number.NaN, -5, 1, Number.NaN, 0, 0, 0, 0))).toEqual(
      Uint8Array.of(0, 1, 1, 0, 1, 1, 0, 0),
    );
  });

  test("counts what groups keep too many, and swaps within a group only", () => {
    const constraint = keepOfEvery({ count: 8, keep: 1, of: 4 });
    const mask = Uint8Array.of(1, 1, 1, 0, 1, 0, 0, 0);
    expect(constraint.violation(mask)).toBe(2);
    const feasible = Uint8Array.of(0, 1, 0, 0, 1, 0, 0, 0);
    expect(constraint.canSwap!(feasible)(1, 3)).toBe(true);
    expect(constraint.canSwap!(feasible)(1, 5)).toBe(false);
    expect(constraint.canSwap!(feasible)(0, 3)).toBe(false);
  });

  test("relaxes to a set that contains it", () => {
    const wider = keepOfEvery({ count: 8, keep: 1, of: 4 }).relax!(1.5);
    expect(countKept(wider.select(Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8)))).toBe(4);
    expect(countKept(wider.relax!(9).select(new Float64Array(8)))).toBe(8);
  });

  test.each([
    { count: 8, keep: 5, of: 4 },
    { count: 8, keep: -1, of: 4 },
    { count: 8, keep: 1.5, of: 4 },
    { count: 8, keep: 0, of: 0 },
    { count: 8, keep: 2, of: 4, cols: 3 },
  ])("refuses %o", (spec) => {
    expect(() => keepOfEvery(spec)).toThrow(expect.objectContaining({ code: "ERR_PATTERN", fault: "input" }));
  });

  test("takes no units at all", () => {
    expect(keepOfEvery({ count: 0, keep: 2, of: 4 }).select(new Float64Array(0))).toEqual(new Uint8Array(0));
  });
});
