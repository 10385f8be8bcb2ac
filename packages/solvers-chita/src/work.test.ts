import { type RunSituation, resolvePlan } from "@secateur/core";
import { expect, test } from "vitest";
import { chita } from "./chita.ts";

const situation: RunSituation = {
  ...{ sparsity: 0.9, prunable: 32_360, examples: 60_000, initialSparsity: 0, weightReuse: 1 },
};
const workOf = (overrides: Partial<RunSituation>, plan = {}): number => {
  const of = { ...situation, ...overrides };
  return chita().work!(resolvePlan(chita(), of, plan), of);
};

test("the work of a run is that counted in the kernels of MLPNet on MNIST, within a factor of two", () => {
  // Dense multiply-adds, and sparse ones by what they take longer: 2.6e10 + 1.4 * 4.4e10, 2.5e10 + 2.6 * 1.2e10, 3.9e10 + 5 * 0.7e10.
  for (const [sparsity, counted] of [
    [0.5, 8.8e10],
    [0.9, 5.6e10],
    [0.98, 7.4e10],
  ] as const) {
    const ratio = workOf({ sparsity }) / counted;
    expect(ratio).toBeGreaterThan(0.5);
    expect(ratio).toBeLessThan(2);
  }
});

test("work grows with the examples, with competing ridges, and with the factors of layers", () => {
  const [some, more] = [2000, 4000].map((examples) => workOf({}, { examples, targetExamples: examples }));
  expect(more).toBeCloseTo(2 * some!, 0);
  const [one, three] = [[1], [0.6, 2, 6]].map((ridgeFactors) =>
    workOf({}, { stages: 1, targetStages: 0, ridgeFactors }),
  );
  expect(three).toBeCloseTo(3 * one!, 0);
  const kronecker = { curvature: "kronecker-gauss-newton" };
  const [moments, once, twice] = [0, 1e6, 2e6].map((kroneckerProduct) => workOf({ kroneckerProduct }, kronecker));
  expect(moments).toBe(3 * 2000 * 32_360);
  expect(twice! - moments!).toBe(2 * (once! - moments!));
});
