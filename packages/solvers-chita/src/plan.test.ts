import { keptCount, planSparsities, type RunSituation, resolvePlan } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { chita } from "./chita.ts";
import { chitaPlan } from "./plan.ts";

const situation = (overrides: Partial<RunSituation> = {}): RunSituation => ({
  sparsity: 0.9,
  prunable: 10_000,
  examples: 60_000,
  initialSparsity: 0,
  ...overrides,
});

const sparsities = [0, 0.2, 0.5, 0.7, 0.75, 0.9, 0.95, 0.98, 0.99, 0.999];
const asked = [undefined, 1, 2, 3, 15, 40];
const curvatures = [undefined, "gauss-newton", "empirical-fisher"];
const grid = sparsities.flatMap((sparsity) =>
  asked.flatMap((stages) =>
    [10, 1000, 1_000_000].flatMap((prunable) =>
      curvatures.map((curvature) => ({ sparsity, stages, prunable, curvature })),
    ),
  ),
);

describe("chita's plan", () => {
  test("takes both numbers of stages as they are where both are asked for, and says so", () => {
    const plan = resolvePlan(chita(), situation({ sparsity: 0.98 }), { stages: 5, targetStages: 3 });
    expect([plan.stages, plan.targetStages]).toEqual([5, 3]);
    expect(plan.reason).toMatch(/^5 stages towards the target, 3 at it/);
    const path = planSparsities(plan, 0.98);
    expect(path).toHaveLength(8);
    // The first stage keeps 0.3, whatever the number of rising stages; the tolerance is rounding.
    expect(path[0]).toBeCloseTo(0.7, 9);
  });

  test("has as many stages as were asked for, none of them NaN, rising to the target and staying there", () => {
    for (const { sparsity, stages, prunable, curvature } of grid) {
      const overrides = { ...(stages && { stages }), ...(curvature && { curvature }) };
      const plan = resolvePlan(chita(), situation({ sparsity, prunable }), overrides);
      const path = planSparsities(plan, sparsity);
      expect(path).toHaveLength(plan.stages + plan.targetStages);
      if (stages !== undefined) expect(path).toHaveLength(stages);
      expect(path.every((value) => value >= 0 && value < 1)).toBe(true);
      for (let i = 1; i < path.length; i++) expect(path[i]).toBeGreaterThanOrEqual(path[i - 1]!);
      expect(path.slice(plan.stages - 1).every((value) => value === sparsity)).toBe(true);
      expect(plan.from).toBeGreaterThanOrEqual(0);
      expect(plan.from).toBeLessThanOrEqual(sparsity);
      // Every stage keeps a number of weights that exists.
      for (const value of path) expect(Number.isInteger(keptCount(prunable, value))).toBe(true);
    }
  });

  test("uses the curvature that was asked for, as many of its rows as its way of solving takes", () => {
    for (const { sparsity, stages, prunable, curvature } of grid) {
      const overrides = { ...(stages && { stages }), ...(curvature && { curvature }) };
      const plan = resolvePlan(chita(), situation({ sparsity, prunable }), overrides);
      expect(plan.curvature).toBe(curvature ?? "gauss-newton");
      // The row-space method's default limit.
      if (curvature === "empirical-fisher")
        expect(Math.max(plan.examples, plan.targetExamples)).toBeLessThanOrEqual(2048);
      expect([plan.firstOrder, plan.regrow, plan.ridge]).toEqual([true, true, "auto"]);
    }
  });

  test("takes more stages the farther the target, and one ridge trial only where there is a single stage", () => {
    let last = 0;
    for (const sparsity of sparsities) {
      const { stages, targetStages, ridgeFactors, reason } = resolvePlan(chita(), situation({ sparsity }));
      expect(stages + targetStages).toBeGreaterThanOrEqual(last);
      last = stages + targetStages;
      expect(ridgeFactors).toEqual([1]);
      expect(reason).toMatch(new RegExp(`^${stages} stages? towards the target, ${targetStages} at it`));
    }
    expect(last).toBeGreaterThan(20);
    const single = resolvePlan(chita(), situation(), { stages: 1 });
    expect(single.ridgeFactors.length).toBeGreaterThan(1);
    expect(single.reason).toMatch(/one stage/);
  });

  test("keeps 30 % after the first stage of a far target, and shrinks by one factor from there", () => {
    for (const sparsity of [0.9, 0.98, 0.999]) {
      for (const stages of [undefined, 15]) {
        const plan = resolvePlan(chita(), situation({ sparsity }), stages ? { stages } : {});
        const path = planSparsities(plan, sparsity).slice(0, plan.stages);
        expect(1 - path[0]!).toBeCloseTo(0.3, 10);
        const factors = path.slice(1).map((value, i) => (1 - path[i]!) / (1 - value));
        for (const factor of factors) expect(factor).toBeCloseTo(factors[0]!, 9);
        if (stages === undefined) expect(factors[0]).toBeLessThanOrEqual(1.45 + 1e-9);
      }
    }
  });

  test("bends to fewer training examples than it would like, a fifth of few being held out", () => {
    expect(resolvePlan(chita(), situation({ examples: 300 }))).toMatchObject({ examples: 240, targetExamples: 240 });
  });
});

