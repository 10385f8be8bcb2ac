import { createRunContext } from "@secateur/core";
import { decodeOnnx, encodeOnnx } from "@secateur/formats";
import { createGraphModel, type GraphSpec } from "@secateur/graph";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import { decodePacked, load } from "@secateur/runtime";
import { type PackGraph, packGraph } from "@secateur/runtime/pack";
import { describe, expect, test } from "vitest";
import { networkGraph } from "../pack/network-graph.ts";
import { onnxOfPacked } from "./onnx-of-packed.ts";

const random = (seed: number, length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin(12.9898 * (i + 1) + seed));

const images: NetworkSpec = {
  name: "images",
  inputShape: [3, 8, 8],
  classes: 4,
  layers: [
    { kind: "conv2d", name: "c1", in: 3, out: 8, kernel: [3, 3], padding: 1, bias: false },
    { kind: "batch-norm", name: "b1", channels: 8 },
    { kind: "relu6" },
    { kind: "max-pool", size: 2 },
    { kind: "conv2d", name: "c2", in: 8, out: 8, kernel: [3, 3], padding: 1, groups: 8 },
    { kind: "silu" },
    { kind: "subsample-and-pad", stride: 2, channels: 12 },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 12, out: 4 },
    { kind: "log-softmax" },
  ],
};

/** Operators that networks of our own layers do not have. */
const tokens: PackGraph = {
  inputs: [{ name: "t", dims: ["batch", 6], whole: true }],
  outputs: [{ name: "y", dims: ["batch", 6, 5] }],
  operators: [
    { op: "Gather", name: "e", inputs: ["t"], tensors: ["table"], output: "e", attributes: {} },
    { op: "LayerNormalization", name: "n", inputs: ["e"], tensors: [], output: "n", attributes: {} },
    {
      op: "Gemm",
      name: "g",
      inputs: ["n"],
      tensors: ["w", "b"],
      output: "g",
      attributes: { activation: "HardSwish", scale: 2, shift: 1 },
    },
    { op: "Transpose", name: "r", inputs: ["g"], tensors: [], output: "r", attributes: { perm: [0, 2, 1] } },
    { op: "MatMul", name: "m", inputs: ["g", "r"], tensors: [], output: "m", attributes: {} },
    { op: "Constant", name: "k", inputs: [], tensors: ["mask"], output: "k", attributes: {} },
    { op: "Add", name: "a", inputs: ["m", "k"], tensors: [], output: "a", attributes: { activation: "Gelu" } },
    { op: "Softmax", name: "s", inputs: ["a"], tensors: [], output: "s", attributes: {} },
    { op: "ReduceSum", name: "z", inputs: ["s"], tensors: [], output: "z", attributes: {} },
    {
      op: "Slice",
      name: "c",
      inputs: ["s"],
      tensors: [],
      output: "c",
      attributes: { axis: [2], start: [4], count: [5], step: [-1] },
    },
    { op: "Sub", name: "y", inputs: ["c", "z"], tensors: [], output: "y", attributes: {} },
  ],
  tensors: new Map([
    ["table", { dims: [10, 8], data: random(1, 80) }],
    ["w", { dims: [8, 8], data: random(2, 64) }],
    ["b", { dims: [8], data: random(3, 8) }],
    ["mask", { dims: [6, 6], data: random(4, 36), exact: true }],
  ]),
};

describe("a packed network as an ONNX model", () => {
  const graphs: readonly [string, PackGraph][] = [
    ["of images", networkGraph(createNetwork(images, { seed: 3 }))],
    ["of tokens", tokens],
  ];
  const cases = graphs.flatMap(([name, graph]) =>
    (["f32", "f16", "int8", "int4"] as const).map((values) => [name, values, graph] as const),
  );

  // 1e-5 of the largest: f32 sums in another order; weights are the same numbers in both.
  test.each(cases)("%s with values as %s gives what the runtime gives", async (_name, values, graph) => {
    const { bytes } = await packGraph(graph, { values });
    const session = await load(bytes, { batch: 2 });
    const model = decodeOnnx(encodeOnnx(onnxOfPacked(await decodePacked(bytes))), "unpacked.onnx");
    const opened = createGraphModel({ graph: model.graph as GraphSpec, opsets: model.opsets });
    const [input] = session.inputNames as [string];
    const dims = session.dims[input]!;
    const size = dims.reduce((product, extent) => product * extent, 1);
    const data = graph === tokens ? Int32Array.from({ length: size }, (_, i) => (7 * i) % 10) : random(5, size);
    const own = await session.run({ [input]: { data, dims } });
    const given = graph === tokens ? BigInt64Array.from(data, BigInt) : data;
    const batch = { size: 2, inputs: { [input]: { shape: dims, data: given } } };
    const others = await opened.run!(batch as never, createRunContext());
    for (const [name, { data: found }] of Object.entries(own)) {
      const scale = found.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-30);
      found.forEach((value, i) => {
        expect(Math.abs(value - others[name]!.data[i]!)).toBeLessThanOrEqual(1e-5 * scale);
      });
    }
  });

  test("with values of 8 bits holds them as a byte each, with a scale an output", async () => {
    const { bytes } = await packGraph(tokens, { values: "int8" });
    const { graph } = onnxOfPacked(await decodePacked(bytes));
    const weight = graph.initializers.find(({ name }) => name === "w")!;
    expect(weight.dtype).toBe("i8");
    expect(Math.max(...(weight.data as Int8Array).map(Math.abs))).toBe(127);
    expect(graph.nodes.filter(({ op }) => op === "DequantizeLinear")).toHaveLength(2);
    expect(graph.initializers.find(({ name }) => name === "mask")!.dtype).toBe("f32");
  });
});
