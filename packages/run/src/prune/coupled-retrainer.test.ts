import { arrayDataset, createRng, createRunContext, matrix, type Vec } from "@secateur/core";
import { createGraphModel, createGraphRetrainer, type GraphSpec, type GraphTensor } from "@secateur/graph";
import { createNetwork, createRetrainer, type NetworkSpec } from "@secateur/nn";
import { expect, test } from "vitest";
import { coupledModel } from "./coupled-model.ts";
import type { ChannelSet } from "./coupled-places.ts";

const spec: NetworkSpec = {
  name: "sum",
  inputShape: [4],
  classes: 3,
  layers: [
    { kind: "dense", name: "a", in: 4, out: 3 },
    { kind: "relu", name: "r" },
    { kind: "dense", name: "b", in: 3, out: 3 },
    { kind: "add", inputs: ["r", "b"] },
    { kind: "dense", name: "c", in: 3, out: 3 },
    { kind: "log-softmax" },
  ],
};
const each = (count: number): Uint32Array[] => Array.from({ length: count }, (_, g) => Uint32Array.of(g));
const sets: readonly ChannelSet[] = [
  {
    ...{ name: "a.weight+1", count: 3 },
    members: ["a.weight", "b.weight"].map((param) => ({ param, rows: each(3) })),
    offsets: ["a.bias", "b.bias"].map((name) => ({ name, places: each(3) })),
  },
];
const rng = createRng(8);
const inputs = matrix(
  30,
  4,
  Float32Array.from({ length: 120 }, () => rng.normal()),
);
const data = arrayDataset({ inputs, labels: Array.from({ length: 30 }, (_, i) => i % 3), classes: 3 });
const group = "a.weight+1";

/** A network with its groups, and a step that prunes group 1. */
async function opened() {
  const own = createNetwork(spec, { seed: 4 });
  own.weights.get("a.bias")!.data.fill(0.3);
  own.weights.get("b.bias")!.data.fill(-0.2);
  const { model, wrapRetrainer } = await coupledModel(own, sets);
  const whole = await model.read(group);
  const mask = Uint8Array.from(whole.data, (_, i) => (Math.floor(i / 7) === 1 ? 0 : 1));
  const pruned = { ...whole, data: whole.data.map((x: number, i: number) => x * mask[i]!) as Vec };
  const retrainer = wrapRetrainer(createRetrainer(own, { data, batchSize: 10 }));
  const bias = (): number[] => ["a.bias", "b.bias"].flatMap((name) => [...own.weights.get(name)!.data]);
  return { own, model, whole, mask, pruned, retrainer, bias };
}

test("training with masks of groups leaves what is gone at zero, weights and biases, and moves everything else", async () => {
  const { own, model, mask, pruned, retrainer, bias } = await opened();
  await model.write(group, pruned);
  const others = own.weights.get("c.weight")!.data.slice();
  await retrainer.retrain({ epochs: 2, learningRate: () => 0.1, masks: new Map([[group, mask]]) }, createRunContext());
  const after = await model.read(group);
  after.data.forEach((value: number, i: number) => {
    if (mask[i] === 0) expect(value).toBe(0);
    else expect(value).not.toBe(pruned.data[i]);
  });
  const biases = bias();
  expect([biases[1], biases[4]]).toEqual([0, 0]);
  expect(biases[0]).not.toBe(Math.fround(0.3));
  expect(own.weights.get("c.weight")!.data.every((x: number, i: number) => x !== others[i])).toBe(true);
});

test("weights that are written after a training keep the biases that it made, and a group that comes back has the dense network's", async () => {
  const { model, mask, pruned, whole, retrainer, bias } = await opened();
  await model.write(group, pruned);
  await retrainer.retrain({ epochs: 1, learningRate: () => 0.1, masks: new Map([[group, mask]]) }, createRunContext());
  const trained = bias();
  const state = retrainer.capture();
  await model.write(group, await model.read(group));
  expect(bias()).toEqual(trained);
  await model.write(group, whole);
  expect(bias()).toEqual(trained.map((x, i) => (i === 1 ? Math.fround(0.3) : i === 4 ? Math.fround(-0.2) : x)));
  // Another run that takes the state up knows the same.
  const other = await opened();
  await other.retrainer.restore(state);
  expect(other.bias()).toEqual(trained);
  await other.model.write(group, whole);
  expect(other.bias()).toEqual(bias());
});

test("biases of an ONNX graph, which train beside its weights, stay at zero where their group is gone, and are kept otherwise", async () => {
  const tensor = (name: string, ...shape: number[]): GraphTensor => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return { name, dtype: "f32", shape, data: Float32Array.from({ length: size }, () => rng.normal()) };
  };
  const node = (op: string, inputs: string[], output: string) => ({
    ...{ name: output, op, domain: "", inputs, outputs: [output] },
    attributes: op === "Gemm" ? { transB: 1 } : {},
  });
  // The slope of a sigmoid is nowhere 0, so a channel whose weights are gone would train its bias.
  const graph: GraphSpec = {
    name: "g",
    nodes: [node("Gemm", ["x", "a", "ab"], "h"), node("Sigmoid", ["h"], "s"), node("Gemm", ["s", "c", "cb"], "y")],
    initializers: [tensor("a", 3, 4), tensor("ab", 3), tensor("c", 3, 3), tensor("cb", 3)],
    inputs: [{ name: "x", dtype: "f32", shape: ["n", 4] }],
    outputs: [{ name: "y", dtype: "f32", shape: ["n", 3] }],
  };
  const opened = createGraphModel({ graph, opsets: { "": 17 } });
  const own = { ...opened, evaluate: opened.evaluate! };
  const inAll: readonly ChannelSet[] = [
    { name: "a", count: 3, members: [{ param: "a", rows: each(3) }], offsets: [{ name: "ab", places: each(3) }] },
  ];
  const { model, wrapRetrainer } = await coupledModel(own, inAll);
  const retrainer = wrapRetrainer(createGraphRetrainer(own, { data, batchSize: 10 }));
  const whole = await model.read("a");
  const dense = await own.read("ab");
  const mask = Uint8Array.from(whole.data, (_, i) => (Math.floor(i / 4) === 1 ? 0 : 1));
  await model.write("a", { ...whole, data: whole.data.map((x: number, i: number) => x * mask[i]!) as Vec });
  await retrainer.retrain({ epochs: 2, learningRate: () => 0.05, masks: new Map([["a", mask]]) }, createRunContext());
  const trained = await own.read("ab");
  expect(trained.data[1]).toBe(0);
  for (const i of [0, 2]) expect(trained.data[i]).not.toBe(dense.data[i]);
  await model.write("a", await model.read("a"));
  expect([...(await own.read("ab")).data]).toEqual([...trained.data]);
});