test("weights that are used at many positions get Kronecker factors where the model gives what they are made of", () => {
  const convolutional = situation({ weightReuse: 150, hasLayerMoments: true });
  const single = resolvePlan(chita(), convolutional);
  expect(single).toMatchObject({ curvature: "kronecker-gauss-newton", stages: 1, targetStages: 0, firstOrder: false });
  expect(single.reason).toMatch(/^one stage/);
  // Stages that are asked for all rise, the kept weights shrinking by one factor.
  const several = resolvePlan(chita(), convolutional, { stages: 4 });
  expect(several).toMatchObject({ stages: 4, targetStages: 0, firstOrder: false });
  planSparsities(several, 0.9).forEach((sparsity, i) => {
    expect(sparsity).toBeCloseTo(1 - 0.1 ** ((i + 1) / 4), 12);
  });
  expect(several.reason).toMatch(/^4 stages towards the target, 0 at it/);
  expect(resolvePlan(chita(), convolutional, { stages: 4, targetStages: 2 })).toMatchObject({
    stages: 4,
    targetStages: 2,
  });
  // Asked for by name, also for dense layers; and not where weights are used once.
  const named = resolvePlan(chita(), situation({ hasLayerMoments: true }), { curvature: "kronecker-gauss-newton" });
  expect(named.temperature).toBe(4);
  const temperatureOf = (classes: number) =>
    resolvePlan(chita(), situation({ hasLayerMoments: true, classes }), { curvature: "kronecker-gauss-newton" })
      .temperature;
  // As the root of the logarithm of more classes grows.
  expect([2, 10, 100].map(temperatureOf)).toEqual([4, 4, 4 * Math.sqrt(Math.log(10) / Math.log(100))]);
  expect(resolvePlan(chita(), situation({ hasLayerMoments: true })).curvature).toBe("gauss-newton");
});

test("weights that are used at many positions get stored rows of mini-batches instead of products through the network, where it does not", () => {
  const dense = resolvePlan(chita(), situation());
  const convolutional = resolvePlan(chita(), situation({ weightReuse: 150 }));
  expect([dense.curvature, convolutional.curvature]).toEqual(["gauss-newton", "empirical-fisher"]);
  // As many rows as there are, of as many examples as there are for 500 rows, at most 16.
  expect([convolutional.examples, convolutional.batch]).toEqual([500, 16]);
  const few = resolvePlan(chita(), situation({ weightReuse: 150, examples: 5085 }));
  expect([few.examples, few.batch]).toEqual([500, 9]);
  expect(resolvePlan(chita(), situation({ weightReuse: 150 }), { curvature: "gauss-newton" }).curvature).toBe(
    "gauss-newton",
  );
});

