import { createRunContext, type LayerInputs, tensorDataset } from "@secateur/core";
import { expect, test } from "vitest";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { createGraphModel } from "./graph-model.ts";

const node = (op: string, inputs: string[], output: string): NodeSpec => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes: {} },
});
const weight = (name: string, ...data: number[]): GraphTensor => ({
  ...{ name, dtype: "f64", shape: [2, 2], data: Float64Array.from(data) },
});
const graph: GraphSpec = {
  name: "chain",
  nodes: [node("MatMul", ["x", "first"], "h"), node("Sqrt", ["h"], "s"), node("MatMul", ["s", "second"], "y")],
  initializers: [weight("first", 1, 0, 0, 1), weight("second", 1, 2, 3, 4)],
  inputs: [{ name: "x", dtype: "f64", shape: ["n", 2] }],
  outputs: [{ name: "y", dtype: "f64", shape: ["n", 2] }],
};

test("a NaN on the way is named with the weight that sees it and the example that it comes from", async () => {
  // The root of a negative number, in the example of index 6 alone.
  const inputs = Float64Array.from({ length: 16 }, (_, i) => (i === 13 ? -1 : i));
  const data = tensorDataset({ inputs: { x: { shape: [8, 2], data: inputs } }, targets: {} });
  const model = createGraphModel({ graph, opsets: { "": 17 }, dtype: "f64" });
  const take = async (examples: Uint32Array): Promise<readonly string[]> => {
    const seen: string[] = [];
    const request = { params: ["first", "second"], data, examples, inputs: "sequential" } as const;
    const entries: AsyncIterable<LayerInputs> = model.layerInputs!(request, createRunContext());
    for await (const { targets, chunks } of entries) {
      for await (const { rows } of chunks) seen.push(`${targets[0]!.param} ${rows}`);
    }
    return seen;
  };
  expect(await take(Uint32Array.of(5, 7))).toEqual(["first 2", "second 2"]);
  await expect(take(Uint32Array.of(2, 6, 7))).rejects.toMatchObject({
    code: "ERR_NOT_FINITE",
    message: expect.stringMatching(/'second' for example 6/),
  });
});

test("windows of a convolution are counted beforehand, those of every group", async () => {
  const conv: GraphSpec = {
    name: "windows",
    nodes: [{ ...node("Conv", ["x", "w"], "y"), attributes: { group: 2, strides: [2, 1] } }],
    initializers: [
      { name: "w", dtype: "f64", shape: [2, 1, 2, 2], data: Float64Array.from({ length: 8 }, (_, i) => i) },
    ],
    inputs: [{ name: "x", dtype: "f64", shape: ["n", 2, 5, 4] }],
    outputs: [{ name: "y", dtype: "f64", shape: ["n", 2, 2, 3] }],
  };
  const inputs = Float64Array.from({ length: 3 * 40 }, (_, i) => i);
  const data = tensorDataset({ inputs: { x: { shape: [3, 2, 5, 4], data: inputs } }, targets: {} });
  const model = createGraphModel({ graph: conv, opsets: { "": 17 }, dtype: "f64" });
  const request = { params: ["w"], data, examples: Uint32Array.of(0, 2), inputs: "sequential" } as const;
  const seen: number[][] = [];
  for await (const { rows, chunks } of model.layerInputs!(request, createRunContext())) {
    let count = 0;
    for await (const chunk of chunks) count += chunk.rows;
    seen.push([rows!, count]);
  }
  expect(seen).toEqual([
    [12, 12],
    [12, 12],
  ]);
});

test("where copies that fill the last pass would stand among its examples, those of the last pass are left out and said", async () => {
  const turned: GraphSpec = {
    name: "turned",
    nodes: [{ ...node("Transpose", ["x"], "t"), attributes: { perm: [1, 0, 2] } }, node("MatMul", ["t", "w"], "y")],
    initializers: [weight("w", 1, 2, 3, 4)],
    inputs: [{ name: "x", dtype: "f64", shape: [2, 3, 2] }],
    outputs: [{ name: "y", dtype: "f64", shape: [3, 2, 2] }],
  };
  const inputs = Float64Array.from({ length: 5 * 6 }, (_, i) => i);
  const data = tensorDataset({ inputs: { x: { shape: [5, 3, 2], data: inputs } }, targets: {} });
  const model = createGraphModel({ graph: turned, opsets: { "": 17 }, dtype: "f64" });
  const notes: string[] = [];
  const ctx = createRunContext({ onEvent: (event) => event.type === "note" && notes.push(event.code) });
  const take = async (examples: Uint32Array): Promise<number[]> => {
    const seen: number[] = [];
    const request = { params: ["w"], data, examples, inputs: "sequential" } as const;
    for await (const { chunks } of model.layerInputs!(request, ctx))
      for await (const chunk of chunks) seen.push(...chunk.data);
    return seen.sort((a, b) => a - b);
  };
  expect(await take(Uint32Array.of(0, 1, 2, 3, 4))).toEqual(Array.from({ length: 24 }, (_, i) => i));
  expect(notes).toEqual(["examples-left-out"]);
  await expect(take(Uint32Array.of(3))).rejects.toMatchObject({ code: "ERR_GRAPH_INPUT" });
});
