import { describe, expect, test } from "vitest";
import { keepCount } from "../budget/constraint.ts";
import { weightUnits } from "../budget/units.ts";
import { arrayDataset, type Dataset, inputRows } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { identityCurvature } from "../problem/curvature.ts";
import { selectorFrom, solverFrom } from "../problem/lift.ts";
import { matrix, type Vec } from "../problem/matrix.ts";
import { objective } from "../problem/objective.ts";
import type { Problem } from "../problem/problem.ts";
import type { Solver } from "../problem/strategy.ts";
import type { RunPlan, RunSituation } from "../stages/plan.ts";
import { type Acceptance, acceptStep } from "./accept-step.ts";
import type { CurvatureEstimator } from "./curvature-estimator.ts";
import { heldOutCount } from "./held-out.ts";
import { type PruneRequest, prune } from "./prune.ts";
import type { RunState } from "./run-state.ts";

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
      const w = { ...solution.w, data: problem.w.data.map((value) => value + 1) };
      return { ...solution, w, objective: await objective(problem, w) };
    },
  };
  const plan = { stages: 1, targetStages: 3, lineSearch: true };
  const request = { model, curvature, data, plan, sparsity: 0, solver };
  return { request, weights, ridges, taken, judged };
}

test("a plan's only multiple of the ridge is taken without examples to compare on, of several none", async () => {
  for (const [ridgeFactors, expected] of [
    [[2], [2]],
    [[2, 3], [1]],
  ]) {
    const { request, ridges, judged } = scene(9);
    const { evaluate: _, ...model } = request.model;
    const plan = { stages: 1, targetStages: 0, lineSearch: false, ridgeFactors: ridgeFactors! };
    await prune({ ...request, plan, model });
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

  test("of a run with next to no examples is judged on those that made the model", async () => {
    const few = arrayDataset({ inputs: matrix(4, 1), labels: new Uint8Array(4), classes: 1 });
    const { request, taken, judged } = scene(9);
    await prune({ ...request, data: few });
    expect(taken[0]).toBe(few);
    expect(await members(judged[0]!)).toEqual(await members(few));
  });

  test("is halved while that lowers the loss, and at the target not made when none does", async () => {
    // From 1: a quarter of the way lands on 1.25, nearest to 1.2; from there every step leads away.
    const { request, weights } = scene(1.2);
    const { stages } = await prune(request);
    expect(stages.map(({ stats }) => stats["step"])).toEqual([0.25, 0, 0, 0]);
    expect(weights[0]).toBe(1.25);
  });

  test("that was shortened doubles the next ridge, none at all takes it eight times, a full one halves it again", async () => {
    // 1 -> 1.5 (half), where it stays.
    const far = scene(1.5);
    await prune(far.request);
    expect(far.ridges).toEqual([1, 2, 16, 128]);
    const near = scene(4.4);
    // 1 -> 2 -> 3 -> 4 in full, then half of the last.
    await prune({ ...near.request, plan: { ...near.request.plan, targetStages: 4 } });
    expect(near.ridges).toEqual([1, 1, 1, 1, 2]);
  });

  test("changes the multiple that a plan asks for, not what it was multiplied to", async () => {
    const far = scene(1.5);
    await prune({ ...far.request, plan: { ...far.request.plan, ridgeFactors: [3] } });
    expect(far.ridges).toEqual([3, 6, 48, 384]);
    const competing = scene(1.5);
    await prune({ ...competing.request, plan: { ...competing.request.plan, ridgeFactors: [3, 5] } });
    expect(competing.ridges).toEqual([3, 5, 3, 5, 3, 5, 3, 5]);
  });

  test("and the ridge after it are the same in a run that is continued", async () => {
    const whole = scene(1.2);
    const states: RunState[] = [];
    const { stages } = await prune({
      ...whole.request,
      onState: (state) => {
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

describe("what is at hand", () => {
  /** Two of four weights are kept: the solver takes the first two and moves them by its step, divided by the ridge. */
  const problem: Problem = {
    id: "network",
    w: matrix(1, 4, Float32Array.of(1, 2, 3, 4)),
    curvature: identityCurvature(4),
    units: weightUnits(4),
    constraint: keepCount({ count: 4, keep: 2 }),
  };
  const tried: number[] = [];
  const spec = (over: Partial<Acceptance>): Acceptance => ({
    problem,
    async attempt(factor) {
      tried.push(factor);
      const w = matrix(1, 4, Float32Array.of(1 + 8 / factor, 2, 0, 0));
      const mask = Uint8Array.of(1, 1, 0, 0);
      return { problem, factor, solution: { w, mask, objective: 1, status: "exact", stats: {} } };
    },
    measure: async (w) => Math.abs(w[0]! - 1),
    mask: Uint8Array.of(1, 1, 1, 1),
    factors: [1],
    ...{ canRaise: false, shortens: false, mayStay: true, triesMagnitude: false },
    ...over,
  });

  test("is the solver's mask over the old weights where its step is worse", async () => {
    const { taken, solution, step } = await acceptStep(spec({}));
    expect([taken, step, [...solution.w.data]]).toEqual(["mask", 0, [1, 2, 0, 0]]);
    // 1/2 of what it removes.
    expect(solution.objective).toBe(0.5 * (9 + 16));
  });

  test("is left for a step with more damping, and damping rises no further than it has to", async () => {
    tried.length = 0;
    // Of a step of 8 / factor only the one of 64 leads to where the loss is lowest.
    const measure = async (w: Vec): Promise<number> => Math.abs(w[0]! - 1.0625);
    const { taken, factor, solution } = await acceptStep(spec({ canRaise: true, measure }));
    expect([taken, factor, solution.w.data[0]]).toEqual(["step", 64, 1.125]);
    expect(tried).toEqual([1, 8, 64]);
  });

  test("is taken after all where no damping helps, which rose three times", async () => {
    tried.length = 0;
    expect((await acceptStep(spec({ canRaise: true }))).taken).toBe("mask");
    expect(tried).toEqual([1, 8, 64, 512]);
  });

  test("are the weights before the stage where they meet the budget", async () => {
    const last = { ...problem, w: matrix(1, 4, Float32Array.of(0, 0, 3, 4)) };
    const measure = async (w: Vec): Promise<number> => (w[3] === 4 ? 0 : 1);
    const { taken, solution } = await acceptStep(spec({ problem: last, mask: Uint8Array.of(0, 0, 1, 1), measure }));
    expect([taken, [...solution.w.data]]).toEqual(["last", [0, 0, 3, 4]]);
  });

  test("are the largest magnitudes where they are asked for, or where the solver fails", async () => {
    const measure = async (w: Vec): Promise<number> => (w[3] === 4 ? 0 : w[0]!);
    expect((await acceptStep(spec({ measure, triesMagnitude: true }))).taken).toBe("magnitude");
    const failed = await acceptStep(spec({ attempt: async () => undefined }));
    expect([failed.taken, [...failed.solution.mask]]).toEqual(["magnitude", [0, 0, 1, 1]]);
  });

  test("is taken where outputs are not finite, whatever their order", async () => {
    const measure = async (w: Vec): Promise<number> => (w[0]! > 1 ? Number.POSITIVE_INFINITY : 3);
    expect((await acceptStep(spec({ measure }))).taken).toBe("mask");
    const nowhere = async (): Promise<number> => Number.POSITIVE_INFINITY;
    expect((await acceptStep(spec({ measure: nowhere }))).taken).toBe("mask");
  });
});

describe("held-out examples", () => {
  test("are a tenth, never more than 5,000, and a fifth of few", () => {
    const sizes = [0, 4, 50, 2000, 4999, 5000, 20_000, 60_000];
    expect(sizes.map((size) => heldOutCount(size))).toEqual([0, 0, 10, 400, 500, 500, 2000, 5000]);
  });

  test("are fewer where an evaluation is dear", () => {
    expect([1e6, 2e7, 1e9].map((macs) => heldOutCount(60_000, macs))).toEqual([5000, 2000, 500]);
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
    const solver = { ...request.solver, plan };
    await prune({ ...request, solver });
    // Held out once: of what a caller has left for gradients nothing is taken off.
    await prune({ ...request, solver, heldOut: data });
    const { evaluate: _, ...model } = request.model;
    await prune({ ...request, solver, model, plan: { ...request.plan, lineSearch: false } });
    expect(told).toEqual([5400, 6000, 6000]);
  });
});
