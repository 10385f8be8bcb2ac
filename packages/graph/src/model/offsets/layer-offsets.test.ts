import { arrayDataset, createRunContext, matrix } from "@secateur/core";
import { expect, test } from "vitest";
import type { GraphSpec, GraphTensor, NodeSpec } from "../../graph-spec.ts";
import { createGraphModel } from "../graph-model.ts";

const node = (op: string, inputs: string[], output: string, attributes: NodeSpec["attributes"] = {}): NodeSpec => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes },
});
const wave = (name: string, ...shape: number[]): GraphTensor => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return { name, dtype: "f64", shape, data: Float64Array.from({ length: size }, (_, i) => Math.sin(1.7 * i + 1)) };
};
const ones = (name: string): GraphTensor => ({ name, dtype: "f64", shape: [3], data: Float64Array.of(1, 1, 1) });

/** A convolution with a normalisation, one that it was folded into, and one whose output goes two ways. */
const graph: GraphSpec = {
  name: "offsets",
  nodes: [
    node("Conv", ["x", "w1"], "h1"),
    node("BatchNormalization", ["h1", "scale", "shift", "mean", "variance"], "n1"),
    node("Conv", ["n1", "w2", "b2"], "h2"),
    node("Relu", ["h2"], "a2"),
    node("Conv", ["a2", "w3"], "h3"),
    node("BatchNormalization", ["h3", "scale3", "shift3", "mean3", "variance3"], "n3"),
    node("Add", ["n3", "h3"], "sum"),
    node("Flatten", ["sum"], "flat"),
    node("Gemm", ["flat", "d"], "y"),
  ],
  initializers: [
    ...[wave("w1", 3, 2, 2, 2), wave("w2", 3, 3, 2, 2), wave("b2", 3), wave("w3", 3, 3, 2, 2), wave("d", 3, 2)],
    ...["scale", "shift", "mean", "variance", "scale3", "shift3", "mean3", "variance3"].map(ones),
  ],
  inputs: [{ name: "x", dtype: "f64", shape: ["batch", 2, 4, 4] }],
  outputs: [{ name: "y", dtype: "f64", shape: ["batch", 2] }],
};
const data = arrayDataset({
  inputs: matrix(
    5,
    32,
    Float64Array.from({ length: 160 }, (_, i) => Math.cos(0.9 * i)),
  ),
  labels: Uint32Array.of(0, 1, 0, 1, 0),
  inputShape: [2, 4, 4],
});
const open = () => createGraphModel({ graph, opsets: { "": 17 }, dtype: "f64", corrects: true });
const request = { data, params: ["w1", "w2", "w3", "d"], examples: Uint32Array.of(0, 1, 2, 3, 4) };

test("layers name the statistics behind them: of a normalisation, of one folded in, of none whose input goes elsewhere too", async () => {
  const model = open();
  const offsets = new Map<string, unknown>();
  for await (const { targets } of model.layerInputs!({ ...request, inputs: "sequential" }, createRunContext())) {
    for (const { param, offset } of targets) offsets.set(param, offset);
  }
  const names = (value: string) => ({
    statistics: { mean: `${value}.running_mean`, variance: `${value}.running_var` },
  });
  expect(Object.fromEntries(offsets)).toEqual({ w1: names("n1"), w2: names("h2"), w3: undefined, d: undefined });
  expect([...(await model.read("n1.running_mean")).data]).toEqual([1, 1, 1]);
  expect([...(await model.read("h2.running_mean")).data]).toEqual([0, 0, 0]);
  await model.write("n1.running_mean", matrix(3, 1, Float64Array.of(2, 3, 4)));
  expect([...model.changedOffsets().values()].map((values) => [...values])).toEqual([[2, 3, 4]]);
  await expect(model.write("n1.running_mean", matrix(2, 1, new Float64Array(2)))).rejects.toThrow(/2 x 1/);
});

