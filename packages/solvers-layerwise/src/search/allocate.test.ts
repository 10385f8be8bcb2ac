import { createRng } from "@secateur/core";
import { expect, test } from "vitest";
import { allocateRemovals, convexSlopes } from "./allocate.ts";

test("rising losses are allocated as a full enumeration does", () => {
  const rng = createRng(1);
  const rows = Array.from({ length: 3 }, () => ({
    losses: Float64Array.from({ length: 5 }, () => rng.next()).sort(),
  }));
  const total = (counts: readonly number[]): number =>
    counts.reduce((sum, count, r) => sum + rows[r]!.losses.subarray(0, count).reduce((a, b) => a + b, 0), 0);
  for (let budget = 0; budget <= 15; budget++) {
    let least = Number.POSITIVE_INFINITY;
    for (let a = 0; a <= 5; a++) {
      for (let b = 0; b <= 5; b++) {
        const c = budget - a - b;
        if (c >= 0 && c <= 5) least = Math.min(least, total([a, b, c]));
      }
    }
    // The same numbers added in another order.
    expect(total([...allocateRemovals(rows, budget)])).toBeCloseTo(least, 12);
  }
});

test("a cheap removal behind a dear one is taken with it or not at all", () => {
  const rows = [{ losses: Float64Array.of(10, 0) }, { losses: Float64Array.of(4, 4) }];
  expect([...allocateRemovals(rows, 2)]).toEqual([0, 2]);
  expect([...allocateRemovals(rows, 4)]).toEqual([2, 2]);
});

test("slopes rise and add up to the losses", () => {
  const rng = createRng(2);
  const losses = Float64Array.from({ length: 40 }, () => rng.next());
  const slopes = convexSlopes(losses);
  for (let s = 1; s < slopes.length; s++) expect(slopes[s]).toBeGreaterThanOrEqual(slopes[s - 1]!);
  const sum = slopes.reduce((total, slope) => total + slope, 0);
  expect(sum).toBeCloseTo(
    losses.reduce((total, loss) => total + loss, 0),
    10,
  );
});

test("what has to go counts towards the total", () => {
  const rows = [{ losses: Float64Array.of(9, 1), least: 1 }, { losses: Float64Array.of(2, 3) }];
  expect([...allocateRemovals(rows, 2)]).toEqual([2, 0]);
});
