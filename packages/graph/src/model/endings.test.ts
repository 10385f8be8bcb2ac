/** Graphs that end in a sigmoid or softmax: tasks of scores read what goes in, tasks of values what comes out, each with its own derivatives. */
import {
  binary,
  chooseTask,
  classification,
  createRunContext,
  type Dataset,
  distillation,
  regression,
  type Task,
  tensorDataset,
  weightedTasks,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import type { GraphSpec, NodeSpec } from "../graph-spec.ts";
import { createGraphModel, type GraphModel } from "./graph-model.ts";

const node = (op: string, inputs: string[], output: string): NodeSpec => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes: {} },
});
const wave = (size: number, from: number): Float64Array =>
  Float64Array.from({ length: size }, (_, i) => Math.sin(1.3 * i + from));
const [examples, width, outs] = [6, 4, 3];

/** One dense layer, and the operator that its outputs end in; `outputs` may also name the scores. */
function graphEndingIn(op: string, outputs: readonly string[] = ["y"]): GraphModel {
  const graph: GraphSpec = {
    name: op,
    nodes: [node("MatMul", ["x", "w"], "scores"), node(op, ["scores"], "y")],
    initializers: [{ name: "w", dtype: "f64", shape: [width, outs], data: wave(width * outs, 1) }],
    inputs: [{ name: "x", dtype: "f64", shape: ["n", width] }],
    outputs: outputs.map((name) => ({ name, dtype: "f64", shape: ["n", outs] })),
  };
  return createGraphModel({ graph, opsets: { "": 17 }, dtype: "f64" });
}

const ctx = createRunContext();
const inputs = { x: { shape: [examples, width], data: wave(examples * width, 2) } };
const yesNo = Float64Array.from({ length: examples * outs }, (_, i) => (i * i) % 2);
const numbers = { shape: [examples, outs], data: wave(examples * outs, 3).map((x) => (x + 1) / 2) };
const datasets = {
  yesNo: tensorDataset({ inputs, targets: { t: { shape: [examples, outs], data: yesNo } } }),
  numbers: tensorDataset({ inputs, targets: { t: numbers } }),
  classes: tensorDataset({
    inputs,
    targets: { t: { shape: [examples], data: Int32Array.from({ length: examples }, (_, i) => i % outs) } },
  }),
};

/** What the graph itself gives, worked out from its one layer. */
function plain(model: GraphModel, op: string): number[][] {
  const w = model.weights.get("w")!;
  return Array.from({ length: examples }, (_, n) => {
    // Canonical weights are [outputs, inputs].
    const z = Array.from({ length: outs }, (_, o) =>
      Array.from({ length: width }, (_, i) => inputs.x.data[n * width + i]! * w.data[o * width + i]!).reduce(
        (a, b) => a + b,
      ),
    );
    const total = z.reduce((sum, value) => sum + Math.exp(value), 0);
    return z.map((value) => (op === "Sigmoid" ? 1 / (1 + Math.exp(-value)) : Math.exp(value) / total));
  });
}

const lossOf = async (model: GraphModel, task: Task, data: Dataset): Promise<number> =>
  (await model.evaluate!(data, ctx, { task })).loss;

