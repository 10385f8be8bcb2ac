import { describe, expect, test } from "vitest";
import { countKept } from "../budget/constraint.ts";
import { arrayDataset, type Batch } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import type { FloatTensors } from "../data/tensor.ts";
import { noOptions } from "../plugin/no-options.ts";
import { defineSolver } from "../plugin/plugin.ts";
import { selectorFrom, solverFrom } from "../problem/lift.ts";
import { type Mat, matrix } from "../problem/matrix.ts";
import { objective } from "../problem/objective.ts";
import type { Solver } from "../problem/strategy.ts";
import type { RunEvent } from "../run-context.ts";
import type { CurvatureEstimator } from "./curvature-estimator.ts";
import { type PruneRequest, prune } from "./prune.ts";
import type { RunState } from "./run-state.ts";

const data = arrayDataset({ inputs: matrix(50, 1), labels: new Uint8Array(50), classes: 1 });

/** Two prunable layers and a bias; nothing but weights. */
function toyModel(): Model & { weights: Map<string, Mat> } {
  const weights = new Map([
    ["a.weight", matrix(2, 3, Float32Array.of(6, -1, 4, 0.5, -8, 2))],
    ["a.bias", matrix(2, 1, Float32Array.of(9, 9))],
    ["b.weight", matrix(1, 4, Float32Array.of(-3, 7, 0.1, 5))],
  ]);
  return {
    name: "toy",
    inputs: [],
    outputs: [],
    weights,
    params: () =>
      [...weights].map(([name, { rows, cols }]) => ({
        name,
        shape: [rows, cols],
        rows,
        cols,
        prunable: name.endsWith("weight"),
        flopsPerWeight: 2,
      })),
    read: async (name) => ({ ...weights.get(name)!, data: weights.get(name)!.data.slice() }),
    write: async (name, w) => weights.get(name)!.data.set(w.data),
  };
}

const bySize: Solver = solverFrom(selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) }));

/** Solves at the target by halving what it keeps: what a stage returns shows which weights it was given. */
const halving: Solver = {
  ...bySize,
  async solve(problem, ctx) {
    const solution = await bySize.solve(problem, ctx);
    const w = { ...solution.w, data: solution.w.data.map((value) => value / 2) };
    return { ...solution, w, objective: await objective(problem, w) };
  },
};

/** H = I with a draw from the run's generator as its ridge, to see that stages draw afresh and resumed ones draw the same. */
const drawing: CurvatureEstimator = {
  name: "drawing",
  provides: ["diagonal", "apply"],
  async estimate({ model, params, examples = 0, batch = 0 }, ctx) {
    const dim = (await Promise.all(params.map((name) => model.read(name)))).reduce(
      (sum, { data: d }) => sum + d.length,
      0,
    );
    const ridge = ctx.rng.next();
    return {
      curvature: () => ({
        dim,
        diagonal: () => new Float64Array(dim).fill(ridge),
        apply: (x, out) => out.set(x.map((value) => ridge * value)),
      }),
      sample: data,
      loss: 1,
      ridgeIsAutomatic: true,
      chosen: { examples, batch, ridge },
      release() {},
    };
  },
};

const request = (overrides: Partial<PruneRequest> = {}): PruneRequest => ({
  model: toyModel(),
  solver: bySize,
  sparsity: 0.5,
  ...overrides,
});

