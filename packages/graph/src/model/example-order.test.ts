import {
  createPool,
  createRunContext,
  type Dataset,
  type GradientRows,
  referenceKernels,
  tensorDataset,
} from "@secateur/core";
import { expect, test } from "vitest";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { runGraph } from "../run/run-graph.ts";
import { exampleAxes } from "./example-order.ts";
import { createGraphModel } from "./graph-model.ts";
import { openGraph } from "./graph-state.ts";
import { outputsOf, passOf, passSize } from "./passes.ts";

const node = (op: string, inputs: string[], output: string, attributes: NodeSpec["attributes"] = {}): NodeSpec => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes },
});
const wave = (name: string, ...shape: number[]): GraphTensor => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return {
    ...{ name, dtype: "f64", shape },
    data: Float64Array.from({ length: size }, (_, i) => 0.6 * Math.sin(1.7 * i + 3 * name.length + shape.length)),
  };
};
const whole = (name: string, ...numbers: number[]): GraphTensor => ({
  ...{ name, dtype: "i64", shape: [numbers.length], data: BigInt64Array.from(numbers, BigInt) },
});

/** Three steps of two numbers, computed with time first: products of [time, batch, ...] and of [time * batch, ...], and a mean over time. */
const timeFirst: GraphSpec = {
  name: "time first",
  nodes: [
    node("Transpose", ["x"], "steps", { perm: [1, 0, 2] }),
    node("MatMul", ["steps", "a"], "wide"),
    node("Tanh", ["wide"], "bent"),
    node("Reshape", ["bent", "flat"], "rows"),
    node("Gemm", ["rows", "b"], "mixed"),
    node("Reshape", ["mixed", "again"], "parts"),
    node("Sigmoid", ["parts"], "squashed"),
    node("ReduceMean", ["squashed"], "mean", { axes: [0], keepdims: 0 }),
    node("Gemm", ["mean", "out"], "logits"),
  ],
  initializers: [wave("a", 2, 4), wave("b", 4, 5), wave("out", 5, 3), whole("flat", -1, 4), whole("again", 3, -1, 5)],
  inputs: [{ name: "x", dtype: "f64", shape: ["batch", 3, 2] }],
  outputs: [{ name: "logits", dtype: "f64", shape: ["batch", 3] }],
};
const numbers = (length: number): Float64Array => Float64Array.from({ length }, (_, i) => Math.sin(i * i));
const labels = { labels: { shape: [10], data: Uint32Array.from({ length: 10 }, (_, i) => i % 3) } };
const data: Dataset = tensorDataset({
  inputs: { x: { shape: [10, 3, 2], data: numbers(60) } },
  targets: labels,
  classes: { labels: 3 },
});

/** Rows of a weight, written out. */
function rowsOf({ blocks, rows }: GradientRows, param: string): number[][] {
  const block = blocks.find((one) => one.param === param)!;
  if (block.kind === "dense") {
    const { cols, data: own } = block.rows;
    return Array.from({ length: rows }, (_, r) => [...own.subarray(r * cols, (r + 1) * cols)]);
  }
  const { delta, input, group } = block;
  return Array.from({ length: rows }, (_, r) => {
    const sum = new Array<number>(delta.cols * input.cols).fill(0);
    for (let u = r * group; u < (r + 1) * group; u++) {
      for (let o = 0; o < delta.cols; o++) {
        for (let i = 0; i < input.cols; i++) {
          sum[o * input.cols + i]! += delta.data[u * delta.cols + o]! * input.data[u * input.cols + i]!;
        }
      }
    }
    return sum;
  });
}

test.each([1, 2])(
  "a graph whose arrays have time first has the gradient rows of single examples, %i a row",
  async (batch) => {
    const model = createGraphModel({ graph: timeFirst, opsets: { "": 17 }, dtype: "f64" });
    const params = model.params().map(({ name }) => name);
    expect(params).toEqual(["a", "b", "out"]);
    const examples = Uint32Array.of(7, 2, 5, 0);
    const together = await model.gradientRows!({ params, data, examples, batch }, createRunContext());
    const single = await Promise.all(
      [...examples].map((e) =>
        model.gradientRows!({ params, data, examples: Uint32Array.of(e), batch: 1 }, createRunContext()),
      ),
    );
    for (const param of params) {
      const alone = single.map((rows) => rowsOf(rows, param)[0]!);
      rowsOf(together, param).forEach((row, r) => {
        row.forEach((value, i) => {
          const mean = alone.slice(r * batch, (r + 1) * batch).reduce((sum, own) => sum + own[i]!, 0) / batch;
          // f64, some hundred operations.
          expect(value, `${param} row ${r}`).toBeCloseTo(mean, 12);
        });
      });
    }
  },
);

