import { describe, expect, test } from "vitest";
import { arrayDataset, type Dataset, inputRows } from "./data/dataset.ts";
import type { Model } from "./data/model.ts";
import { selectorFrom, solverFrom } from "./problem/lift.ts";
import { matrix } from "./problem/matrix.ts";
import type { Solver } from "./problem/strategy.ts";
import type { CurvatureEstimator } from "./runner/curvature-estimator.ts";
import { spareJudges } from "./runner/judge.ts";
import type { RunPlan, RunSituation } from "./runner/plan.ts";
import { type PruneRequest, prune, type RunState } from "./runner/prune.ts";

const size = 6000;
/** Every example is its own number, so that it is seen who got which. */
const data = arrayDataset({
  inputs: matrix(
    size,
    1,
    Float32Array.from({ length: size }, (_, i) => i),
  ),
  labels: new Uint8Array(size),
  classes: 1,
});

async function members(dataset: Dataset): Promise<readonly number[]> {
  const batch = await dataset.batch(Uint32Array.from({ length: dataset.size }, (_, i) => i));
  return [...inputRows(batch).data];
}

/** Two weights that stay, and a loss of the first: |w - best|. */
function scene(best: number): {
  request: PruneRequest;
  weights: Float32Array;
  ridges: number[];
  taken: Dataset[];
  judged: Dataset[];
} {
  const weights = Float32Array.of(1, 1);
  const [ridges, taken, judged]: [number[], Dataset[], Dataset[]] = [[], [], []];
  const model: Model = {
    name: "two weights",
    inputs: [],
    outputs: [],
    params: () => [{ name: "w", shape: [1, 2], rows: 1, cols: 2, prunable: true, flopsPerWeight: 2 }],
    read: async () => matrix(1, 2, weights.slice()),
    write: async (_, w) => weights.set(w.data),
    evaluate: async (dataset) => {
      judged.push(dataset);
      const loss = Math.abs(weights[0]! - best);
      return { accuracy: 0, loss, examples: dataset.size, task: "classification", measures: [] };
    },
  };
  const curvature: CurvatureEstimator = {
    name: "counting",
    provides: ["diagonal", "apply"],
    async estimate(request) {
      taken.push(request.data);
      return {
        curvature: (factor = 1) => {
          ridges.push(factor);
          return { dim: 2, diagonal: () => Float64Array.of(1, 1), apply: (x, out) => out.set(x) };
        },
        sample: request.data,
        loss: 1,
        ridgeIsAutomatic: true,
        chosen: { examples: 1, batch: 1, ridge: 1 },
        release() {},
      };
    },
  };
  const keeping = solverFrom(selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) }));
  /** Adds 1 to what it is given: the full step is 1. */
  const solver: Solver = {
    ...keeping,
    async solve(problem, ctx) {
      const solution = await keeping.solve(problem, ctx);
      return { ...solution, w: { ...solution.w, data: problem.w.data.map((value) => value + 1) } };
    },
  };
  const plan = { stages: 1, targetStages: 3, lineSearch: true };
  const request = { model, curvature, data, plan, sparsity: 0, solver };
  return { request, weights, ridges, taken, judged };
}

test("a plan's only multiple of the ridge is taken without a judge, of several none", async () => {
  for (const [ridgeFactors, expected] of [
    [[2], [2]],
    [[2, 3], [1]],
  ]) {
    const { request, ridges, judged } = scene(9);
    const { evaluate: _, ...model } = request.model;
    const plan = { stages: 1, targetStages: 0, lineSearch: false, ridgeFactors: ridgeFactors! };
    await prune({ ...request, plan, ...(ridgeFactors!.length > 1 ? { model } : {}) });
    expect(ridges).toEqual(expected);
    expect(judged).toEqual([]);
  }
});

