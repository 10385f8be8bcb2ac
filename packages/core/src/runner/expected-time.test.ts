import { expect, test } from "vitest";
import { arrayDataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { impossibleRun } from "../errors.ts";
import { type Curvature, dampingAlone, type FactorView } from "../problem/curvature.ts";
import { matrix } from "../problem/matrix.ts";
import type { Solver } from "../problem/strategy.ts";
import { createRunContext } from "../run-context.ts";
import { defaultPlan } from "../stages/resolve-plan.ts";
import type { CurvatureEstimator } from "./curvature-estimator.ts";
import { expectedMs, expectedWork } from "./expected-time.ts";

const solver: Solver = {
  needs: { curvature: ["factor"] },
  solve: () => Promise.reject(new Error("not called")),
  work: () => ({ curvature: 5e6, products: 1e6 }),
};
const situation = { sparsity: 0.9, prunable: 1000, examples: 500, initialSparsity: 0, weightReuse: 400 };
const spec = { solver, plan: { ...defaultPlan, examples: 400 }, situation, accept: 100, recalibrates: false };

test("work is three passes a gradient row and what the solver says, its products, and three losses a stage", () => {
  expect(expectedWork(spec)).toEqual({
    ...{ gradients: 400 * 3 * 4e5 + 5e6, products: 1e6, asDense: 1e6, losses: 3 * 100 * 4e5 },
  });
  // Statistics are measured twice over, on as many examples as there are.
  expect(expectedWork({ ...spec, recalibrates: true }).losses).toBe(3 * (100 + 2 * 500) * 4e5);
  const none = { gradients: 0, products: 0, asDense: 0, losses: 0 };
  expect(expectedWork({ ...spec, solver: { ...solver, needs: {} } })).toEqual(none);
});

/** A clock that stands still but for what is measured: 20 ms an evaluation, 10 a gradient row, 3 a product. */
function measured({ fails = false } = {}) {
  let [clock, evaluations, released] = [0, 0, 0];
  const asked: (number | undefined)[] = [];
  const view: FactorView = {
    ...dampingAlone(1000).factor!(),
    productCost: 1e5,
    times: () => {
      clock += 3;
    },
    transposeTimes: () => {
      clock += 3;
    },
  };
  delete (view as { columns?: unknown }).columns;
  const estimator: CurvatureEstimator = {
    name: "counting",
    provides: ["factor"],
    async estimate({ examples, data }) {
      if (fails) throw impossibleRun("no gradients");
      asked.push(examples);
      clock += 10 * examples!;
      const curvature = () => ({ factor: () => view }) as unknown as Curvature;
      const chosen = { examples: examples!, batch: 1, ridge: 0 };
      return { curvature, ridgeIsAutomatic: false, sample: data, loss: 1, chosen, release: () => void released++ };
    },
  };
  const data = arrayDataset({ inputs: matrix(500, 1, new Float32Array(500)) });
  const evaluate = async (): Promise<void> => {
    evaluations++;
    clock += 20;
  };
  return {
    spec: { ...spec, estimator, request: { model: {} as Model, data, params: [] }, firstMs: 200, evaluate },
    ctx: { ...createRunContext(), now: () => clock },
    seen: () => ({ evaluations, released, asked }),
  };
}

test("time is each kind of work at the speed of a short piece of it, measured again where the first time was short", async () => {
  const { spec: one, ctx, seen } = measured();
  // 400 rows of 10 ms and the solver's 5e6 of 3 passes of 4e5 each; products of 6e5 multiply-adds in 3 ms; three losses of 20 ms.
  const row = 10 / (3 * 4e5 + 5e6 / 64);
  const expected = row * (400 * 3 * 4e5 + 5e6) + 1e6 * (3 / 6e5) + 3 * 20;
  expect(await expectedMs(one, ctx)).toBeCloseTo(expected, 6);
  // 64 rows took 640 ms, which was enough; of the loss 200 ms were not.
  expect(seen()).toEqual({ evaluations: 1, released: 1, asked: [64] });
});

test("a loss that took long is not measured again, and of a tiny model next to nothing would be measured", async () => {
  const { spec: one, ctx, seen } = measured();
  const slow = await expectedMs({ ...one, firstMs: 1000 }, ctx);
  expect(slow! - (await expectedMs(one, ctx))!).toBeCloseTo(3 * 980, 6);
  expect(seen().evaluations).toBe(1);
  const tiny = { ...situation, prunable: 10, weightReuse: 1 };
  expect(await expectedMs({ ...one, situation: tiny }, ctx)).toBeUndefined();
});

test("where no curvature can be taken, the speed of evaluating stands in", async () => {
  const { spec: one, ctx } = measured({ fails: true });
  const sparse: Solver = { ...solver, work: () => ({ curvature: 5e6, products: 1e6, asDense: 4e6 }) };
  const { gradients, losses } = expectedWork(one);
  // Products over few weights take as long as more over all of them.
  expect(await expectedMs({ ...one, solver: sparse }, ctx)).toBeCloseTo(((gradients + 4e6 + losses) * 20) / 4e7, 6);
});