/** The same with time first in what goes in and comes out, a class for every step. */
const allTimeFirst: GraphSpec = {
  ...timeFirst,
  nodes: [
    node("MatMul", ["x", "a"], "wide"),
    node("Tanh", ["wide"], "bent"),
    {
      ...node("GRU", ["bent", "gw", "gr"], ""),
      outputs: ["states"],
      attributes: { hidden_size: 5, linear_before_reset: 1 },
    },
    node("Squeeze", ["states", "direction"], "plain"),
    node("MatMul", ["plain", "out"], "logits"),
  ],
  initializers: [...timeFirst.initializers, wave("gw", 1, 15, 4), wave("gr", 1, 15, 5), whole("direction", 1)],
  inputs: [{ name: "x", dtype: "f64", shape: ["time", "batch", 2] }],
  outputs: [{ name: "logits", dtype: "f64", shape: ["time", "batch", 3] }],
};
const steps: Dataset = tensorDataset({
  inputs: { x: { shape: [10, 3, 2], data: numbers(60) } },
  targets: { labels: { shape: [10, 3], data: Uint32Array.from({ length: 30 }, (_, i) => (i * i) % 3) } },
  classes: { labels: 3 },
});

test("a graph that takes and gives arrays with time first is run, and has gradients, by example", async () => {
  const model = createGraphModel({ graph: allTimeFirst, opsets: { "": 17 }, dtype: "f64" });
  expect(model.exampleAxes).toEqual(
    new Map([
      ["x", 1],
      ["logits", 1],
    ]),
  );
  expect(model.inputs[0]?.shape).toEqual([null, 2]);
  const ctx = createRunContext();
  const together = (await model.run!(await steps.batch(Uint32Array.of(4, 1, 8, 0)), ctx))["logits"]!;
  expect(together.shape).toEqual([4, 3, 3]);
  const alone = (await model.run!(await steps.batch(Uint32Array.of(8)), ctx))["logits"]!;
  expect([...together.data.subarray(18, 27)]).toEqual([...alone.data]);
  const params = model.params().map(({ name }) => name);
  const examples = Uint32Array.of(7, 2, 5);
  const rows = await model.gradientRows!({ params, data: steps, examples, batch: 1 }, ctx);
  for (const [r, example] of examples.entries()) {
    const one = { params, data: steps, examples: Uint32Array.of(example) };
    const { gradient } = await model.meanGradient!(one, ctx);
    const row = params.flatMap((param) => rowsOf(rows, param)[r]!);
    // f64, some hundred operations.
    row.forEach((value, i) => {
      expect(value).toBeCloseTo(gradient[i]!, 12);
    });
  }
  // Products with the Jacobian and its transpose are adjoint, of the examples together.
  const whole = await model.linearize!({ params, data: steps, examples }, ctx);
  const v = numbers(whole.dim);
  const like = Object.fromEntries(
    Object.entries(whole.outputs).map(([name, { shape, data: own }]) => [name, { shape, data: numbers(own.length) }]),
  );
  const forward = structuredClone(like);
  whole.forward(v, forward);
  const back = new Float64Array(whole.dim);
  whole.backward(like, back);
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0);
  expect(dot(forward["logits"]!.data, like["logits"]!.data)).toBeCloseTo(dot(v, back), 10);
  whole.release?.();
});

test("the axis of examples is told by names that say so", () => {
  const axesOf = (...shapes: readonly (readonly (number | string | null)[])[]) => [
    ...exampleAxes({
      inputs: shapes.map((shape, i) => ({ name: `x${i}`, dtype: "f32", shape })),
      outputs: [],
    }).values(),
  ];
  expect(axesOf(["time", "batch", 4])).toEqual([1]);
  expect(axesOf(["seq_len", "N", 4])).toEqual([1]);
  // States of layers; tokens or points called n behind a number or another name are no examples.
  expect(axesOf([2, "batch", 64])).toEqual([1]);
  expect(axesOf([1, "n", 3], ["points", "n"], ["batch", "time", 4], [null, 4])).toEqual([]);
});

