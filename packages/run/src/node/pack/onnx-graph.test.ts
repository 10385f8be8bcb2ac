import { expect, test } from "vitest";
import { onnxPackGraph } from "./onnx-graph.ts";

/** y = x + z, of extents that are told. */
const model = {
  source: "sum.onnx",
  opsets: { "": 13 },
  graph: {
    name: "sum",
    initializers: [],
    inputs: ["x", "z"].map((name) => ({ name, dtype: "f32", shape: [1, null] })),
    outputs: [{ name: "y", dtype: "f32", shape: [1, null] }],
    nodes: [{ name: "", op: "Add", domain: "", inputs: ["x", "z"], outputs: ["y"], attributes: {} }],
  },
} as const;
const choices = (extent: number) => ({
  shapes: new Map([
    ["x", [1, 4]],
    ["z", [1, extent]],
  ]),
  fixed: new Map([["z", 3]]),
});

test("a fixed input is a constant of the extents that are told, and no larger than memory should hold", () => {
  const { graph } = onnxPackGraph(model, choices(4));
  expect(graph.inputs.map(({ name, dims }) => [name, dims])).toEqual([["x", [1, 4]]]);
  expect([...graph.tensors.values()].map(({ data }) => [...data])).toContainEqual([3, 3, 3, 3]);
  const huge = (): unknown => onnxPackGraph(model, choices(1e9));
  expect(huge).toThrow(expect.objectContaining({ code: "ERR_GRAPH_INPUT" }));
});
