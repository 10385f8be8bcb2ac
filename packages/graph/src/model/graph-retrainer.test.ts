import {
  createRng,
  createRunContext,
  type Dataset,
  type RetrainingState,
  regression,
  tensorDataset,
} from "@secateur/core";
import { expect, test } from "vitest";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { createGraphModel, type GraphModel } from "./graph-model.ts";
import { createGraphRetrainer } from "./graph-retrainer.ts";

const node = (op: string, inputs: string[], output: string, attributes: NodeSpec["attributes"] = {}): NodeSpec => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes },
});
const rng = createRng("biases");
const tensor = (name: string, ...shape: number[]): GraphTensor => ({
  ...{ name, dtype: "f64", shape },
  data: Float64Array.from({ length: shape.reduce((size, extent) => size * extent, 1) }, () => rng.normal()),
});

/** A bias of each kind: of a convolution in two groups, of an Add behind a product, of a Gemm. */
const graph: GraphSpec = {
  name: "biased",
  nodes: [
    node("Conv", ["x", "conv", "conv bias"], "h", { group: 2, strides: [2, 1] }),
    node("Tanh", ["h"], "t"),
    node("Flatten", ["t"], "f"),
    node("MatMul", ["f", "product"], "p"),
    node("Add", ["product bias", "p"], "q"),
    node("Tanh", ["q"], "u"),
    node("Gemm", ["u", "dense", "dense bias"], "y", { transB: 1 }),
  ],
  initializers: [
    ...[tensor("conv", 4, 1, 2, 2), tensor("conv bias", 4), tensor("product", 16, 3), tensor("product bias", 3)],
    ...[tensor("dense", 2, 3), tensor("dense bias", 2)],
  ],
  inputs: [{ name: "x", dtype: "f64", shape: ["n", 2, 4, 3] }],
  outputs: [{ name: "y", dtype: "f64", shape: ["n", 2] }],
};
const biases = ["conv bias", "product bias", "dense bias"];
const size = 6;
const data: Dataset = tensorDataset({
  inputs: { x: { shape: [size, 2, 4, 3], data: Float64Array.from({ length: size * 24 }, () => rng.normal()) } },
  targets: { values: { shape: [size, 2], data: new Float32Array(2 * size).fill(0.5) } },
});
const task = regression();
const examples = Uint32Array.from({ length: size }, (_, i) => i);
const open = (): GraphModel => createGraphModel({ graph, opsets: { "": 17 }, dtype: "f64" });

test("the mean gradient of biases is what differences of the loss give, behind that of the weights", async () => {
  const model = open();
  const ctx = createRunContext();
  expect([...model.biases.keys()]).toEqual(biases);
  const asked = { params: [...biases, "dense"], data, examples, task };
  const { gradient, count = size } = await model.meanGradient!(asked, ctx);
  const alone = await model.meanGradient!({ params: ["dense"], data, examples, task }, ctx);
  expect(gradient.slice(0, 6)).toEqual(alone.gradient);
  let at = 6;
  for (const name of biases) {
    const bias = await model.read(name);
    for (let i = 0; i < bias.rows; i++, at++) {
      const moved = async (step: number): Promise<number> => {
        const changed = bias.data.slice();
        changed[i]! += step;
        await model.write(name, { ...bias, data: changed });
        return (await model.evaluate!(data, ctx, { task })).loss;
      };
      // The loss is the mean over all numbers, the gradient that of sums over an example's.
      const slope = (((await moved(1e-5)) - (await moved(-1e-5))) / 2e-5) * (count / size);
      await model.write(name, bias);
      // Central differences of step 1e-5 are off by 1e-10 of the third derivative, and rounding by 1e-11.
      expect(gradient[at]).toBeCloseTo(slope, 7);
    }
  }
  expect(at).toBe(gradient.length);
});

test("biases train with the weights, from what they were fitted to, and a training that goes on finds them", async () => {
  const fitted = async (): Promise<GraphModel> => {
    const model = open();
    const bias = await model.read("conv bias");
    await model.write("conv bias", { ...bias, data: bias.data.map((value: number) => value + 3) as typeof bias.data });
    return model;
  };
  const states: RetrainingState[] = [];
  const train = async (model: GraphModel, rate: number, resume?: RetrainingState): Promise<void> => {
    const request = { epochs: 3, learningRate: () => rate, masks: new Map(), ...(resume ? { resume } : {}) };
    const onEpoch = (state: RetrainingState): "go on" => {
      states.push(state);
      return "go on";
    };
    const retrainer = createGraphRetrainer(model, { data, task, batchSize: 2, weightDecay: 0.1 });
    await retrainer.retrain({ ...request, onEpoch }, createRunContext({ seed: 1 }));
  };
  const still = await fitted();
  const before = new Map([...still.biases].map(([name, { data: b }]) => [name, [...b]]));
  await train(still, 0);
  for (const [name, { data: b }] of still.biases) expect([...b]).toEqual(before.get(name));
  states.length = 0;
  const model = await fitted();
  await train(model, 0.01);
  for (const [name, { data: b }] of model.biases) {
    // Nine steps of Adam go a hundredth each at most: from the fitted bias, not from that of the file.
    const moved = [...b].map((value, i) => Math.abs(value - before.get(name)![i]!));
    expect(Math.max(...moved)).toBeLessThan(0.1);
    expect(Math.min(...moved)).toBeGreaterThan(0);
  }
  expect([...model.changedOffsets().keys()].map(({ name }) => name).sort()).toEqual([...biases].sort());
  // The file once more, and what was saved after its first epoch.
  const other = open();
  await train(other, 0.01, states[0]!);
  for (const [name, { data: b }] of model.biases) expect(other.biases.get(name)!.data).toEqual(b);
});

