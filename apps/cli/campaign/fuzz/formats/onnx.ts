import assert from "node:assert/strict";
import { createRunContext } from "@secateur/core";
import {
  decodeOnnx,
  encodeOnnx,
  type NewOnnxModel,
  onnxTensors,
  replaceOnnxTensors,
  type Tensor,
} from "@secateur/formats";
import { createGraphModel } from "@secateur/graph";
import type { FuzzFormat } from "../fuzz-format.ts";
import { oneOf } from "../mutate-bytes.ts";
import { mutateProtobuf } from "../mutate-protobuf.ts";

type Graph = NewOnnxModel["graph"];

const floats = (name: string, ...shape: readonly number[]): Graph["initializers"][number] => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return { name, dtype: "f32", shape, data: Float32Array.from({ length: size }, (_, i) => Math.sin(i)) };
};
const wholes = (name: string, ...values: readonly number[]): Graph["initializers"][number] => {
  return { name, dtype: "i64", shape: [values.length], data: BigInt64Array.from(values, BigInt) };
};
const node = (
  op: string,
  [inputs, output]: readonly [inputs: readonly string[], output: string],
  attributes: Graph["nodes"][number]["attributes"] = {},
): Graph["nodes"][number] => ({ name: output, op, domain: "", inputs, outputs: [output], attributes });

const file = (graph: Omit<Graph, "name" | "outputs">, shape: readonly (number | string)[]): Uint8Array =>
  encodeOnnx({
    opsets: { "": 17 },
    metadata: { note: "x" },
    graph: { name: "g", outputs: [{ name: "y", dtype: "f32", shape }], ...graph },
  });

/** Dense layers, as most exporters write them. */
const dense = file(
  {
    inputs: [{ name: "x", dtype: "f32", shape: ["batch", 4] }],
    initializers: [floats("w1", 5, 4), floats("b1", 5), floats("w2", 5, 3), wholes("shape", -1, 3)],
    nodes: [
      { ...node("Gemm", [["x", "w1", "b1"], "h"], { alpha: 1, transB: 1 }), floats: ["alpha"] },
      node("Relu", [["h"], "r"]),
      node("MatMul", [["r", "w2"], "m"]),
      node("Reshape", [["m", "shape"], "s"]),
      node("Softmax", [["s"], "y"], { axis: 1 }),
    ],
  },
  ["batch", 3],
);

/** A convolution with shape arithmetic behind it. */
const convolution = file(
  {
    inputs: [{ name: "x", dtype: "f32", shape: ["batch", 1, 6, 6] }],
    initializers: [floats("k", 3, 1, 3, 3), floats("w", 12, 2), wholes("zero", 0), wholes("rest", -1)],
    nodes: [
      node("Conv", [["x", "k"], "c"], { kernel_shape: [3, 3], strides: [1, 1], pads: [0, 0, 0, 0], group: 1 }),
      node("MaxPool", [["c"], "p"], { kernel_shape: [2, 2], strides: [2, 2] }),
      node("Shape", [["p"], "sizes"]),
      node("Gather", [["sizes", "zero"], "batch"], { axis: 0 }),
      node("Concat", [["batch", "rest"], "flat"], { axis: 0 }),
      node("Reshape", [["p", "flat"], "f"]),
      node("MatMul", [["f", "w"], "y"]),
    ],
  },
  ["batch", 2],
);

/** Bytes of the inputs that are fed, and with them of what a run may make. */
const MAX_INPUT = 4096;

/** Messages changed with their lengths kept true, and bytes changed; what is read is opened, run and written. */
export const onnx: FuzzFormat = {
  name: "onnx",
  corpus: [dense, convolution],
  mutate: (rng) => mutateProtobuf(rng, oneOf(rng, [dense, convolution])),
  async read(bytes) {
    const { graph, opsets } = decodeOnnx(bytes, "net.onnx");
    const tensors = onnxTensors(graph);
    const read = tensors.filter((tensor): tensor is Extract<typeof tensor, { data: unknown }> => "data" in tensor);
    const changes = new Map<string, Tensor>(read.slice(0, 1).map((tensor) => [tensor.place, tensor]));
    // Written as it was: not a byte differs.
    if (changes.size > 0 && !read[0]!.external) {
      const { graph: again } = decodeOnnx(replaceOnnxTensors(bytes, changes, "net.onnx"), "again");
      assert.equal(onnxTensors(again).length, tensors.length);
    }
    const total = read.reduce((sum, { data }) => sum + data.byteLength, 0);
    const model = createGraphModel({ graph, opsets, name: "net" });
    const inputs = graph.inputs.map(({ name, shape = [] }) => {
      const dims = shape.slice(1).map((extent) => (typeof extent === "number" ? extent : 1));
      return { name, dims, size: dims.reduce((product, extent) => product * extent, 1) };
    });
    if (!model.run || inputs.length !== 1 || !(inputs[0]!.size > 0 && inputs[0]!.size <= MAX_INPUT)) return total;
    const { name, dims, size } = inputs[0]!;
    const data = new Float32Array(2 * size).fill(0.5);
    const outputs = await model.run({ size: 2, inputs: { [name]: { shape: [2, ...dims], data } } }, createRunContext());
    return total + Object.values(outputs).reduce((sum, output) => sum + output.data.byteLength, 0);
  },
};