/** Four examples at a time, turned inside and given back. */
const fixedBatch: GraphSpec = {
  ...timeFirst,
  nodes: [
    node("MatMul", ["x", "a"], "wide"),
    node("Transpose", ["wide"], "turned", { perm: [0, 2, 1] }),
    node("Reshape", ["turned", "again"], "rows"),
    node("MatMul", ["rows", "out"], "logits"),
  ],
  initializers: [wave("a", 2, 5), wave("out", 15, 3), whole("again", 4, 15)],
  inputs: [{ name: "x", dtype: "f64", shape: [4, 3, 2] }],
};

test("a graph of a fixed number of examples that it has first is taken at its word, and has its mean gradient", async () => {
  const model = createGraphModel({ graph: fixedBatch, opsets: { "": 17 }, dtype: "f64" });
  const params = model.params().map(({ name }) => name);
  const examples = Uint32Array.of(3, 1, 9, 4, 6);
  const rows = await model.gradientRows!({ params, data, examples, batch: 1 }, createRunContext());
  const { gradient } = await model.meanGradient!({ params, data, examples }, createRunContext());
  const mean = params.flatMap((param) => {
    const own = rowsOf(rows, param);
    return own[0]!.map((_, i) => own.reduce((sum, row) => sum + row[i]!, 0) / own.length);
  });
  // f64, some hundred operations.
  mean.forEach((value, i) => {
    expect(value).toBeCloseTo(gradient[i]!, 12);
  });
});

test("an output that is not by example costs the others nothing, and is no answer alone", async () => {
  const extra = { name: "s", dtype: "f64", shape: [] };
  const nodes = [...timeFirst.nodes, node("ReduceMean", ["logits"], "s", { keepdims: 0 })];
  const open = (outputs: GraphSpec["outputs"]) =>
    createGraphModel({ graph: { ...timeFirst, nodes, outputs }, opsets: { "": 17 }, dtype: "f64" });
  const batch = await data.batch(Uint32Array.of(0, 1));
  const both = await open([...timeFirst.outputs, extra]).run!(batch, createRunContext());
  expect(both["logits"]!.shape).toEqual([2, 3]);
  await expect(open([extra]).run!(batch, createRunContext())).rejects.toThrow(/output 's'.*for 2 examples/);
});

test("an output whose examples do not lie where the model says is refused", async () => {
  const lying: GraphSpec = { ...timeFirst, outputs: [{ name: "logits", dtype: "f64", shape: [3, "batch"] }] };
  const model = createGraphModel({ graph: lying, opsets: { "": 17 }, dtype: "f64" });
  const batch = await data.batch(Uint32Array.of(0, 1));
  await expect(model.run!(batch, createRunContext())).rejects.toThrow(
    /output 'logits'.*\[2, 3\] for 2 examples.*examples along axis 1/,
  );
  // Three examples of three scores: the extents do not show it.
  const three = await data.batch(Uint32Array.of(0, 1, 2));
  await expect(model.run!(three, createRunContext())).rejects.toThrow(/output 'logits'.*examples along axis 1/);
});

test("numbers of examples that take turns are planned once each, also where an output counts examples along another axis", async () => {
  const turned: GraphSpec = {
    ...timeFirst,
    nodes: [...timeFirst.nodes, node("Transpose", ["logits"], "last", { perm: [1, 0] })],
    outputs: [{ name: "last", dtype: "f64", shape: [3, "batch"] }],
  };
  const state = openGraph({ graph: turned, opsets: { "": 17 }, dtype: "f64" });
  const plans = new Set<unknown>();
  for (const size of [2, 4, 2, 5, 4, 2]) {
    const batch = await data.batch(Uint32Array.from({ length: size }, (_, i) => i));
    await passSize(state, data);
    const pass = passOf(state, batch, 0);
    plans.add(pass.plan);
    const found = outputsOf(state, pass, runGraph({ ...pass, pool: createPool(referenceKernels, "f64") }));
    expect(found["last"]!.shape).toEqual([size, 3]);
  }
  expect(plans.size).toBe(3);
});
