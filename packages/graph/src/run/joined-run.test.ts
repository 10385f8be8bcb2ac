import {
  createPool,
  createRunContext,
  type Kernels,
  matrix,
  type Pool,
  type RunContext,
  referenceElementwise,
  referenceKernels,
  referenceSoftmax,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { createGraphModel } from "../model/graph-model.ts";
import { planGraph } from "../plan/plan.ts";
import type { Value } from "../value.ts";
import { runGraph } from "./run-graph.ts";

const node = (op: string, inputs: readonly string[], output: string, attributes = {}): NodeSpec => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes },
});
const row = (name: string, ...data: readonly number[]): GraphTensor => ({
  ...{ name, dtype: "f32", shape: [data.length], data: Float32Array.from(data) },
});
const kernels: Kernels = { ...referenceKernels, elementwise: referenceElementwise, softmax: referenceSoftmax };
const shape = [2, 3, 2, 2];
const numbers = (seed: number): Float32Array => Float32Array.from({ length: 24 }, (_, i) => 2 * Math.sin(seed + 3 * i));

/**
 * A chain, a normalisation by itself that is the identity at first, sums of what came before it and after it, an array of the caller handed on, truth values
 * that a program reads, and a softmax.
 */
const graph: GraphSpec = {
  name: "steps",
  initializers: [
    row("scale", 1, 1, 1),
    row("bias", 0, 0, 0),
    row("mean", 0, 0, 0),
    row("variance", 1, 1, 1),
    { ...row("two", 2), shape: [] },
    { name: "flat", dtype: "i64", shape: [2], data: BigInt64Array.of(-1n, 12n) },
  ],
  inputs: [{ name: "x", dtype: "f32", shape: ["batch", 3, 2, 2] }],
  outputs: [{ name: "y", dtype: "f32", shape: ["batch", 12] }],
  nodes: [
    node("Mul", ["x", "two"], "a"),
    node("Tanh", ["a"], "b"),
    node("BatchNormalization", ["b", "scale", "bias", "mean", "variance"], "n", { epsilon: 0 }),
    node("Exp", ["n"], "e"),
    node("Mul", ["e", "n"], "m"),
    node("Add", ["m", "b"], "c"),
    node("Reshape", ["c", "flat"], "rows"),
    node("Reshape", ["x", "flat"], "own"),
    node("Greater", ["own", "two"], "large"),
    node("Where", ["large", "own", "rows"], "w"),
    node("Softmax", ["w"], "s"),
    node("Add", ["s", "rows"], "y"),
  ],
};
const opsets = { "": 17 };

const planFor = (given: GraphSpec) =>
  planGraph({ graph: given, opsets, params: [], dtype: "f32", inputs: new Map([["x", shape]]), kinds: new Map() });
const inputsOf = (seed: number) => new Map<string, Value>([["x", { kind: "real", shape, data: numbers(seed) }]]);

/** How many vectors are taken and not given back. */
function counted(pool: Pool): Pool & { readonly out: ReadonlySet<unknown> } {
  const out = new Set<unknown>();
  return {
    ...pool,
    out,
    take(length) {
      const vector = pool.take(length);
      out.add(vector);
      return vector;
    },
    give(vector) {
      expect(out.delete(vector)).toBe(true);
      pool.give(vector);
    },
  };
}

describe("runs of one plan in one pool", () => {
  const plan = planFor(graph);
  const first = (seed: number) =>
    runGraph({ plan, inputs: inputsOf(seed), pool: createPool(kernels, "f32") }).get("y")!;

  test("give the bytes of a first run, whatever is fed", () => {
    const pool = createPool(kernels, "f32");
    for (const seed of [1, 2, 1, 3, 3]) {
      expect(runGraph({ plan, inputs: inputsOf(seed), pool }).get("y")!.data).toEqual(first(seed).data);
    }
  });

  test("hold the vectors of one run of each of the last two plans, and none of a run with other weights", () => {
    const pool = counted(createPool(kernels, "f32"));
    runGraph({ plan, inputs: inputsOf(1), pool });
    const held = pool.out.size;
    expect(held).toBeGreaterThan(0);
    for (const seed of [2, 3]) runGraph({ plan, inputs: inputsOf(seed), pool });
    expect(pool.out.size).toBe(held);
    for (const [op, expected] of [
      ["Tanh", held + 1],
      ["Exp", 2],
      ["Sigmoid", 2],
    ] as const) {
      runGraph({ plan: planFor({ ...graph, nodes: [node(op, ["x"], "y")] }), inputs: inputsOf(1), pool });
      expect(pool.out.size).toBe(expected);
    }
    const weighed = counted(createPool(kernels, "f32"));
    runGraph({ plan, inputs: inputsOf(1), pool: weighed, weights: new Map() });
    expect(weighed.out.size).toBe(0);
  });

  test("see a normalisation that stops being the identity and becomes it again", async () => {
    const model = createGraphModel({ graph, opsets });
    const ctx = createRunContext({ kernels });
    const batch = { size: 2, inputs: { x: { shape, data: numbers(1) } } };
    for (const value of [0, 0.5, 0.5, 0, 0]) {
      await model.write("n.running_mean", matrix(3, 1, new Float32Array(3).fill(value)));
      const fresh = createGraphModel({ graph, opsets });
      await fresh.write("n.running_mean", matrix(3, 1, new Float32Array(3).fill(value)));
      const [found, wanted] = [await model.run!(batch, ctx), await fresh.run!(batch, ctx)];
      expect(found["y"]!.data).toEqual(wanted["y"]!.data);
    }
  });

  test("keep the factors of a normalisation apart from what other steps write", async () => {
    // The means have as many numbers as the layer has channels, and nothing reads them when it takes its factors.
    const nodes = [
      node("GlobalAveragePool", ["x"], "means"),
      node("Add", ["x", "means"], "shifted"),
      node("Conv", ["shifted", "weights"], "sums"),
      node("BatchNormalization", ["sums", "scale", "bias", "mean", "variance"], "y"),
    ];
    const weights = { name: "weights", dtype: "f32", shape: [3, 3, 1, 1], data: numbers(5).subarray(0, 9) } as const;
    const statistics = [row("scale", 1, 2, 3), row("bias", 3, 2, 1), row("mean", 1, 0, 1), row("variance", 1, 2, 4)];
    const model = createGraphModel({
      graph: {
        ...{ ...graph, nodes, initializers: [weights, ...statistics] },
        outputs: [{ name: "y", dtype: "f32", shape: ["batch", 3, 2, 2] }],
      },
      opsets,
    });
    const run = async (seed: number, ctx: RunContext) => {
      const x = { shape: [1, 3, 2, 2], data: numbers(seed).subarray(0, 12) };
      return (await model.run!({ size: 1, inputs: { x } }, ctx))["y"]!.data;
    };
    const ctx = createRunContext({ kernels });
    for (const seed of [1, 2, 3])
      expect(await run(seed, ctx)).toEqual(await run(seed, createRunContext({ kernels: { ...kernels } })));
  });
});
