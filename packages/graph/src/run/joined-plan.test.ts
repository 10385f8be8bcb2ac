import { createPool, type Kernels, referenceElementwise, referenceKernels, referenceSoftmax } from "@secateur/core";
import { describe, expect, test } from "vitest";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { planGraph } from "../plan/plan.ts";
import type { Value } from "../value.ts";
import { joinedPlan } from "./joined-plan.ts";
import { runGraph, startGraph } from "./run-graph.ts";

const node = (op: string, inputs: readonly string[], output: string): NodeSpec => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes: {} },
});
const scalar = (name: string, value: number): GraphTensor => ({
  ...{ name, dtype: "f32", shape: [], data: Float32Array.of(value) },
});

/** HardSwish as exporters write it, read twice, a product over rows, an output in the middle and a softmax between. */
const graph: GraphSpec = {
  name: "chains",
  initializers: [scalar("three", 3), scalar("zero", 0), scalar("six", 6)],
  inputs: [
    { name: "x", dtype: "f32", shape: [5, 7] },
    { name: "row", dtype: "f32", shape: [7] },
  ],
  outputs: ["middle", "y"].map((name) => ({ name, dtype: "f32" })),
  nodes: [
    node("Add", ["x", "three"], "a"),
    node("Clip", ["a", "zero", "six"], "b"),
    node("Mul", ["x", "b"], "c"),
    node("Div", ["c", "six"], "hardswish"),
    node("Sigmoid", ["row"], "gate"),
    node("Mul", ["hardswish", "gate"], "gated"),
    node("Sub", ["gated", "hardswish"], "middle"),
    node("Exp", ["middle"], "e"),
    node("Softmax", ["e"], "s"),
    node("Add", ["s", "s"], "twice"),
    node("Greater", ["x", "zero"], "positive"),
    node("Where", ["positive", "twice", "hardswish"], "y"),
  ],
};

const shapes = new Map([
  ["x", [5, 7]],
  ["row", [7]],
]);
const plan = planGraph({ graph, opsets: { "": 17 }, params: [], dtype: "f32", inputs: shapes, kinds: new Map() });
const inputs = new Map(
  [...shapes].map(([name, shape]): [string, Value] => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return [name, { kind: "real", shape, data: Float32Array.from({ length: size }, (_, i) => 4 * Math.sin(3 * i)) }];
  }),
);
const kernels: Kernels = { ...referenceKernels, elementwise: referenceElementwise, softmax: referenceSoftmax };

describe("a plan whose chains are joined", () => {
  test("gives the bytes of its steps one after the other", () => {
    const pool = createPool(kernels, "f32");
    const run = startGraph({ plan, inputs, pool });
    run.advance(plan.steps.length);
    const apart = [...plan.outputs.values()].map((slot) => run.values[slot]!.data.slice());
    expect([...runGraph({ plan, inputs, pool }).values()].map(({ data }) => data)).toEqual(apart);
  });

  test("joins what one step alone reads and has its shape, and nothing else", () => {
    const ends = joinedPlan(plan).units.map(({ step, chain }) => [step.node.name, chain?.inputs.length ?? 0]);
    expect(ends).toEqual([
      // Read twice.
      ["hardswish", 1],
      // Of another shape than what reads it.
      ["gate", 1],
      // An output.
      ["middle", 2],
      ["e", 1],
      ["s", 0],
      ["positive", 0],
      ["y", 3],
    ]);
  });

  test("takes bounds of Clip that are computed", () => {
    const nodes = [
      node("ReduceMax", ["x"], "most"),
      node("Sub", ["most", "three"], "low"),
      node("Clip", ["x", "low", "six"], "y"),
    ];
    const outputs = [{ name: "y", dtype: "f32" }];
    const spec = { opsets: { "": 17 }, params: [], dtype: "f32", inputs: shapes, kinds: new Map() } as const;
    const clipped = planGraph({ ...spec, graph: { ...graph, nodes, outputs } });
    const x = inputs.get("x")!.data as Float32Array;
    const low = Math.fround(x.reduce((most, value) => Math.max(most, value)) - 3);
    for (const own of [kernels, referenceKernels]) {
      const found = runGraph({ plan: clipped, inputs, pool: createPool(own, "f32") }).get("y")!;
      expect([...found.data]).toEqual([...x].map((value) => Math.max(value, low)));
    }
  });
});