describe("a step", () => {
  test("is judged on a tenth of the training examples, of which no gradient is taken", async () => {
    const { request, taken, judged } = scene(9);
    await prune(request);
    const [made, judges] = [await members(taken[0]!), await members(judged[0]!)];
    expect(judges).toHaveLength(size / 10);
    expect([...made, ...judges].sort((a, b) => a - b)).toEqual(await members(data));
    for (const dataset of judged) expect(await members(dataset)).toEqual(judges);
  });

  test("of a run with few examples is judged on those that made the model", async () => {
    const few = arrayDataset({ inputs: matrix(50, 1), labels: new Uint8Array(50), classes: 1 });
    const { request, taken, judged } = scene(9);
    await prune({ ...request, data: few });
    expect(taken[0]).toBe(few);
    expect(judged[0]).toBe(few);
  });

  test("is halved while that lowers the loss, and at the target not made when none does", async () => {
    // From 1: a quarter of the way lands on 1.25, nearest to 1.2; from there every step leads away.
    const { request, weights } = scene(1.2);
    const { stages } = await prune(request);
    expect(stages.map(({ stats }) => stats["step"])).toEqual([0.25, 0, 0, 0]);
    expect(weights[0]).toBe(1.25);
  });

  test("that was shortened doubles the next ridge, a full one halves it again", async () => {
    // 1 -> 1.5 (half), -> 2.5 -> 3.5 -> 4.5 (full).
    const far = scene(1.5);
    await prune(far.request);
    expect(far.ridges).toEqual([1, 2, 4, 8]);
    const near = scene(4.4);
    // 1 -> 2 -> 3 -> 4 in full, then half of the last.
    await prune({ ...near.request, plan: { ...near.request.plan, targetStages: 4 } });
    expect(near.ridges).toEqual([1, 1, 1, 1, 2]);
  });

  test("changes the multiple that a plan asks for, not what it was multiplied to", async () => {
    const far = scene(1.5);
    await prune({ ...far.request, plan: { ...far.request.plan, ridgeFactors: [3] } });
    expect(far.ridges).toEqual([3, 6, 12, 24]);
    const competing = scene(1.5);
    await prune({ ...competing.request, plan: { ...competing.request.plan, ridgeFactors: [3, 5] } });
    expect(competing.ridges).toEqual([3, 5, 3, 5, 3, 5, 3, 5]);
  });

  test("and the ridge after it are the same in a run that is continued", async () => {
    const whole = scene(1.2);
    const states: RunState[] = [];
    const { stages } = await prune({
      ...whole.request,
      onStage: (state) => {
        states.push(state);
      },
    });
    for (const resume of states.slice(0, -1)) {
      const again = scene(1.2);
      expect((await prune({ ...again.request, resume })).stages.map(({ stats, ridge }) => [stats, ridge])).toEqual(
        stages.map(({ stats, ridge }) => [stats, ridge]),
      );
      expect(again.weights).toEqual(whole.weights);
    }
  });
});

describe("judges", () => {
  test("are spared from 5,000 examples on, a tenth, and never more than 5,000", () => {
    expect([0, 50, 4999, 5000, 20_000, 60_000].map(spareJudges)).toEqual([0, 0, 0, 500, 2000, 5000]);
  });

  test("are not spared where the plan needs their examples: ridges then compete on some drawn from all", async () => {
    const { request, taken, judged } = scene(9);
    const plan = { stages: 1, targetStages: 0, lineSearch: false, ridgeFactors: [1, 2], examples: 600, batch: 10 };
    await prune({ ...request, plan });
    expect(taken[0]).toBe(data);
    expect(new Set(await members(judged[0]!)).size).toBe(5000);
  });

  test("are no examples that a solver's plan may count on", async () => {
    const { request } = scene(9);
    const told: number[] = [];
    const plan = ({ examples }: RunSituation): RunPlan => {
      told.push(examples);
      return {};
    };
    await prune({ ...request, solver: { ...request.solver, plan } });
    expect(told).toEqual([5400]);
  });
});