test("statistics written on the way are seen by later layers of sequential inputs, and not by those of parallel ones", async () => {
  const inputsOf = async (inputs: "sequential" | "parallel", isWriting: boolean): Promise<readonly number[]> => {
    const model = open();
    const seen: number[] = [];
    for await (const { targets, chunks } of model.layerInputs!({ ...request, inputs }, createRunContext())) {
      for await (const chunk of chunks) if (targets[0]!.param === "w2") seen.push(...chunk.data);
      if (isWriting && targets[0]!.param === "w1") {
        await model.write("n1.running_mean", matrix(3, 1, Float64Array.of(5, 5, 5)));
      }
    }
    return seen;
  };
  const before = await inputsOf("sequential", false);
  expect(await inputsOf("parallel", true)).toEqual(before);
  const after = await inputsOf("sequential", true);
  // The scale is 1 over sqrt(1 + 1e-5), and 4 more are taken off.
  after.forEach((value, i) => void expect(value).toBeCloseTo(before[i]! - 4 / Math.sqrt(1 + 1e-5), 12));
});

test("biases are what is added to the outputs of one weight alone: of a Conv, a plain Gemm, an Add behind a product", async () => {
  const biased: GraphSpec = {
    ...{ name: "biases", outputs: [{ name: "y", dtype: "f64", shape: ["batch", 1] }] },
    inputs: [{ name: "x", dtype: "f64", shape: ["batch", 2, 4, 4] }],
    nodes: [
      node("Conv", ["x", "w1", "b1"], "h1"),
      node("BatchNormalization", ["h1", "scale", "shift", "mean", "variance"], "n1"),
      node("Flatten", ["n1"], "flat"),
      node("MatMul", ["flat", "w2"], "h2"),
      node("Add", ["b2", "h2"], "a2"),
      node("Gemm", ["a2", "w3", "b3"], "h3"),
      // Scaled, used twice, and not behind the product alone.
      node("Gemm", ["h3", "w4", "b4"], "h4", { alpha: 2 }),
      node("Gemm", ["h4", "w5", "shared"], "h5"),
      node("MatMul", ["h5", "w6"], "h6"),
      node("Add", ["h6", "shared"], "a6"),
      node("Mul", ["a6", "h6"], "m6"),
      node("MatMul", ["m6", "w7"], "h7"),
      node("Add", ["h7", "b7"], "y"),
    ],
    initializers: [
      ...[wave("w1", 3, 2, 2, 2), wave("b1", 3), wave("w2", 27, 4), wave("b2", 1, 4), wave("w3", 4, 3), wave("b3", 3)],
      ...[wave("w4", 3, 3), wave("b4", 3), wave("w5", 3, 3), wave("shared", 3), wave("w6", 3, 3), wave("w7", 3, 1)],
      ...[wave("b7", 1), ...["scale", "shift", "mean", "variance"].map(ones)],
    ],
  };
  const model = createGraphModel({ graph: biased, opsets: { "": 17 }, dtype: "f64" });
  const params = ["w1", "w2", "w3", "w4", "w5", "w6", "w7"];
  const offsets = new Map<string, unknown>();
  for await (const { targets } of model.layerInputs!({ ...request, params, inputs: "parallel" }, createRunContext()))
    for (const { param, offset } of targets) offsets.set(param, offset);
  const statistics = { mean: "n1.running_mean", variance: "n1.running_var" };
  expect(Object.fromEntries(offsets)).toEqual({
    ...{ w1: { bias: "b1", statistics }, w2: { bias: "b2" }, w3: { bias: "b3" }, w4: undefined },
    ...{ w5: undefined, w6: undefined, w7: { bias: "b7" } },
  });
  const batch = await data.batch(Uint32Array.of(0, 1));
  const before = (await model.run!(batch, createRunContext()))["y"]!.data.slice();
  await model.write("b7", matrix(1, 1, Float64Array.of((wave("b7", 1).data![0] as number) + 2)));
  const after = (await model.run!(batch, createRunContext()))["y"]!.data;
  // The plan, made before, reads the bias as it is now.
  after.forEach((value, i) => void expect(value - before[i]!).toBeCloseTo(2, 12));
  expect([...model.changedOffsets().keys()].map(({ name }) => name)).toEqual(["b7"]);
  expect(model.written.size).toBe(0);
});