describe("prune", () => {
  test("a model of several outputs needs no task where there are no data to read one", async () => {
    const outputs = ["y", "state"].map((name) => ({ name, shape: [2], dtype: "f32" as const }));
    const model = { ...toyModel(), outputs };
    const { nonzeros } = await prune({ model, solver: bySize, sparsity: 0.5 });
    expect(nonzeros).toBe(5);
    await expect(prune({ model, solver: bySize, sparsity: 0.5, data })).rejects.toMatchObject({ code: "ERR_TASK" });
  });

  test("prunes the prunable weights across layers to exactly the sparsity, in place, and leaves the rest alone", async () => {
    const model = toyModel();
    const result = await prune(request({ model }));
    expect([...model.weights.get("a.weight")!.data]).toEqual([6, 0, 4, 0, -8, 0]);
    expect([...model.weights.get("b.weight")!.data]).toEqual([0, 7, 0, 5]);
    expect([...model.weights.get("a.bias")!.data]).toEqual([9, 9]);
    expect(result.layers.reduce((sum, { kept }) => sum + kept, 0)).toBe(result.kept);
    expect(result).toMatchObject({ sparsity: 0.5, kept: 5, nonzeros: 5, prunable: 10 });
    expect(result.layers.map(({ name, nonzeros }) => [name, nonzeros])).toEqual([
      ["a.weight", 3],
      ["b.weight", 2],
    ]);
    expect(countKept(result.mask)).toBe(5);
    // 1/2 the squares of what was removed, in f32 weights.
    expect(result.objective).toBeCloseTo(0.5 * (1 + 0.25 + 4 + 9 + 0.01), 6);
  });

  test("runs the planned stages, each at the weights the one before left", async () => {
    const model = toyModel();
    const { stages } = await prune(
      request({ model, solver: halving, plan: { stages: 3, targetStages: 1, schedule: "linear", from: 0.1 } }),
    );
    expect(stages.map(({ sparsity, nonzeros }) => [sparsity, nonzeros])).toEqual([
      [0.1, 9],
      [0.30000000000000004, 7],
      [0.5, 5],
      [0.5, 5],
    ]);
    expect(model.weights.get("b.weight")!.data[1]).toBe(7 / 16);
  });

  test("a run resumed after any stage gives the same bytes and reports as one that was not interrupted", async () => {
    const plan = { stages: 4, schedule: "geometric" as const };
    const states: RunState[] = [];
    const whole = toyModel();
    const spec = { solver: halving, curvature: drawing, data, plan, seed: 5 };
    const { stages } = await prune(request({ ...spec, model: whole, onState: (state) => void states.push(state) }));
    expect(new Set(stages.map(({ ridge }) => ridge)).size).toBe(4);
    for (const resume of states) {
      const model = toyModel();
      const result = await prune(request({ ...spec, model, resume }));
      expect(model.weights).toEqual(whole.weights);
      expect(result.stages.map(({ objective, ridge }) => [objective, ridge])).toEqual(
        stages.map(({ objective, ridge }) => [objective, ridge]),
      );
    }
    await expect(prune(request({ ...spec, seed: 6, resume: states[0]! }))).rejects.toMatchObject({
      code: "ERR_RESUME",
    });
  });

  test("without regrowth a pruned weight stays pruned, with it the solver may bring it back", async () => {
    /** Keeps the lowest indices in the first stage and the highest in the second. */
    let stage = 0;
    const moving = solverFrom(
      selectorFrom({ needs: {}, score: ({ w }) => w.data.map((_, j) => (stage++ < 10 ? -j : j)) }),
    );
    const run = async (regrow: boolean): Promise<number[]> => {
      stage = 0;
      const { mask } = await prune(
        request({ solver: moving, plan: { stages: 2, schedule: "linear", from: 0.4, regrow } }),
      );
      return [...mask];
    };
    expect(await run(true)).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    expect(await run(false)).toEqual([0, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
  });

  test("the user's settings win over the solver's plan, and the plan over the defaults", async () => {
    const advised: Solver = {
      ...bySize,
      plan: ({ prunable }) => ({ stages: 2, examples: prunable, batch: 2, schedule: "poly" }),
    };
    const { plan } = await prune(request({ solver: advised, curvature: drawing, data, plan: { batch: 3 } }));
    expect(plan).toMatchObject({ stages: 2, examples: 10, batch: 3, schedule: "poly", ridge: "auto", targetStages: 0 });
    const greedy: Solver = { ...bySize, plan: () => ({ examples: 1000, batch: 2 }) };
    // Half of 50 examples, none of which is held out from a model that cannot be evaluated.
    expect((await prune(request({ solver: greedy, curvature: drawing, data }))).plan.examples).toBe(25);
  });

  test("reports its stages as events", async () => {
    const events: RunEvent[] = [];
    await prune(request({ plan: { stages: 2 }, onEvent: (event) => void events.push(event) }));
    expect(events.map(({ type }) => type)).toEqual([
      "run:start",
      "stage:start",
      "solve:end",
      "stage:end",
      "stage:start",
      "solve:end",
      "stage:end",
    ]);
  });

  test.each([
    ["ERR_SPARSITY_RANGE", { sparsity: 1 }],
    ["ERR_UNKNOWN_NAME", { params: ["c.weight"] }],
    ["ERR_OPTION", { plan: { stages: 0 } }],
    ["ERR_OPTION", { plan: { ridge: -1 } }],
    ["ERR_OPTION", { plan: { examples: 1.5 } }],
    ["ERR_IMPOSSIBLE", { data, plan: { examples: 51 } }],
    ["ERR_IMPOSSIBLE", { curvature: drawing }],
    ["ERR_UNKNOWN_NAME", { plan: { schedule: "fast" as "exp" } }],
    ["ERR_INCOMPATIBLE", { solver: { ...bySize, needs: { curvature: ["factor" as const] } } }],
  ])("refuses with %s: %j", async (code, overrides) => {
    await expect(prune(request(overrides))).rejects.toMatchObject({ code, fault: "input" });
  });

  test("weights that are not finite are named, and an abort between stages stops the run", async () => {
    const model = toyModel();
    model.weights.get("b.weight")!.data[2] = Number.NaN;
    await expect(prune(request({ model }))).rejects.toThrow(
      /weights 'b.weight': 1 of its numbers is not finite, the first is NaN at index 2/,
    );
    const controller = new AbortController();
    const onState = (): void => controller.abort();
    await expect(prune(request({ plan: { stages: 3 }, onState, signal: controller.signal }))).rejects.toMatchObject({
      code: "ERR_ABORTED",
    });
  });
});

describe("what follows from weights and data", () => {
  /** The toy with logits; remembers what it was asked to recalibrate. */
  function recalibrating(): { overrides: Partial<PruneRequest>; asked: object[]; recalibrated: string[] } {
    const model = toyModel();
    const asked: object[] = [];
    const recalibrated: string[] = [];
    const curvature: CurvatureEstimator = {
      ...drawing,
      async estimate(estimateRequest, ctx) {
        const { firstOrder, task, data: of } = estimateRequest;
        const { targets } = await of.batch(Uint32Array.of(0, 1));
        const scores = targets?.["scores"];
        asked.push({ firstOrder, task: task?.name, options: task?.options, scores, size: of.size });
        return await drawing.estimate(estimateRequest, ctx);
      },
    };
    // Outputs that depend on the weights: the teacher's are those before the first stage.
    const run = async ({ size }: Batch): Promise<FloatTensors> => ({
      scores: { shape: [size, 1], data: new Float64Array(size).fill(model.weights.get("b.weight")!.data[0]!) },
    });
    const recalibrate = async (): Promise<void> => {
      recalibrated.push([...model.weights.get("b.weight")!.data].join());
    };
    return { overrides: { model: { ...model, run }, data, curvature, recalibrate }, asked, recalibrated };
  }

  test("is recalibrated before every stage but the first, with the weights of the stage before, and at the end", async () => {
    const { overrides, recalibrated } = recalibrating();
    const states: RunState[] = [];
    const plan = { stages: 3, targetStages: 0 };
    const onState = (state: RunState): void => {
      states.push(state);
    };
    await prune(request({ ...overrides, plan, onState }));
    expect(recalibrated).toEqual(states.map(({ weights }) => [...weights.subarray(6)].join()));
    // A run that goes on recalibrates first.
    const again = recalibrating();
    await prune(request({ ...again.overrides, plan, resume: states[0]! }));
    expect(again.recalibrated).toEqual(recalibrated);
  });

  test("distillation's targets are the outputs before pruning; the first stage has no slope to ask for", async () => {
    const { overrides, asked } = recalibrating();
    const plan = { stages: 1, targetStages: 1, firstOrder: true, distill: true, temperature: 3 };
    await prune(request({ ...overrides, plan }));
    const taught = {
      task: "distillation",
      options: { loss: "kl", temperature: 3 },
      scores: { shape: [2, 1], data: Float64Array.of(-3, -3) },
      size: 50,
    };
    expect(asked).toEqual([
      { firstOrder: false, ...taught },
      { firstOrder: true, ...taught },
    ]);
    const labels = recalibrating();
    await prune(request({ ...labels.overrides, plan: { ...plan, distill: false } }));
    expect(labels.asked).toMatchObject([0, 1].map(() => ({ firstOrder: true, task: "classification" })));
  });

  test("a resumed run has the same teacher, and another teacher is refused", async () => {
    const plan = { stages: 2, targetStages: 0, firstOrder: true, distill: true };
    const states: RunState[] = [];
    const first = recalibrating();
    const onState = (state: RunState): void => {
      states.push(state);
    };
    const whole = await prune(request({ ...first.overrides, plan, onState }));
    const again = recalibrating();
    const resumed = await prune(request({ ...again.overrides, plan, resume: states[0]! }));
    expect(resumed.mask).toEqual(whole.mask);
    expect(again.asked[0]).toEqual(first.asked[1]);
    const other = recalibrating();
    const { model } = other.overrides;
    await model!.write("b.weight", matrix(1, 4, Float32Array.of(-2, 7, 0.1, 5)));
    await expect(prune(request({ ...other.overrides, plan, resume: states[0]! }))).rejects.toMatchObject({
      code: "ERR_RESUME",
      message: expect.stringContaining("teacher"),
    });
  });

  test("a model without outputs cannot be led back to its own", async () => {
    const { overrides } = recalibrating();
    const plan = { stages: 2, targetStages: 0, firstOrder: true, distill: true };
    await expect(prune(request({ ...overrides, model: toyModel(), plan }))).rejects.toMatchObject({
      code: "ERR_IMPOSSIBLE",
      message: expect.stringContaining("'toy'"),
    });
  });
});

test("a solver for single layers is not run on the whole network in silence, under its plugin name either", async () => {
  const layered = solverFrom(selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) }));
  const entry = defineSolver({
    ...{ name: "by-layers", summary: "one layer at a time", options: noOptions },
    create: (): Solver => ({ ...layered, scope: "layers" }),
  });
  const solver = entry.create({} as never);
  expect(solver.scope).toBe("layers");
  await expect(prune({ model: toyModel(), solver, sparsity: 0.5 })).rejects.toThrow(
    /by-layers cannot solve 'network': needs one layer at a time, with its inputs/,
  );
});
