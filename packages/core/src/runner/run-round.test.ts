/** Rounds of pruning and training, over a network of one layer whose loss is the distance to its first weights. */
import { describe, expect, test } from "vitest";
import { arrayDataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { labelOutOfRange, notFiniteOutput } from "../errors.ts";
import type { Phase } from "../plugin/schedule.ts";
import { selectorFrom, solverFrom } from "../problem/lift.ts";
import { matrix } from "../problem/matrix.ts";
import { objective } from "../problem/objective.ts";
import type { Solver } from "../problem/strategy.ts";
import type { Retrainer } from "../retraining/retrainer.ts";
import { createRunContext, type RunEvent } from "../run-context.ts";
import type { ResolvedPlan } from "../stages/plan.ts";
import type { Evaluation } from "../task/evaluate.ts";
import { classification } from "../task/losses/classification.ts";
import { splitHeldOut } from "./held-out.ts";
import type { LayerCapability } from "./layers/layer-stage.ts";
import { type PruneRequest, type PruneResult, prune } from "./prune.ts";
import type { RunState } from "./run-state.ts";

const data = arrayDataset({ inputs: matrix(50, 1), labels: new Uint8Array(50), classes: 1 });
const bySize: Solver = {
  ...solverFrom(selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) })),
  name: "by-size",
};
const start = Float32Array.from({ length: 20 }, (_, j) => j + 1);

function layerModel(): Model & { readonly w: Float32Array } {
  const w = start.slice();
  return {
    ...{ name: "layer", inputs: [], outputs: [], w },
    params: () => [{ name: "a.weight", shape: [4, 5], rows: 4, cols: 5, prunable: true, flopsPerWeight: 2 }],
    read: async () => matrix(4, 5, w.slice()),
    write: async (_name, { data: values }) => w.set(values),
    evaluate: async ({ size }) => {
      const loss = 0.001 + w.reduce((sum, value, j) => sum + (value - start[j]!) ** 2, 0) / 20;
      return { loss, examples: size, accuracy: Number.NaN, task: "mine", measures: [] };
    },
  };
}

/** Trains by `change`. */
const trainerOf = (model: Model & { readonly w: Float32Array }, change: (value: number) => number): Retrainer => ({
  ...{ stepsPerEpoch: 1, examples: 50, settings: "" },
  capture: () => [{ name: "a.weight", shape: [4, 5], data: model.w.slice() }],
  restore: ([first]) => model.w.set(first!.data),
  async retrain({ epochs, onEpoch }) {
    model.w.set(model.w.map(change));
    const state = { epoch: epochs, epochs: [{ loss: 1, accuracy: Number.NaN }], tensors: [] };
    await onEpoch?.(state);
    return state;
  },
});
const phases: readonly Phase[] = [{ sparsity: 0.5, epochs: 1, rates: () => [0.1] }];

/** A loop that takes the lowest places away. */
const layersOf = (model: Model & { readonly w: Float32Array }, seen: string[] = []): LayerCapability => ({
  loop: {
    settings: {},
    async prune({ sparsity, recalibrate }, ctx) {
      seen.push(`stage ${sparsity}`);
      model.w.fill(0, 0, Math.ceil(20 * sparsity));
      await recalibrate?.(ctx);
      return { layers: [], examples: 3 };
    },
  },
  curvature: { name: "none", estimate: async function* () {} },
});
const layered: Solver = { ...bySize, scope: "layers" };

