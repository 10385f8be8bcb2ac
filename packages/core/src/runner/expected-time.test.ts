import { expect, test } from "vitest";
import { arrayDataset } from "../data/dataset.ts";
import { matrix } from "../problem/matrix.ts";
import type { Solver } from "../problem/strategy.ts";
import { createRunContext } from "../run-context.ts";
import { defaultPlan } from "../stages/resolve-plan.ts";
import { expectedMs, expectedWork } from "./expected-time.ts";

const solver: Solver = {
  needs: { curvature: ["factor"] },
  solve: () => Promise.reject(new Error("not called")),
  work: () => 1e6,
};
const situation = { sparsity: 0.9, prunable: 1000, examples: 500, initialSparsity: 0, weightReuse: 4 };

test("work is three passes a gradient row, three losses a stage, and what the solver says", () => {
  const spec = { solver, plan: { ...defaultPlan, examples: 10 }, situation, accept: 100, recalibrates: false };
  expect(expectedWork(spec)).toBe(10 * 3 * 4000 + 3 * 100 * 4000 + 1e6);
  // A solver without gradients is over at once.
  expect(expectedWork({ ...spec, solver: { ...solver, needs: {} } })).toBe(0);
});

test("time is work at the speed of evaluating, measured again where the first time was short", async () => {
  const accept = arrayDataset({ inputs: matrix(100, 1, new Float32Array(100)) });
  let [clock, evaluations] = [0, 0];
  const ctx = { ...createRunContext(), now: () => clock };
  const evaluate = async (): Promise<void> => {
    evaluations++;
    clock += 20;
  };
  // 100 examples of a million multiply-adds in 20 ms.
  expect(await expectedMs({ work: 5e8, macs: 1e6, accept, firstMs: 200, evaluate }, ctx)).toBe(100);
  expect(evaluations).toBe(1);
  expect(await expectedMs({ work: 5e8, macs: 1e6, accept, firstMs: 1000, evaluate }, ctx)).toBe(5000);
  expect(evaluations).toBe(1);
  // Next to nothing would be measured of a tiny model.
  expect(await expectedMs({ work: 5e8, macs: 10, accept, firstMs: 1, evaluate }, ctx)).toBeUndefined();
});