test("a bias stays zero where its mask says so, and what is left of it trains", async () => {
  const model = open();
  const masks = new Map([
    ["conv", Uint8Array.from({ length: 16 }, (_, i) => (i < 4 ? 0 : 1))],
    ["conv bias", Uint8Array.of(0, 1, 1, 0)],
  ]);
  const before = [...model.biases.get("conv bias")!.data];
  const retrainer = createGraphRetrainer(model, { data, task, batchSize: 3 });
  await retrainer.retrain({ epochs: 2, learningRate: () => 0.01, masks }, createRunContext());
  const after = [...model.biases.get("conv bias")!.data];
  expect([after[0], after[3]]).toEqual([0, 0]);
  expect([...model.weights.get("conv")!.data].slice(0, 4)).toEqual([0, 0, 0, 0]);
  for (const i of [1, 2]) expect(after[i]).not.toBe(before[i]);
});

test("what a training saves holds statistics and biases of hidden units, which follow a pruning and are trained by nothing", async () => {
  const vector = (name: string, shape: readonly number[], at: number) => {
    const length = shape.reduce((product, extent) => product * extent, 1);
    return {
      name,
      dtype: "f32",
      shape,
      data: Float32Array.from({ length }, (_, i) => 0.3 + 0.1 * Math.abs(Math.sin(i + at))),
    };
  };
  const node = (op: string, inputs: readonly string[], output: string, attributes = {}) => {
    return { name: output, op, domain: "", inputs, outputs: [output], attributes };
  };
  const opened = (): GraphModel =>
    createGraphModel({
      graph: {
        name: "recurrent",
        nodes: [
          node("BatchNormalization", ["x", "scale", "shift", "mean", "variance"], "n"),
          node("Transpose", ["n"], "t", { perm: [2, 0, 1] }),
          node("LSTM", ["t", "w", "r", "b"], "h", { hidden_size: 2 }),
          node("ReduceMean", ["h"], "y", { axes: [0, 1], keepdims: 0 }),
        ],
        initializers: [
          ...["scale", "shift", "mean", "variance"].map((name, i) => vector(name, [3], i)),
          ...[vector("w", [1, 8, 3], 4), vector("r", [1, 8, 2], 5), vector("b", [1, 16], 6)],
        ],
        inputs: [{ name: "x", dtype: "f32", shape: ["batch", 3, 4] }],
        outputs: [{ name: "y", dtype: "f32", shape: ["batch", 2] }],
      },
      opsets: { "": 13 },
    });
  const model = opened();
  const names = [...model.numbers.keys()].filter((name) => !model.weights.has(name));
  expect(names).toHaveLength(3);
  for (const name of names) {
    const read = await model.read(name);
    await model.write(name, { ...read, data: read.data.map((x: number) => x + 1) as typeof read.data });
  }
  const saved = createGraphRetrainer(model, { data, task }).capture();
  expect(saved.map(({ name }) => name)).toEqual(expect.arrayContaining(names));
  const other = opened();
  await createGraphRetrainer(other, { data, task }).restore(saved);
  for (const name of names) expect((await other.read(name)).data).toEqual((await model.read(name)).data);
  // Groups of channels mask those biases too, which stay what they are.
  const recurrent = tensorDataset({
    inputs: { x: { shape: [size, 3, 4], data: Float32Array.from({ length: size * 12 }, () => rng.normal()) } },
    targets: { values: { shape: [size, 2], data: new Float32Array(2 * size).fill(0.5) } },
  });
  const [before, trained] = [(await other.read("b")).data.slice(), (await other.read("w")).data.slice()];
  const masks = new Map([["b", Uint8Array.from({ length: 16 }, (_, i) => i % 2)]]);
  const rest = { epochs: 1, learningRate: () => 0.01 };
  await createGraphRetrainer(other, { data: recurrent, task }).retrain({ ...rest, masks }, createRunContext());
  expect((await other.read("b")).data).toEqual(before);
  expect((await other.read("w")).data).not.toEqual(trained);
});