describe.each(["Sigmoid", "Softmax"])("a graph that ends in %s", (op) => {
  const cases: readonly (readonly [string, Task, Dataset])[] = [
    ["regression", regression(), datasets.numbers],
    ["squared distillation", distillation({ loss: "squared" }), tensorDataset({ inputs, targets: { y: numbers } })],
    op === "Sigmoid" ? ["binary", binary(), datasets.yesNo] : ["classification", classification(), datasets.classes],
  ];

  test("has the loss of its own outputs under every task", async () => {
    const model = graphEndingIn(op);
    const p = plain(model, op);
    const cells = p.flat();
    const squares = cells.reduce((sum, value, i) => sum + (value - numbers.data[i]!) ** 2 / 2, 0);
    const logarithms =
      op === "Sigmoid"
        ? cells.reduce((sum, value, i) => sum - Math.log(yesNo[i] === 1 ? value : 1 - value), 0) / cells.length
        : p.reduce((sum, row, n) => sum - Math.log(row[n % outs]!), 0) / examples;
    const expected = [squares / cells.length, squares / examples, logarithms];
    for (const [i, [, task, data]] of cases.entries()) {
      // Sums of 18 terms near 1 in f64.
      expect(await lossOf(model, task, data)).toBeCloseTo(expected[i]!, 12);
    }
  });

  test.each(cases)(
    "has the gradients of %s by finite differences, and rows that sum to them",
    async (_name, task, data) => {
      const model = graphEndingIn(op);
      const all = Uint32Array.from({ length: examples }, (_, i) => i);
      const request = { params: ["w"], data, examples: all, task };
      const { gradient, loss, count = examples } = await model.meanGradient!(request, ctx);
      expect(loss).toBeCloseTo(await lossOf(model, task, data), 12);
      const w = await model.read("w");
      const step = 1e-5;
      for (let j = 0; j < gradient.length; j++) {
        const at = async (change: number): Promise<number> => {
          await model.write("w", { ...w, data: w.data.map((x: number, i: number) => (i === j ? x + change : x)) });
          return await lossOf(model, task, data);
        };
        // The mean loss is over what counts, the gradient over examples. Central differences err by step^2 and by 1e-16 / step.
        const slope = (((await at(step)) - (await at(-step))) / (2 * step)) * (count / examples);
        expect(gradient[j]).toBeCloseTo(slope, 8);
      }
      await model.write("w", w);
      const linear = await model.linearize!({ params: ["w"], data, examples: all, task }, ctx);
      const x = wave(gradient.length, 5);
      const out = { y: { shape: [examples, outs], data: new Float64Array(examples * outs) } };
      linear.forward(x, out);
      const change = async (size: number) => {
        await model.write("w", { ...w, data: w.data.map((value: number, i: number) => value + size * x[i]!) });
        return (await model.run!({ size: examples, inputs }, ctx, { task })).y!.data;
      };
      const [up, down] = [await change(step), await change(-step)];
      up.forEach((value: number, i: number) => {
        expect(out.y.data[i]).toBeCloseTo((value - down[i]!) / (2 * step), 8);
      });
      linear.release();
    },
  );

  test("is read as values by tasks of values only", async () => {
    const model = graphEndingIn(op);
    const batch = { size: examples, inputs };
    const values = (await model.run!(batch, ctx, { task: regression() })).y!.data;
    plain(model, op)
      .flat()
      .forEach((value, i) => {
        expect(values[i]).toBeCloseTo(value, 12);
      });
    expect((await model.run!(batch, ctx)).y!.data.some((score: number) => score < 0)).toBe(true);
  });

  test("gives scores and probabilities side by side where it has both for outputs, and slopes of both add up", async () => {
    const model = graphEndingIn(op, ["scores", "y"]);
    const task = weightedTasks({
      main: {
        task: op === "Sigmoid" ? binary({ output: "y", target: "t" }) : classification({ output: "y", target: "t" }),
      },
      other: { task: regression({ output: "scores", target: "u" }), weight: 0.5 },
    });
    const own =
      op === "Sigmoid"
        ? { shape: [examples, outs], data: yesNo }
        : { shape: [examples], data: new Int32Array(examples) };
    const data = tensorDataset({ inputs, targets: { t: own, u: numbers } });
    const all = Uint32Array.from({ length: examples }, (_, i) => i);
    const { gradient } = await model.meanGradient!({ params: ["w"], data, examples: all, task }, ctx);
    const w = await model.read("w");
    const at = async (change: number): Promise<number> => {
      await model.write("w", { ...w, data: w.data.map((x: number, i: number) => (i === 4 ? x + change : x)) });
      return await lossOf(model, task, data);
    };
    // As above.
    expect(gradient[4]).toBeCloseTo(((await at(1e-5)) - (await at(-1e-5))) / 2e-5, 8);
  });
});

test("targets of zeros and ones make a graph that ends in a sigmoid binary", () => {
  const model = graphEndingIn("Sigmoid");
  const targets = { t: { shape: [examples, outs], data: Int32Array.from(yesNo) } };
  expect(chooseTask({ model, data: tensorDataset({ inputs, targets }) }).name).toBe("binary");
});