describe("what the default costs", () => {
  /** The built-in LeNet-5: 416,520 multiply-adds for 61,470 weights. */
  const lenet = { prunable: 61_470, weightReuse: 416_520 / 61_470, hasLayerMoments: true, examples: 60_000 };

  test("is no more than some epochs of training: beyond that convolutions get Kronecker factors and one stage", () => {
    for (const sparsity of [0.5, 0.9, 0.95]) {
      expect(chitaPlan(situation({ ...lenet, sparsity }))).toMatchObject({
        curvature: "kronecker-gauss-newton",
        stages: 1,
      });
    }
  });

  test("is about that for dense networks at light sparsities too: fewer stages at the target, unless some are asked for", () => {
    const stagesAt = (sparsity: number, overrides = {}) => {
      const { stages, targetStages } = resolvePlan(chita(), situation({ prunable: 32_360, sparsity }), overrides);
      return [stages, targetStages];
    };
    expect([0.3, 0.5, 0.6, 0.7, 0.9].map((sparsity) => stagesAt(sparsity))).toEqual([
      [1, 4],
      [1, 4],
      [1, 5],
      [1, 6],
      [4, 6],
    ]);
    expect(stagesAt(0.98)).toEqual([9, 9]);
    expect(stagesAt(0.5, { targetStages: 6 })).toEqual([1, 6]);
    expect(stagesAt(0.5, { stages: 7 })).toEqual([4, 3]);
  });

  test("leaves dense networks of any size and sparsity their stages with the Gauss-Newton matrix", () => {
    for (const prunable of [300, 32_360, 4_000_000]) {
      for (const sparsity of [0.3, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99]) {
        for (const examples of [40, 1000, 60_000]) {
          const plan = chitaPlan(situation({ prunable, sparsity, examples, hasLayerMoments: true }));
          // A large network on a handful of examples is not worth more stages than they say anything about.
          if (prunable < 1_000_000 || examples === 60_000) expect(plan.curvature).toBe("gauss-newton");
        }
      }
    }
  });

  test("gives way to a curvature that was asked for", () => {
    expect(chitaPlan(situation({ ...lenet, curvature: "gauss-newton" })).curvature).toBe("gauss-newton");
  });
});

test("stored rows of few examples get no more stages than eight epochs of training cost, but for those asked for", () => {
  // Some 490,000 weights of convolutions, as a TensorFlow.js model has them: no moments of layers.
  const model = situation({ prunable: 490_000, weightReuse: 25, examples: 6000, sparsity: 0.9 });
  const of = (overrides = {}) => resolvePlan(chita(), model, overrides);
  const { stages, targetStages, examples, batch, ridgeFactors, curvature } = of();
  expect(curvature).toBe("empirical-fisher");
  // Gradients of mini-batches, three losses a ridge, and the Gram matrix of the rows and products with them.
  const passes = 3 * examples * batch + ridgeFactors.length * 3 * 500;
  const solving = ridgeFactors.length * examples * (examples / 2 + 50);
  const [cost, affordable] = [(stages + targetStages) * (passes * 25 + solving), 8 * 3 * 6000 * 25];
  expect(cost).toBeLessThanOrEqual(affordable);
  expect(cost).toBeGreaterThan(affordable / 2);
  expect(of({ stages: 10 })).toMatchObject({ stages: 5, targetStages: 5 });
  // Where a single stage is all that is affordable, as many ridges compete in it as are.
  for (const [available, ridges] of [
    [600, 1],
    [875, 2],
  ] as const) {
    const few = { ...model, prunable: 1_000_000, examples: available };
    const plan = resolvePlan(chita(), few, {});
    expect([plan.stages, plan.targetStages, plan.ridgeFactors.length]).toEqual([1, 0, ridges]);
    expect(resolvePlan(chita(), few, { stages: 1 }).ridgeFactors.length).toBe(4);
  }
});