describe("a round", () => {
  test.each([{}, { heldOut: data }])("over layers whose training does harm keeps its start: %j", async (more) => {
    const model = layerModel();
    const layers = layersOf(model);
    const retrain = { retrainer: trainerOf(model, (value) => -5 * value), phases, schedule: "" };
    const { notes } = await prune({ model, solver: layered, layers, data, ...more, retrain });
    expect(notes.map(({ code }) => code)).toEqual(["round-undone"]);
    expect([...model.w]).toEqual([...start.map((value, j) => (j < 10 ? 0 : value))]);
  });

  test("whose outputs are no numbers is not measured for the report, and early stopping goes back", async () => {
    const model = layerModel();
    const evaluate = async (): Promise<{
      loss: number;
      examples: number;
      accuracy: number;
      task: string;
      measures: [];
    }> => {
      if (!model.w.every(Number.isFinite)) throw notFiniteOutput("layer", 0);
      return { loss: 1, examples: 1, accuracy: 0, task: "mine", measures: [] };
    };
    const retrainer = trainerOf(model, (value) => (value === 0 ? 0 : Number.NaN));
    const retrain = { retrainer, phases, schedule: "", earlyStopping: { patience: 3, evaluate }, measure: evaluate };
    const { rounds } = await prune({ model, solver: bySize, retrain });
    expect(rounds).toMatchObject([{ heldOut: [1, Number.POSITIVE_INFINITY], bestEpoch: 0, retrained: { loss: 1 } }]);
    expect(model.w[19]).toBe(20);
  });

  test("says what its pruning left where its stages together were worse than their mask, also after it was continued", async () => {
    const growing: Solver = {
      name: "growing",
      needs: {},
      async solve(problem, ctx) {
        const { mask } = await bySize.solve(problem, ctx);
        const w = { ...problem.w, data: problem.w.data.map((value, j) => mask[j]! * (value + 1)) };
        return { w, mask, objective: await objective(problem, w), status: "exact", stats: {} };
      },
    };
    // Every step lowers the loss of its own mask; the last mask over the first weights has the lowest of all.
    const lossOf = ([...w]: Float32Array): number => {
      const isHalf = w.filter((value) => value !== 0).length <= 10;
      return isHalf ? (w[19] === 20 ? 0.1 : w[19]! > 21 ? 1 : 3) : w[19] === 20 ? 2 : 1;
    };
    const run = async (more: Partial<PruneRequest>): Promise<PruneResult> => {
      const model = layerModel();
      const evaluate = async ({ size }: { size: number }): Promise<Evaluation> => ({
        ...{ loss: lossOf(model.w), examples: size, accuracy: 0, task: "mine", measures: [] },
      });
      const retrain = { retrainer: trainerOf(model, (value) => value), phases, schedule: "" };
      const plan = { stages: 2, schedule: "linear", from: 0.25 } as const;
      return await prune({ model: { ...model, evaluate }, solver: growing, data, plan, retrain, ...more });
    };
    const states: RunState[] = [];
    const whole = await run({ onState: (state) => void states.push(state) });
    expect([whole.taken, whole.stages.map(({ taken }) => taken)]).toEqual(["mask", ["step", "step"]]);
    const open = states.find(({ training }) => training?.open)!;
    expect((await run({ resume: open })).taken).toBe("mask");
  });
});

test("a run over layers that is continued recalibrates what the stage before left, as an uninterrupted one does", async () => {
  const plan = { stages: 2, targetStages: 0 };
  const run = async (resume?: RunState): Promise<{ seen: string[]; states: RunState[] }> => {
    const model = layerModel();
    const seen: string[] = [];
    const states: RunState[] = [];
    const recalibrate = async (): Promise<void> => {
      seen.push(`recalibrate ${model.w.filter((value) => value !== 0).length}`);
    };
    const onState = (state: RunState): void => void states.push(state);
    const layers = layersOf(model, seen);
    await prune({
      model,
      solver: layered,
      sparsity: 0.5,
      plan,
      data,
      layers,
      recalibrate,
      onState,
      ...(resume ? { resume } : {}),
    });
    return { seen, states };
  };
  const { seen, states } = await run();
  const { seen: again } = await run(states[0]!);
  // The loop recalibrates what it wrote itself; from there on the two are the same.
  expect(again[0]).toBe(`recalibrate ${states[0]!.weights.filter((value) => value !== 0).length}`);
  expect(again).toEqual(seen.slice(seen.length - again.length));
});

test("layers that end worse than their mask over the old weights end with those, where the data say what is right", async () => {
  const run = async (
    request: Partial<PruneRequest>,
    other: Partial<Model> = {},
  ): Promise<{ taken: string; w: Float32Array; codes: string[] }> => {
    const model = { ...layerModel(), outputs: [{ name: "output", shape: [1], dtype: "f32" as const }], ...other };
    const codes: string[] = [];
    const onEvent = (event: RunEvent): void => {
      if (event.type === "note") codes.push(event.code);
    };
    const { loop, curvature } = layersOf(model);
    const prunes = async (): Promise<{ layers: []; examples: number }> => {
      model.w.set(model.w.map((value, j) => (j < 10 ? 0 : value + 1)));
      return { layers: [], examples: 3 };
    };
    const layers = { loop: { ...loop, prune: prunes }, curvature };
    const { taken } = await prune({ model, solver: layered, sparsity: 0.5, data, layers, onEvent, ...request });
    return { taken, w: model.w, codes };
  };
  const masked = start.map((value, j) => (j < 10 ? 0 : value));
  const compared = await run({});
  expect([compared.taken, compared.w]).toEqual(["mask", masked]);
  expect(compared.codes).toContain("mask-alone");
  // Without targets nothing says which is better: the layers are left as the loop left them.
  const { targets: _, ...unlabelled } = data;
  const left = await run({ data: unlabelled });
  const solved = start.map((value, j) => (j < 10 ? 0 : value + 1));
  expect([left.taken, left.w]).toEqual(["step", solved]);
  // Targets that do not fit are said, and end no run that reads none.
  const evaluate = (): Promise<never> => {
    throw labelOutOfRange({ where: "data", index: 0, label: 6, classes: 3 });
  };
  const unfit = await run({}, { evaluate });
  expect([unfit.taken, unfit.w]).toEqual(["step", solved]);
  expect(unfit.codes).toContain("not-compared");
  // Whoever names a task means it.
  await expect(run({ task: classification() }, { evaluate })).rejects.toMatchObject({ code: "ERR_LABEL_RANGE" });
});

