import { createRunContext, tensorDataset } from "@secateur/core";
import { describe, expect, test } from "vitest";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { createGraphModel } from "./graph-model.ts";

const node = (op: string, inputs: string[], output: string, attributes: NodeSpec["attributes"] = {}): NodeSpec => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes },
});
const wave = (name: string, rows: number, cols: number): GraphTensor => ({
  ...{ name, dtype: "f64", shape: [rows, cols] },
  data: Float64Array.from({ length: rows * cols }, (_, i) => Math.sin(1.3 * i + name.length)),
});
const whole = (name: string, ...numbers: number[]): GraphTensor => ({
  ...{
    name,
    dtype: "i64",
    shape: numbers.length === 1 ? [] : [numbers.length],
    data: BigInt64Array.from(numbers, BigInt),
  },
});
const body = (nodes: readonly NodeSpec[], initializers: readonly GraphTensor[] = []): GraphSpec => ({
  ...{ name: "body", nodes, initializers, inputs: [], outputs: [{ name: nodes.at(-1)!.outputs[0]!, dtype: "f64" }] },
});

/** y = x A where `condition` is true, else x B + h: a network for either of two rates, as voice detectors are. */
const rates = (condition: readonly NodeSpec[], otherwise = node("Add", ["product", "h"], "sum")): GraphSpec => ({
  name: "rates",
  nodes: [
    ...condition,
    node("If", ["condition"], "y", {
      then_branch: body([node("MatMul", ["x", "a"], "product a")]),
      else_branch: body([node("MatMul", ["x", "b"], "product"), otherwise]),
    }),
  ],
  initializers: [wave("a", 3, 2), wave("bb", 3, 2), whole("usual", 16000), { ...wave("zero", 1, 1), shape: [] }].map(
    (tensor) => (tensor.name === "bb" ? { ...tensor, name: "b" } : tensor),
  ),
  inputs: [
    { name: "x", dtype: "f64", shape: ["batch", 3] },
    { name: "rate", dtype: "i64", shape: [] },
    { name: "h", dtype: "f64", shape: ["batch", 2] },
  ],
  outputs: [{ name: "y", dtype: "f64", shape: ["batch", 2] }],
});
const byRate = rates([node("Equal", ["rate", "usual"], "condition")]);

const numbers = { shape: [4, 3], data: Float64Array.from({ length: 12 }, (_, i) => Math.cos(i)) };
const ctx = createRunContext();
const open = (graph: GraphSpec, fixed: Record<string, number>) =>
  createGraphModel({ graph, opsets: { "": 17 }, dtype: "f64", fixed: new Map(Object.entries(fixed)) });
const outputs = async (graph: GraphSpec, fixed: Record<string, number>): Promise<readonly number[]> => {
  const found = await open(graph, fixed).run!({ size: 4, inputs: { x: numbers } }, ctx);
  return [...found["y"]!.data];
};
const product = (name: "a" | "b"): readonly number[] => {
  const w = byRate.initializers.find((tensor) => tensor.name === name)!.data as Float64Array;
  return Array.from({ length: 8 }, (_, i) =>
    [0, 1, 2].reduce((sum, k) => sum + numbers.data[Math.floor(i / 2) * 3 + k]! * w[2 * k + (i % 2)]!, 0),
  );
};
const close = (found: readonly number[], wanted: readonly number[]): void => {
  // Sums of three products in f64.
  found.forEach((value, i) => {
    expect(value).toBeCloseTo(wanted[i]!, 12);
  });
};

describe("inputs that are fixed", () => {
  test("decide conditions, and fill whatever shape goes with the batch", async () => {
    close(await outputs(byRate, { rate: 16000, h: 0 }), product("a"));
    close(
      await outputs(byRate, { rate: 8000, h: 0.5 }),
      product("b").map((value) => value + 0.5),
    );
  });

  test("leave weights that nothing uses any more dense, and the others to be pruned", () => {
    expect(
      open(byRate, { rate: 16000, h: 0 })
        .params()
        .map(({ name }) => name),
    ).toEqual(["a"]);
    const other = open(byRate, { rate: 8000, h: 0 });
    expect(other.params().map(({ name }) => name)).toEqual(["b"]);
    expect(other.keptDense).toEqual([{ name: "a", reason: "with its inputs as they are fixed nothing uses it" }]);
    expect(other.inputs.map(({ name }) => name)).toEqual(["x"]);
  });

  test("are asked for where the data do not have them", async () => {
    await expect(outputs(byRate, { h: 0 })).rejects.toThrow("--fix 'rate=NUMBER'");
  });

  test("of more numbers than memory should hold are refused", async () => {
    const large = {
      ...byRate,
      inputs: byRate.inputs.map((input) => (input.name === "h" ? { ...input, shape: [9e7, 2] } : input)),
    };
    await expect(outputs(large, { rate: 8000, h: 0 })).rejects.toThrow(
      "found 180000000 numbers, expected at most 67108864",
    );
  });
});

describe("an If whose condition the numbers decide", () => {
  const bySum = rates([
    node("ReduceSum", ["x"], "sum of all", { keepdims: 0 }),
    node("Greater", ["sum of all", "zero"], "condition"),
  ]);
  const positive = numbers.data.reduce((sum, value) => sum + value, 0) > Math.sin(4);

  test("gives what its branch gives, whichever it is", async () => {
    const fixed = { rate: 0, h: 0.5 };
    const shifted = product("b").map((value) => value + 0.5);
    close(await outputs(bySum, fixed), positive ? product("a") : shifted);
    const turned = { ...bySum, nodes: bySum.nodes.map((one) => (one.op === "Greater" ? { ...one, op: "Less" } : one)) };
    close(await outputs(turned, fixed), positive ? shifted : product("a"));
  });

  test("has the gradient of that branch alone", async () => {
    const targets = { values: { shape: [4, 2], data: new Float64Array(8) } };
    const model = open(bySum, { rate: 0, h: 0.5 });
    const found = await model.meanGradient!(
      {
        params: ["a", "b"],
        data: tensorDataset({ inputs: { x: numbers }, targets }),
        examples: Uint32Array.of(0, 1, 2, 3),
      },
      ctx,
    );
    const sizes = [0, 6].map((start) => found.gradient.slice(start, start + 6).some((value: number) => value !== 0));
    expect(sizes).toEqual([positive, !positive]);
  });

  test("is refused where its branches give different shapes, with what to do", async () => {
    const uneven = rates(bySum.nodes.slice(0, 2), node("ReduceSum", ["product"], "sum", { keepdims: 0 }));
    await expect(outputs(uneven, { rate: 0, h: 0 })).rejects.toThrow(
      /outputs of \[1,2\] or \[\], expected outputs of one shape.*--fix NAME=NUMBER/,
    );
  });
});
