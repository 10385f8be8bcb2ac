import { describe, expect, test } from "vitest";
import { randomNumbers } from "../session.test-support.ts";
import { load } from "../session.ts";
import { lowerOnnx, type OnnxLikeGraph, type OnnxLikeNode, type OnnxLikeTensor } from "./lower-onnx.ts";
import type { DenseTensor, PackGraph } from "./pack-graph.ts";
import { packGraph } from "./pack-graph-file.ts";

const random = randomNumbers(3);
const tensor = (name: string, shape: readonly number[], data?: readonly number[]): OnnxLikeTensor => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return { name, dtype: "f32", shape, data: data ?? Float32Array.from({ length: size }, random) };
};
const whole = (name: string, data: readonly number[]): OnnxLikeTensor => ({
  name,
  dtype: "i64",
  shape: [data.length],
  data: data.map(BigInt),
});
const node = (
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: OnnxLikeNode["attributes"] = {},
): OnnxLikeNode => ({
  name: output,
  op,
  domain: "",
  inputs,
  outputs: [output],
  attributes,
});

/** A convolution, its normalisation, a branch, a flattening by arithmetic on shapes, a product with weights as [features, outputs]. */
const onnx: OnnxLikeGraph = {
  inputs: [{ name: "x", dtype: "f32", shape: ["n", 2, 6, 5] }],
  outputs: [{ name: "y" }],
  initializers: [
    tensor("w", [4, 2, 3, 3]),
    tensor("gamma", [4]),
    tensor("beta", [4]),
    tensor("mean", [4]),
    tensor("variance", [4], [1, 2, 0.5, 1.5]),
    tensor("v", [4, 4, 1, 1]),
    tensor("half", [], [0.5]),
    whole("zero", [0]),
    whole("rest", [-1]),
    tensor("m", [4 * 3 * 3, 3]),
    tensor("b", [3]),
  ],
  nodes: [
    node("Conv", ["x", "w"], "c", { pads: [1, 1, 1, 1], strides: [2, 2] }),
    node("BatchNormalization", ["c", "gamma", "beta", "mean", "variance"], "n", { epsilon: 1e-3 }),
    node("Relu", ["n"], "r"),
    node("Conv", ["r", "v"], "d"),
    node("Add", ["d", "r"], "s"),
    node("Mul", ["s", "half"], "h"),
    node("Shape", ["h"], "shape"),
    node("Gather", ["shape", "zero"], "batch"),
    node("Concat", ["batch", "rest"], "target", { axis: 0 }),
    node("Reshape", ["h", "target"], "f"),
    node("MatMul", ["f", "m"], "p"),
    node("Add", ["p", "b"], "o"),
    node("Softmax", ["o"], "y", { axis: 1 }),
  ],
};

/** The same network written down for the packer. */
function byHand(): PackGraph {
  const get = (name: string): DenseTensor => {
    const { shape, data } = onnx.initializers.find((held) => held.name === name)!;
    return { dims: shape, data: Float32Array.from(data as ArrayLike<number>) };
  };
  const m = get("m").data;
  const transposed = Float32Array.from(m, (_, i) => m[(i % 36) * 3 + Math.floor(i / 36)]!);
  const operator = (
    op: string,
    inputs: readonly string[],
    tensors: readonly string[],
    output: string,
    attributes = {},
  ) => ({
    ...{ op, name: output, inputs, tensors, output, attributes },
  });
  return {
    inputs: [{ name: "x", dims: ["batch", 2, 6, 5] }],
    outputs: [{ name: "y", dims: ["batch", 3] }],
    tensors: new Map([
      ...["w", "gamma", "beta", "mean", "variance", "v", "b"].map((name) => [name, get(name)] as const),
      ["half", { dims: [4], data: new Float32Array(4).fill(0.5) }],
      ["none", { dims: [4], data: new Float32Array(4) }],
      ["m", { dims: [3, 36], data: transposed }],
    ]),
    operators: [
      operator("Conv", ["x"], ["w"], "c", { pads: [1, 1, 1, 1], strides: [2, 2] }),
      operator("BatchNormalization", ["c"], ["gamma", "beta", "mean", "variance"], "n", { epsilon: 1e-3 }),
      operator("Relu", ["n"], [], "r"),
      operator("Conv", ["r"], ["v"], "d"),
      operator("Add", ["d", "r"], [], "s"),
      operator("ScaleShift", ["s"], ["half", "none"], "h"),
      operator("Flatten", ["h"], [], "f"),
      operator("Gemm", ["f"], ["m", "b"], "p"),
      operator("Softmax", ["p"], [], "y"),
    ],
  };
}

async function outputOf(graph: PackGraph, batch: number): Promise<Float32Array> {
  const session = await load((await packGraph(graph)).bytes, { batch });
  const data = Float32Array.from({ length: batch * 60 }, randomNumbers(8));
  return (await session.run({ x: { data, dims: [batch, 2, 6, 5] } }))["y"]!.data;
}

describe("an ONNX graph", () => {
  test.each([1, 3])("gives what the same operators give, for a batch of %i", async (batch) => {
    const [found, expected] = [await outputOf(lowerOnnx(onnx), batch), await outputOf(byHand(), batch)];
    expect(found).toHaveLength(3 * batch);
    // The bias joins the product in one and follows it in the other: a rounding in f32.
    found.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-6);
    });
  });

  test.each<[string, Partial<OnnxLikeGraph>, RegExp]>([
    ["an operator that is not here", { nodes: [node("LSTM", ["x"], "y")] }, /'y' \('LSTM'\).*no such operator/],
    ["one of another domain", { nodes: [{ ...node("Relu", ["x"], "y"), domain: "mine" }] }, /domain 'mine'/],
    ["weights that are computed", { nodes: [node("Conv", ["x", "x"], "y")] }, /weights are computed/],
    ["padding by name", { nodes: [node("Conv", ["x", "w"], "y", { auto_pad: "SAME_UPPER" })] }, /explicit pads/],
    ["open extents", { inputs: [{ name: "x", dtype: "f32", shape: ["n", 2, "h", 5] }] }, /extent 2 is left open/],
    [
      "whole numbers as input",
      { inputs: [{ name: "x", dtype: "i64", shape: [1, 4] }] },
      /it is of i64; the runtime takes f32/,
    ],
    ["channels that do not fit", { inputs: [{ name: "x", dtype: "f32", shape: [1, 3, 6, 5] }] }, /takes 2 channels/],
  ])("with %s is refused", (_, change, message) => {
    expect(() => lowerOnnx({ ...onnx, ...change })).toThrow(message);
  });
});
