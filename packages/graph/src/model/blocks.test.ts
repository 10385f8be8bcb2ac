import {
  arrayDataset,
  createRng,
  createRunContext,
  type Mask,
  matrix,
  type RetrainingState,
  regression,
  type Task,
} from "@secateur/core";
import { expect, test } from "vitest";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { createGraphModel, type GraphModel } from "./graph-model.ts";
import { createGraphRetrainer } from "./graph-retrainer.ts";

const node = (op: string, inputs: string[], output: string): NodeSpec => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes: {} },
});
const rng = createRng("blocks");
const weight = (name: string, ...shape: [number, number]): GraphTensor => ({
  ...{ name, dtype: "f64", shape },
  data: Float64Array.from({ length: shape[0] * shape[1] }, () => rng.normal()),
});

/** Two residual blocks, h = x + tanh(x a) b and y = h + tanh(h c) d, and a layer behind them. */
const residual: GraphSpec = {
  name: "residual",
  nodes: [
    node("MatMul", ["x", "a"], "xa"),
    node("Tanh", ["xa"], "ta"),
    node("MatMul", ["ta", "b"], "tb"),
    node("Add", ["x", "tb"], "h"),
    node("MatMul", ["h", "c"], "hc"),
    node("Tanh", ["hc"], "tc"),
    node("MatMul", ["tc", "d"], "td"),
    node("Add", ["h", "td"], "y"),
    node("MatMul", ["y", "e"], "z"),
  ],
  initializers: [weight("a", 4, 5), weight("b", 5, 4), weight("c", 4, 5), weight("d", 5, 4), weight("e", 4, 3)],
  inputs: [{ name: "x", dtype: "f64", shape: ["n", 4] }],
  outputs: [{ name: "z", dtype: "f64", shape: ["n", 3] }],
};
const open = (): GraphModel => createGraphModel({ graph: residual, opsets: { "": 20 }, dtype: "f64" });
const X = matrix(
  12,
  4,
  Float64Array.from({ length: 48 }, () => rng.normal()),
);
const data = arrayDataset({ inputs: X, values: matrix(12, 3, new Float64Array(36).fill(0.5)) });
const params = ["a", "b", "c", "d", "e"];
const all = Uint32Array.from({ length: 12 }, (_, i) => i);

test("a graph is cut where one value is all that is needed, and its parts one after the other give its output", async () => {
  const model = open();
  const blocks = await model.blocks!({ params, data });
  expect(blocks.map((block) => block.params)).toEqual([["a", "b"], ["c", "d"], ["e"]]);
  const batch = await data.batch(all);
  const ctx = createRunContext();
  let x: Float32Array | Float64Array | undefined;
  for (const block of blocks) x = await block.run({ batch, ...(x ? { x } : {}) }, ctx);
  expect([...x!]).toEqual([...(await model.run!(batch, ctx))["z"]!.data]);
  const some = await model.blocks!({ params: ["c"], data });
  // What is in front of the first weight that is asked for belongs to its part.
  expect(some.map((block) => block.params)).toEqual([["c"]]);
});

test("parts of a graph of images, whose values are kept with channels last, give its output, too", async () => {
  const kernel = (name: string, ...shape: number[]): GraphTensor => ({
    ...{ name, dtype: "f64", shape },
    data: Float64Array.from({ length: shape.reduce((size, extent) => size * extent, 1) }, () => rng.normal()),
  });
  const images: GraphSpec = {
    name: "images",
    nodes: [
      node("Conv", ["x", "a"], "h"),
      node("Relu", ["h"], "r"),
      { ...node("Conv", ["r", "b"], "g"), attributes: { group: 3 } },
      node("Relu", ["g"], "s"),
      node("Flatten", ["s"], "f"),
      node("MatMul", ["f", "c"], "z"),
    ],
    initializers: [kernel("a", 3, 2, 2, 2), kernel("b", 6, 1, 2, 2), kernel("c", 36, 2)],
    inputs: [{ name: "x", dtype: "f64", shape: ["n", 2, 4, 5] }],
    outputs: [{ name: "z", dtype: "f64", shape: ["n", 2] }],
  };
  const model = createGraphModel({ graph: images, opsets: { "": 20 }, dtype: "f64" });
  const inputs = matrix(
    3,
    40,
    Float64Array.from({ length: 120 }, () => rng.normal()),
  );
  const some = arrayDataset({ inputs, inputShape: [2, 4, 5], values: matrix(3, 2, new Float64Array(6)) });
  const batch = await some.batch(Uint32Array.of(0, 1, 2));
  const ctx = createRunContext();
  const blocks = await model.blocks!({ params: ["a", "b", "c"], data: some });
  expect(blocks.map((block) => block.params)).toEqual([["a"], ["b"], ["c"]]);
  let x: Float32Array | Float64Array | undefined;
  for (const block of blocks) {
    const before = x;
    x = await block.run({ batch, ...(before ? { x: before } : {}) }, ctx);
    expect(await block.distance({ batch, ...(before ? { x: before } : {}), target: x }, ctx)).toBe(0);
  }
  expect([...x!]).toEqual([...(await model.run!(batch, ctx))["z"]!.data]);
});

