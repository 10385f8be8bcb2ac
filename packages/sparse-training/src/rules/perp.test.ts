import { beginRules, createRunContext } from "@secateur/core";
import { expect, test } from "vitest";
import { drive, params, weightsOf } from "../drive.test-support.ts";
import { rigl } from "./dynamic-sparsity.ts";
import { perp } from "./perp.ts";

const masks = new Map([["a", Uint8Array.from({ length: 40 }, (_, i) => Number(i % 3 > 0))]]);

test("what is added to a pruned layer has the rank asked for before the mask, and the mask's zeros", async () => {
  const seen = await drive({ rules: [perp({ rank: 1 })], masks, steps: 6, stepsPerEpoch: 3 });
  const [before, after] = [weightsOf().get("b")!.data, seen.at(-1)!.weights.get("b")!];
  const change = Array.from(after, (w, i) => w - before[i]!);
  // Every 2 x 2 minor of a matrix of rank 1 is 0.
  for (let r = 1; r < 4; r++) {
    for (let c = 1; c < 5; c++) {
      const minor = change[0]! * change[5 * r + c]! - change[c]! * change[5 * r]!;
      expect(Math.abs(minor)).toBeLessThan(1e-14);
    }
  }
  expect(Math.max(...change.map(Math.abs))).toBeGreaterThan(1e-3);
  seen
    .at(-1)!
    .weights.get("a")!
    .forEach((w, i) => {
      if (i % 3 === 0) expect(w).toBe(0);
    });
});

test("rank 0 trains biases alone", async () => {
  const seen = await drive({ rules: [perp({ rank: 0 })], steps: 3, stepsPerEpoch: 3 });
  expect([...seen.at(-1)!.weights.get("b")!]).toEqual([...weightsOf().get("b")!.data]);
  expect([...seen.at(-1)!.weights.get("bias")!]).not.toEqual([...weightsOf().get("bias")!.data]);
});

test("the gradient of A and B is that of the masked layer, by central differences", () => {
  const weights = weightsOf();
  const hooks = perp({ rank: 2 }).begin({ params, weights, masks, steps: 3, stepsPerEpoch: 3 });
  const map = hooks.reparameterize!(params[0]!)!;
  const theta = map.initial(weights.get("a")!.data).map((value: number, i: number) => value + 0.1 * Math.sin(i));
  const gradient = Float64Array.from({ length: 40 }, (_, i) => Math.cos(i));
  const value = (at: Float64Array): number => {
    const out = new Float64Array(40);
    map.toWeights(at, out);
    return out.reduce((sum, w, i) => sum + w * gradient[i]!, 0);
  };
  const found = new Float64Array(theta.length);
  map.toGradient(theta, gradient, found);
  found.forEach((slope, i) => {
    const moved = (h: number): Float64Array => Float64Array.from(theta, (x, j) => (j === i ? x + h : x));
    // The map is quadratic, so central differences are exact but for rounding.
    expect(slope).toBeCloseTo((value(moved(1e-4)) - value(moved(-1e-4))) / 2e-4, 9);
  });
});

test("rules that bring weights back are refused beside it; the seed of the run draws A", async () => {
  const rules = [perp({ rank: 2 }), rigl({ sparsity: 0.5, interval: 3 })];
  await expect(drive({ rules, steps: 24, stepsPerEpoch: 3 })).rejects.toThrow(
    /'perp' and 'rigl' contradict each other.*no single weight/,
  );
  const draws = [1, 2].map((seed) => {
    const weights = weightsOf();
    const run = beginRules({
      ...{ rules: [perp({ rank: 2 })], params, weights, masks: new Map(), steps: 3, stepsPerEpoch: 3 },
      ctx: createRunContext({ seed }),
    });
    return [...run.trained.get("a")!.data];
  });
  expect(draws[0]).not.toEqual(draws[1]);
});
