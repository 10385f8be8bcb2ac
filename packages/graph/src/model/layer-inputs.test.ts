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
