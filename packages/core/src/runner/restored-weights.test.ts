/** A run that throws, wherever it does, leaves the model with the weights that it came with. */
import { expect, test } from "vitest";
import { arrayDataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { identityCurvature } from "../problem/curvature.ts";
import { selectorFrom, solverFrom } from "../problem/lift.ts";
import { matrix } from "../problem/matrix.ts";
import { objective } from "../problem/objective.ts";
import type { Solver } from "../problem/strategy.ts";
import type { Retrainer } from "../retraining/retrainer.ts";
import type { CurvatureEstimator } from "./curvature-estimator.ts";
import { type PruneRequest, prune } from "./prune.ts";

const data = arrayDataset({ inputs: matrix(50, 1), labels: new Uint8Array(50), classes: 1 });
const before = [4, 3, 2, 1];
const bySize: Solver = solverFrom(selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) }));

/** A run of two stages whose parts call `at` before they do anything, and what it leaves. */
function scene(at: (part: string) => void): {
  request: PruneRequest;
  w: Float32Array;
  statistic: () => number;
  retrainer: Retrainer;
} {
  const w = Float32Array.from(before);
  let statistic = w[0]!;
  const model: Model = {
    ...{ name: "model", inputs: [], outputs: [] },
    params: () => [{ name: "w", shape: [1, 4], rows: 1, cols: 4, prunable: true, flopsPerWeight: 2 }],
    read: async () => matrix(1, 4, w.slice()),
    write: async (_name, { data: values }) => w.set(values),
    async evaluate({ size }) {
      at("evaluate");
      return { loss: 1 / (1 + w[0]!), examples: size, accuracy: 0, task: "mine", measures: [] };
    },
  };
  const curvature: CurvatureEstimator = {
    name: "identity",
    provides: ["diagonal", "apply"],
    async estimate({ data: sample }) {
      at("estimate");
      return {
        curvature: () => identityCurvature(4),
        ...{ ridgeIsAutomatic: true, sample, loss: 1, chosen: { examples: 1, batch: 1, ridge: 1 }, release() {} },
      };
    },
  };
  const solver: Solver = {
    name: "growing",
    needs: { curvature: ["apply"] },
    async solve(problem, ctx) {
      at("solve");
      const { mask } = await bySize.solve(problem, ctx);
      const grown = { ...problem.w, data: problem.w.data.map((value, j) => mask[j]! * (value + 1)) };
      return { w: grown, mask, objective: await objective(problem, grown), status: "exact", stats: {} };
    },
  };
  const recalibrate = async (): Promise<void> => {
    at("recalibrate");
    statistic = w[0]!;
  };
  const retrainer: Retrainer = {
    settings: "",
    stepsPerEpoch: 1,
    examples: 50,
    capture: () => [{ name: "w", shape: [1, 4], data: w.slice() }],
    restore: ([first]) => w.set(first!.data),
    async retrain() {
      w.fill(9);
      at("retrain");
      throw new Error("training always fails here");
    },
  };
  const plan = { stages: 2, schedule: "linear" as const, from: 0.25 };
  return {
    request: { model, solver, curvature, data, sparsity: 0.5, plan, recalibrate },
    w,
    statistic: () => statistic,
    retrainer,
  };
}

test.each([
  ["solve", 1],
  ["solve", 2],
  ["estimate", 2],
  ["evaluate", 1],
  ["evaluate", 3],
  ["evaluate", 6],
  ["recalibrate", 2],
])("where '%s' throws at call %d", async (part, call) => {
  let calls = 0;
  const { request, w, statistic } = scene((name) => {
    if (name === part && ++calls === call) throw new Error("planted");
  });
  await expect(prune(request)).rejects.toThrow("planted");
  expect([...w]).toEqual(before);
  // What follows from the weights is measured with them again.
  expect(statistic()).toBe(before[0]);
});

test("where a run is aborted after its first stage, or what is told of a stage throws", async () => {
  const aborted = scene(() => {});
  const controller = new AbortController();
  const run = prune({ ...aborted.request, onState: () => controller.abort(), signal: controller.signal });
  await expect(run).rejects.toMatchObject({ code: "ERR_ABORTED" });
  const told = scene(() => {});
  const onState = (): never => {
    throw new Error("disk full");
  };
  await expect(prune({ ...told.request, onState })).rejects.toThrow("disk full");
  for (const { w, statistic } of [aborted, told]) expect([[...w], statistic()]).toEqual([before, before[0]]);
});

test("where the training of a round throws", async () => {
  const { request, w, retrainer } = scene(() => {});
  const phases = [{ sparsity: 0.5, epochs: 1, rates: () => [0.1] }];
  const { sparsity: _, plan: _plan, ...rest } = request;
  await expect(prune({ ...rest, retrain: { retrainer, phases, schedule: "llr" } })).rejects.toThrow("always fails");
  expect([...w]).toEqual(before);
});
