import { expect, test } from "vitest";
import { decodeOnnx } from "./decode-onnx.ts";
import { modelBytes } from "./onnx.test-support.ts";
import { type OnnxRewriting, rewriteOnnx } from "./rewrite-onnx.ts";

const attribute = { name: "transB", type: 2, i: 1n };
const bytes = modelBytes({
  node: [
    {
      name: "a",
      opType: "Gemm",
      input: ["x", "w"],
      output: ["h"],
      attribute: [attribute, { name: "alpha", type: 1, f: 2 }],
    },
    { name: "b", opType: "Relu", input: ["h"], output: ["y"], docString: "kept" },
  ],
  input: [{ name: "x", type: { value: { case: "tensorType", value: { elemType: 1 } } } }],
  output: [{ name: "y" }],
  initializer: [
    { name: "w", dims: [2n, 2n], dataType: 1, floatData: [1, 2, 3, 4] },
    { name: "v", dims: [1n], dataType: 1, floatData: [7], docString: "kept too" },
  ],
  valueInfo: [{ name: "h" }],
});

test("a changed graph has new tensors, attributes and nodes, and what did not change as the file had it", () => {
  const { graph } = decodeOnnx(bytes, "m.onnx");
  const [gemm, relu] = graph.nodes;
  const [, v] = graph.initializers;
  const to: OnnxRewriting["to"] = {
    nodes: [
      { ...gemm!, outputs: ["p"], attributes: { ...gemm!.attributes, transB: 0 } },
      { name: "new", op: "Add", domain: "", inputs: ["p", "bias"], outputs: ["h"], attributes: {} },
      relu!,
    ],
    initializers: [
      { name: "w", dtype: "f32", shape: [1, 2], data: Float32Array.of(3, 4) },
      v!,
      { name: "bias", dtype: "f32", shape: [1], data: Float32Array.of(5) },
    ],
  };
  const written = rewriteOnnx(bytes, { from: graph, to }, "m.onnx");
  const after = decodeOnnx(written, "m.onnx").graph;
  // The float stays one although its value is whole.
  expect(after.nodes.map(({ op, inputs, outputs, attributes }) => ({ op, inputs, outputs, attributes }))).toEqual([
    { op: "Gemm", inputs: ["x", "w"], outputs: ["p"], attributes: { transB: 0, alpha: 2 } },
    { op: "Add", inputs: ["p", "bias"], outputs: ["h"], attributes: {} },
    { op: "Relu", inputs: ["h"], outputs: ["y"], attributes: {} },
  ]);
  expect(after.initializers.map(({ name, shape }) => [name, shape])).toEqual([
    ["w", [1, 2]],
    ["v", [1]],
    ["bias", [1]],
  ]);
  const text = new TextDecoder().decode(written);
  expect(text).toContain("kept");
  expect(text).toContain("kept too");
});

test("a graph of another file is refused", () => {
  const { graph } = decodeOnnx(bytes, "m.onnx");
  const from = { ...graph, nodes: graph.nodes.slice(1) };
  expect(() => rewriteOnnx(bytes, { from, to: graph }, "m.onnx")).toThrow(/m\.onnx/);
});
