import { createRng } from "@secateur/core";
import { expect, test } from "vitest";
import { shareBudget, shareLimits } from "./share-budget.ts";

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

test("limits on operations and weights are met by the removals that are cheapest for what they save", () => {
  const rng = createRng("limits");
  const layers = [40, 60, 25].map((size, l) => ({
    param: String(l),
    size,
    losses: Float64Array.from({ length: size }, () => rng.next() ** 4).sort(),
  }));
  const positions = new Map([
    ["0", 16],
    ["1", 4],
    ["2", 1],
  ]);
  const all = layers.reduce((sum, { size, param }) => sum + size * positions.get(param)!, 0);
  const flops = { name: "flops", each: positions, most: 0.4 * all };
  const kept = shareLimits(layers, { sparsity: 0.6, limits: [flops], rule: "global" });
  const used = kept.reduce((sum, count, l) => sum + count * positions.get(String(l))!, 0);
  expect(used).toBeLessThanOrEqual(flops.most);
  const savedBy = (counts: readonly number[]): number =>
    layers.reduce((total, { size, losses }, l) => total + sum([...losses.subarray(size - counts[l]!)]), 0);
  let best = 0;
  for (let a = 0; a <= 40; a++) {
    for (let b = 0; b <= 60 && 16 * a + 4 * b <= flops.most; b++) {
      best = Math.max(best, savedBy([a, b, Math.min(25, Math.floor(flops.most - 16 * a - 4 * b))]));
    }
  }
  // One weight that no longer fits is all that may be lacking.
  expect(savedBy(kept)).toBeLessThanOrEqual(best + 1e-12);
  expect(savedBy(kept)).toBeGreaterThan(best - Math.max(...layers.map(({ losses }) => losses.at(-1)!)));
  const weights = {
    name: "weights",
    each: new Map([...positions.keys()].map((param) => [param, 1] as const)),
    most: 40,
  };
  const both = shareLimits(layers, { sparsity: 0.7, limits: [flops, weights], rule: "global" });
  expect(both.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(40);
  const even = shareLimits(layers, { sparsity: 0.6, limits: [flops], rule: "uniform" });
  expect(even).toEqual([16, 24, 10]);
});
