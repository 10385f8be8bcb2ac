import { expect, test } from "vitest";
import { shareBudget } from "./share-budget.ts";

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

test("uniform shares keep the same fraction of every layer and the budget exactly", () => {
  const layers = [{ size: 7 }, { size: 100 }, { size: 13 }, { size: 1 }];
  for (const sparsity of [0, 0.1, 0.5, 0.77, 0.99]) {
    const keeps = shareBudget(layers, sparsity, "uniform");
    expect(sum(keeps)).toBe(Math.floor((1 - sparsity) * 121 + 1e-9));
    // Whole numbers: within one weight of the fraction, and of what rounding passed on from the layers before.
    for (const [l, keep] of keeps.entries())
      expect(Math.abs(keep - (1 - sparsity) * layers[l]!.size)).toBeLessThanOrEqual(1);
  }
});

test("global shares take the cheapest removals relative to each layer's output energy", () => {
  const layers = [
    { size: 3, losses: Float64Array.of(0.1, 0.2, 0.3) },
    { size: 3, losses: Float64Array.of(0.05, 0.15, 0.4) },
  ];
  // The three least are .05, .1 and .15.
  expect(shareBudget(layers, 0.5, "global")).toEqual([2, 1]);
});

test("OWL lets layers with more outliers keep more, and keeps the budget", () => {
  const layers = [
    { size: 100, outliers: 0.3 },
    { size: 100, outliers: 0 },
    { size: 100, outliers: 0.15 },
  ];
  const keeps = shareBudget(layers, 0.5, "owl");
  expect(keeps).toEqual([58, 42, 50]);
  expect(
    shareBudget(
      layers.map(({ size }) => ({ size, outliers: 0 })),
      0.5,
      "owl",
    ),
  ).toEqual([50, 50, 50]);
});

test("no rule lets a layer keep more than it may, and the others keep what that leaves", () => {
  const layers = [
    { size: 10, eligible: 2, losses: Float64Array.from({ length: 10 }, (_, i) => 5 + i), outliers: 0.3 },
    { size: 10, eligible: 9, losses: Float64Array.from({ length: 10 }, (_, i) => 4 + i), outliers: 0.2 },
    { size: 10, eligible: 10, losses: Float64Array.from({ length: 10 }, (_, i) => 1 + i), outliers: 0 },
  ];
  for (const rule of ["uniform", "global", "owl"] as const) {
    for (const keep of [3, 15, 20, 21, 24]) {
      const keeps = shareBudget(layers, 1 - keep / 30, rule);
      for (const [l, kept] of keeps.entries()) expect(kept).toBeLessThanOrEqual(layers[l]!.eligible);
      // 21 of the 30 may be kept.
      expect(sum(keeps)).toBe(Math.min(keep, 21));
    }
  }
  // Of the 13 that the second and third may still keep, the dearest removals are 13 to 7 of the one and 10 to 5 of the other.
  expect(shareBudget(layers, 0.5, "global")).toEqual([2, 8, 5]);
});
