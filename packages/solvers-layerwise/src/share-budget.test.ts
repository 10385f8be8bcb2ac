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
