import { createWasmKernels, type WasmKernels } from "@secateur/backends-wasm";
import { createPool, createRng, createRunContext, matrix, type Pool } from "@secateur/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { createGraphModel, type GraphModel } from "../model/graph-model.ts";
import { findParams } from "../plan/params.ts";
import { planGraph } from "../plan/plan.ts";
import { sizeOf, type Value } from "../value.ts";
import { joinedPlan } from "./joined-plan.ts";
import { runGraph, startGraph } from "./run-graph.ts";

const rng = createRng(3);
const numbers = (shape: readonly number[]): Float32Array =>
  Float32Array.from({ length: sizeOf(shape) }, () => rng.normal() / 2);
const tensor = (name: string, shape: readonly number[], data = numbers(shape)): GraphTensor => ({
  ...{ name, dtype: "f32", shape, data },
});
const node = (
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: NodeSpec["attributes"] = {},
): NodeSpec => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes },
});
const norm = (name: string, channels: number): readonly GraphTensor[] => [
  tensor(`${name}.scale`, [channels]),
  tensor(`${name}.bias`, [channels]),
  tensor(`${name}.mean`, [channels]),
  tensor(
    `${name}.variance`,
    [channels],
    Float32Array.from({ length: channels }, (_, c) => 0.5 + c / 8),
  ),
];
const pads = { pads: [1, 1, 1, 1] };
const normed = (input: string, name: string, output: string): NodeSpec =>
  node("BatchNormalization", [input, `${name}.scale`, `${name}.bias`, `${name}.mean`, `${name}.variance`], output);

/** A residual block, strides and pads that the kernels do not have, a convolution that adds its own input, and two products with biases. */
const graph: GraphSpec = {
  name: "layers",
  initializers: [
    tensor("w1", [8, 3, 3, 3]),
    tensor("b1", [8]),
    ...norm("n1", 8),
    tensor("w2", [8, 8, 3, 3]),
    ...norm("n2", 8),
    tensor("w3", [8, 1, 3, 3]),
    tensor("w4", [8, 8, 1, 1]),
    tensor("w5", [40, 6]),
    tensor("b5", [6]),
    tensor("w6", [5, 6]),
    tensor("b6", [5]),
  ],
  inputs: [{ name: "x", dtype: "f32", shape: [2, 3, 6, 5] }],
  outputs: [{ name: "y", dtype: "f32" }],
  nodes: [
    node("Conv", ["x", "w1", "b1"], "c1", pads),
    normed("c1", "n1", "n1"),
    node("Relu", ["n1"], "r1"),
    node("Conv", ["r1", "w2"], "c2", pads),
    normed("c2", "n2", "n2"),
    node("Conv", ["x", "w1"], "short", pads),
    node("Add", ["n2", "short"], "sum"),
    node("Relu", ["sum"], "r2"),
    node("Conv", ["r2", "w3"], "c3", { group: 8, strides: [2, 1], pads: [1, 1, 0, 1] }),
    node("Conv", ["c3", "w4"], "c4"),
    node("Add", ["c4", "c3"], "own"),
    node("Reshape", ["own", "shape"], "rows"),
    node("MatMul", ["rows", "w5"], "m5"),
    node("Add", ["m5", "b5"], "a5"),
    node("Relu", ["a5"], "r5"),
    node("Gemm", ["r5", "w6", "b6"], "y", { transB: 1 }),
  ],
};
const shaped: GraphSpec = {
  ...graph,
  initializers: [...graph.initializers, { name: "shape", dtype: "i64", shape: [2], data: Float64Array.of(-1, 40) }],
};
const inputs = new Map<string, Value>([["x", { kind: "real", shape: [2, 3, 6, 5], data: numbers([2, 3, 6, 5]) }]]);
const plan = planGraph({
  ...{ graph: shaped, opsets: { "": 17 }, params: findParams(shaped, "f32").params, dtype: "f32", kinds: new Map() },
  inputs: new Map([["x", [2, 3, 6, 5]]]),
});