test("a graph of a fixed number of examples gives the same parts, whatever is left over", async () => {
  const shapes = {
    inputs: [{ name: "x", dtype: "f64", shape: [5, 4] }],
    outputs: [{ name: "z", dtype: "f64", shape: [5, 3] }],
  };
  const fixed = createGraphModel({ graph: { ...residual, ...shapes }, opsets: { "": 20 }, dtype: "f64" });
  const batch = await data.batch(all);
  const ctx = createRunContext();
  const ends = [];
  for (const model of [open(), fixed]) {
    const [first, second] = await model.blocks!({ params, data });
    const x = await first!.run({ batch }, ctx);
    const gradients = new Map([["c", new Float64Array(20)]]);
    const distance = await second!.distance({ batch, x, target: new Float64Array(48), gradients }, ctx);
    ends.push({ x: [...x], distance, gradient: [...gradients.get("c")!] });
  }
  const [free, whole] = ends as [(typeof ends)[0], (typeof ends)[0]];
  expect(whole.x).toEqual(free.x);
  // Sums of the same numbers in pieces of five examples.
  expect(whole.distance).toBeCloseTo(free.distance, 10);
  for (const [i, value] of free.gradient.entries()) expect(whole.gradient[i]).toBeCloseTo(value, 10);
});

test("the gradient of a part's distance is that of differences", async () => {
  const model = open();
  const [, block] = await model.blocks!({ params, data });
  const batch = await data.batch(all.slice(0, 3));
  const ctx = createRunContext();
  const [x, target] = [X.data.slice(12, 24), X.data.slice(24, 36)];
  const gradients = new Map(["c", "d"].map((name) => [name, new Float64Array(20)]));
  const at = await block!.distance({ batch, x, target, gradients }, ctx);
  const y = await block!.run({ batch, x }, ctx);
  expect(at).toBeCloseTo(0.5 * Float64Array.from(y).reduce((sum, value, i) => sum + (value - target[i]!) ** 2, 0), 12);
  for (const name of ["c", "d"]) {
    for (const i of [0, 7, 19]) {
      const w = await model.read(name);
      const moved = async (step: number): Promise<number> => {
        const data = w.data.slice();
        data[i]! += step;
        await model.write(name, { ...w, data });
        return await block!.distance({ batch, x, target }, ctx);
      };
      const slope = ((await moved(1e-5)) - (await moved(-1e-5))) / 2e-5;
      await model.write(name, w);
      // Central differences of step 1e-5 are off by 1e-10 of the third derivative, and rounding by 1e-11.
      expect(gradients.get(name)![i]).toBeCloseTo(slope, 7);
    }
  }
});

test("a graph trains: the loss falls, zeros stay zeros, and a training that goes on gives the same bytes", async () => {
  const masks = new Map<string, Mask>([["c", Uint8Array.from({ length: 20 }, (_, i) => i % 2)]]);
  const states: RetrainingState[] = [];
  const run = async (resume?: RetrainingState): Promise<{ model: GraphModel; losses: number[] }> => {
    const model = open();
    const retrainer = createGraphRetrainer(model, { data, task: regression(), batchSize: 5 });
    expect(retrainer.stepsPerEpoch).toBe(3);
    const request = { epochs: 4, learningRate: () => 0.02, masks, ...(resume ? { resume } : {}) };
    const onEpoch = (state: RetrainingState): "go on" => {
      if (!resume) states.push(state);
      return "go on";
    };
    const end = await retrainer.retrain({ ...request, onEpoch }, createRunContext({ seed: 7 }));
    return { model, losses: end.epochs.map(({ loss }) => loss) };
  };
  const { model, losses } = await run();
  expect(losses).toHaveLength(4);
  expect(losses[3]).toBeLessThan(losses[0]!);
  expect([...model.weights.get("c")!.data].every((value, i) => (value === 0) === (i % 2 === 0))).toBe(true);
  expect([...model.written].sort()).toEqual(params);
  const resumed = await run(states[1]);
  expect(resumed.losses).toEqual(losses);
  for (const [name, { data: w }] of model.weights) expect(resumed.model.weights.get(name)!.data).toEqual(w);
  // All epochs are done: the weights come from the state alone, and are saved.
  const restored = await run(states[3]);
  expect([...restored.model.written].sort()).toEqual(params);
  for (const name of params) expect(restored.model.stored(name).data).toEqual(model.stored(name).data);
  const taken = open();
  await createGraphRetrainer(taken, { data }).restore(states[3]!.tensors);
  expect([...taken.written].sort()).toEqual(params);
  await expect(run({ ...states[1]!, tensors: [] })).rejects.toMatchObject({ code: "ERR_TRAINING_STATE" });
});

test("settings of training that mean nothing are refused", async () => {
  const model = open();
  for (const options of [{ batchSize: 0 }, { batchSize: -1 }, { weightDecay: Number.NaN }]) {
    expect(() => createGraphRetrainer(model, { data, ...options })).toThrow(
      expect.objectContaining({ code: "ERR_OPTION" }),
    );
  }
  const retrainer = createGraphRetrainer(model, { data, task: regression() });
  const request = { epochs: -1, learningRate: () => 0.1, masks: new Map() };
  await expect(retrainer.retrain(request, createRunContext())).rejects.toMatchObject({ code: "ERR_OPTION" });
});

test("a loss that leaves the finite numbers is the run's fault, a batch of which nothing counts the data's", async () => {
  const model = open();
  const own = regression();
  const trained = async (loss: Task["loss"], step: number): Promise<RetrainingState> => {
    const retrainer = createGraphRetrainer(model, { data, task: { ...own, loss }, optimizer: { kind: "sgd" } });
    return await retrainer.retrain({ epochs: 9, learningRate: () => step, masks: new Map() }, createRunContext());
  };
  await expect(trained((call) => own.loss(call), 1e300)).rejects.toMatchObject({
    code: "ERR_DIVERGED",
    fault: "runtime",
  });
  await expect(trained(() => ({ sum: 0, count: 0 }), 0.1)).rejects.toMatchObject({ code: "ERR_DATA_MISMATCH" });
});