test("a loop over layers that keeps more than the budget, or brings pruned weights back, is refused by name", async () => {
  const attempt = (change: (w: Float32Array) => void, more: Partial<PruneRequest>): Promise<unknown> => {
    const model = layerModel();
    const { loop, curvature } = layersOf(model);
    const prunes = async (): Promise<{ layers: []; examples: number }> => {
      change(model.w);
      return { layers: [], examples: 3 };
    };
    const layers = { loop: { ...loop, prune: prunes }, curvature };
    const run = prune({ model, solver: layered, sparsity: 0.9, data, layers, ...more });
    return run.finally(() => expect(model.w).toEqual(start));
  };
  await expect(attempt(() => {}, {})).rejects.toMatchObject({
    code: "ERR_SOLUTION",
    message: expect.stringMatching(/^by-size: .*20 where 2 may stay/),
  });
  const budget = { units: [{ match: "*", units: { kind: "of-every", keep: 1, of: 5 } as const }] };
  const four = { sparsity: undefined as never, budget };
  await expect(attempt((w) => w.fill(0, 2), four)).rejects.toThrow(
    /within its budget, 'keep-1-of-5'.*1 more in 'a.weight'/,
  );
  const mask = Uint8Array.from(start, (_, j) => (j < 2 ? 0 : 1));
  await expect(attempt((w) => w.fill(0, 2), { mask, plan: { regrow: false } })).rejects.toThrow(/pruned stays pruned/);
});

test("steps are accepted on no more of the examples held out than their evaluation may cost", () => {
  const held = { ...data, size: 6000 };
  const plan = { examples: 1, targetExamples: 1, batch: 1 } as ResolvedPlan;
  const split = (macs: number): number | undefined =>
    splitHeldOut({ model: layerModel(), data, heldOut: held, plan, macs }, createRunContext()).accept?.size;
  // 4e10 multiply-adds at most, but never fewer than 500 examples nor more than 5,000.
  expect([split(0), split(4e7), split(1e12)]).toEqual([5000, 1000, 500]);
});

test("a model ends with the statistics of the weights that it ends with", async () => {
  const model = layerModel();
  let recalibrated: readonly number[] = [];
  const recalibrate = async (): Promise<void> => {
    recalibrated = [...model.w];
  };
  // Little is left of it, so what it loses without any weight is measured too.
  const { notes } = await prune({ model, solver: bySize, sparsity: 0.9, data, recalibrate });
  expect(notes.map(({ code }) => code)).toContain("loss-grew");
  expect(recalibrated).toEqual([...model.w]);
});

test.each<[string, Partial<PruneRequest>]>([
  ["solver", { solver: { ...bySize, name: "other" } }],
  ["size", { data: arrayDataset({ inputs: matrix(40, 1), labels: new Uint8Array(40), classes: 1 }) }],
  ["heldOut", { heldOut: data }],
])("the state of a run with another %s is refused", async (what, other) => {
  const states: RunState[] = [];
  const request = { solver: bySize, sparsity: 0.5, data };
  await prune({ ...request, model: layerModel(), onState: (state) => void states.push(state) });
  const resumed = prune({ ...request, ...other, model: layerModel(), resume: states[0]! });
  await expect(resumed).rejects.toMatchObject({ code: "ERR_RESUME", message: expect.stringContaining(what) });
});

test.each<[RegExp, Partial<PruneRequest>, readonly Phase[]]>([
  [/not one phase/, {}, []],
  [/not one phase/, { sparsity: 0.5 }, []],
  [/sparsity is 0.9 and the last phase of the retraining goes to 0.5/, { sparsity: 0.9 }, phases],
])("phases that say nothing, or other than the sparsity, are refused: %s", async (message, more, given) => {
  const model = layerModel();
  const retrain = { retrainer: trainerOf(model, (value) => value), phases: given, schedule: "" };
  const run = prune({ model, solver: bySize, retrain, ...more });
  await expect(run).rejects.toMatchObject({ code: "ERR_OPTION", message: expect.stringMatching(message) });
});