describe("products with what follows them", () => {
  let kernels: WasmKernels;
  beforeAll(async () => {
    kernels = await createWasmKernels({ threads: 1 });
  });
  afterAll(() => kernels.close());

  test("are joined as far as one step alone reads a value, and a value that is added is not their own input", () => {
    const units = joinedPlan(plan).units.filter(({ layer }) => layer);
    const told = units.map(({ step, layer }) => {
      const { norm, bias, sum, isRectified } = layer!;
      const parts = { norm, bias, sum, relu: isRectified || undefined };
      return [step.node.name, ...Object.entries(parts).flatMap(([name, part]) => (part === undefined ? [] : [name]))];
    });
    expect(told).toEqual([
      ["r1", "norm", "bias", "relu"],
      ["n2", "norm"],
      // Of the two it came last.
      ["r2", "sum", "relu"],
      ["c3"],
      ["c4"],
      ["r5", "bias", "relu"],
      ["y", "bias"],
    ]);
  });

  test("give what the steps give one after the other, but for rounding", () => {
    const pool = createPool(kernels, "f32");
    const run = startGraph({ plan, inputs, pool });
    run.advance(plan.steps.length);
    const apart = [...run.values[plan.outputs.get("y")!]!.data];
    run.release();
    // Once more on vectors that hold what the run before left.
    for (let round = 0; round < 2; round++) {
      const found = runGraph({ plan, inputs, pool }).get("y")!.data;
      // Some hundred numbers below 10 are summed in f32.
      for (const [i, value] of found.entries()) expect(Math.abs(value - apart[i]!)).toBeLessThan(2e-5);
    }
  });

  test("see every write of a weight, a bias and a statistic", async () => {
    const model = createGraphModel({ graph: shaped, opsets: { "": 17 } });
    const ctx = createRunContext({ kernels });
    const batch = { size: 2, inputs: { x: { shape: [2, 3, 6, 5], data: inputs.get("x")!.data as Float32Array } } };
    const run = async (): Promise<readonly number[]> => [...(await model.run!(batch, ctx))["y"]!.data];
    let before = await run();
    expect(await run()).toEqual(before);
    for (const name of ["w1", "w2", "w3", "w4", "w5", "w6", "b5", "b6", "n1.running_mean", "n2.running_var"]) {
      const w = await model.read(name);
      await model.write(
        name,
        matrix(
          w.rows,
          w.cols,
          w.data.map((x: number) => x + 0.25),
        ),
      );
      const after = await run();
      expect(after).not.toEqual(before);
      before = after;
    }
    // In place, told to nobody.
    model.weights.get("w2")!.data[0]! += 1;
    expect(await run()).not.toEqual(before);
  });

  test.each([1, 2])(
    "give a fresh model's bytes again and again, with %s threads: other batches, other weights, two calls at once",
    async (threads) => {
      const own = await createWasmKernels({ threads });
      const ctx = createRunContext({ kernels: own });
      const model = createGraphModel({ graph: open, opsets: { "": 17 } });
      const batchOf = (size: number, seed: number) => {
        const data = Float32Array.from({ length: size * 90 }, (_, i) => Math.sin(seed + 1.3 * i));
        return { size, inputs: { x: { shape: [size, 3, 6, 5], data } } };
      };
      const written = new Map<string, number>();
      const fresh = async (): Promise<GraphModel> => {
        const other = createGraphModel({ graph: open, opsets: { "": 17 } });
        for (const [name, shift] of written) await shifted(other, name, shift);
        return other;
      };
      for (const [size, name] of [
        [2, "w2"],
        [3, "b5"],
        [2, "n1.running_mean"],
        [2, "w5"],
        [3, "n2.running_var"],
        [4, "b6"],
      ] as const) {
        const batches = [batchOf(size, size), batchOf(size, size + 1)];
        const found = await Promise.all(batches.map((batch) => model.run!(batch, ctx)));
        const alone = await fresh();
        for (const [b, batch] of batches.entries()) {
          expect(found[b]!["y"]!.data).toEqual(
            (await alone.run!(batch, createRunContext({ kernels: own })))["y"]!.data,
          );
        }
        written.set(name, 0.25);
        await shifted(model, name, 0.25);
      }
      await own.close();
    },
  );

  test("hold after a step that throws", () => {
    const taken = new Set<unknown>();
    const pool = createPool(kernels, "f32");
    let isBroken = false;
    const counting: Pool = {
      ...pool,
      take(length) {
        const vector = pool.take(length);
        taken.add(vector);
        return vector;
      },
      give(vector) {
        expect(taken.delete(vector)).toBe(true);
        pool.give(vector);
      },
      kernels: {
        ...kernels,
        convolve(spec) {
          if (isBroken && spec.relu) throw new RangeError("broken");
          kernels.convolve(spec);
        },
      },
    };
    const run = () => runGraph({ plan, inputs, pool: counting }).get("y")!.data;
    const wanted = run();
    const held = taken.size;
    isBroken = true;
    expect(run).toThrow(/broken/);
    isBroken = false;
    expect(run()).toEqual(wanted);
    expect(taken.size).toBe(held);
  });
});

/** The same graph for any number of examples. */
const open: GraphSpec = { ...shaped, inputs: [{ name: "x", dtype: "f32", shape: ["batch", 3, 6, 5] }] };

async function shifted(model: GraphModel, name: string, shift: number): Promise<void> {
  const w = await model.read(name);
  await model.write(
    name,
    matrix(
      w.rows,
      w.cols,
      w.data.map((x: number) => x + shift),
    ),
  );
}
