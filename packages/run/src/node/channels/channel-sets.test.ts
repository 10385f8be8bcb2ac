import { createRunContext } from "@secateur/core";
import { createGraphModel, type GraphSpec, traceChannels } from "@secateur/graph";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import { expect, test } from "vitest";
import { coupledModel } from "../../prune/coupled-model.ts";
import type { PrunableModel } from "../../prune/prunable-model.ts";
import { onnxOfNetwork } from "../export/onnx-of-network.ts";
import { channelSets } from "./channel-sets.ts";

const residual: NetworkSpec = {
  name: "residual",
  inputShape: [2, 6, 6],
  classes: 3,
  layers: [
    { kind: "conv2d", name: "stem", in: 2, out: 4, kernel: [3, 3], padding: 1 },
    { kind: "relu", name: "r" },
    { kind: "conv2d", name: "one", in: 4, out: 6, kernel: [3, 3], padding: 1 },
    { kind: "relu" },
    { kind: "conv2d", name: "two", in: 6, out: 4, kernel: [3, 3], padding: 1 },
    { kind: "add", inputs: ["two", "r"] },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 4, out: 3 },
    { kind: "log-softmax" },
  ],
};

function setsOf(pruned: readonly string[]) {
  const { graph, opsets } = onnxOfNetwork(createNetwork(residual, { seed: 1 }));
  const spec = graph as GraphSpec;
  const traced = traceChannels({ graph: spec, opsets, shapes: new Map([["input", [2, 2, 6, 6]]]) });
  const offsets = new Set(["stem.bias", "one.bias", "two.bias", "fc.bias"]);
  return channelSets({ graph: spec, traced, pruned: new Set(pruned), offsets });
}

test("sets are the rows that go together, with their biases; what feeds the outputs stays", () => {
  const { sets, kept } = setsOf(["stem.weight", "one.weight", "two.weight", "fc.weight"]);
  expect(
    sets.map(({ name, count, members, offsets }) => [name, count, members.length, offsets.map((one) => one.name)]),
  ).toEqual([
    ["stem.weight+1", 4, 2, ["stem.bias", "two.bias"]],
    ["one.weight", 6, 1, ["one.bias"]],
  ]);
  expect(kept.map(({ param }) => param)).toEqual(["fc.weight"]);
  expect(kept[0]!.why).toContain("LogSoftmax");
});

test("where one of a group's weights is not to be pruned, the whole group stays", () => {
  const { sets, kept } = setsOf(["stem.weight", "one.weight"]);
  expect(sets.map(({ name }) => name)).toEqual(["one.weight"]);
  expect(kept.map(({ param }) => param)).toEqual(["stem.weight"]);
});

test.each([1, 2])(
  "hidden units of an LSTM of %i directions are rows of all its gates, what reads them with them, and give 0 where their weights go",
  async (directions) => {
    const [hidden, taken] = [5, 3];
    const tensor = (name: string, shape: readonly number[]) => {
      const size = shape.reduce((product, extent) => product * extent, 1);
      return {
        name,
        dtype: "f32" as const,
        shape,
        data: Float32Array.from({ length: size }, (_, i) => Math.sin(i + 1)),
      };
    };
    const node = (op: string, inputs: readonly string[], output: string, attributes = {}) => {
      return { name: output, op, domain: "", inputs, outputs: [output], attributes };
    };
    const graph: GraphSpec = {
      name: "recurrent",
      nodes: [
        node("LSTM", ["x", "w", "r", "b"], "h", {
          hidden_size: hidden,
          direction: directions === 2 ? "bidirectional" : "forward",
        }),
        node("ReduceMean", ["h"], "m", { axes: [1], keepdims: 0 }),
        node("MatMul", ["m", "out"], "y"),
      ],
      initializers: [
        tensor("w", [directions, 4 * hidden, taken]),
        tensor("r", [directions, 4 * hidden, hidden]),
        tensor("b", [directions, 8 * hidden]),
        tensor("out", [hidden, 2]),
      ],
      inputs: [{ name: "x", dtype: "f32", shape: [4, "batch", taken] }],
      outputs: [{ name: "y", dtype: "f32" }],
    };
    const traced = traceChannels({ graph, opsets: { "": 13 }, shapes: new Map([["x", [4, 2, taken]]]) });
    const offsets = new Set(["b"]);
    const { sets, extents, recurrent } = channelSets({ graph, traced, pruned: new Set(["w", "r"]), offsets });
    expect(sets.map(({ count }) => count)).toEqual([hidden]);
    for (const { param, rows } of sets[0]!.members) {
      const gates = [0, 1, 2, 3].map((gate) => gate * hidden + 2);
      expect([...rows[2]!], param).toEqual(
        directions === 1 ? gates : [...gates, ...gates.map((row) => row + 4 * hidden)],
      );
    }
    const [name] = sets.map((set) => set.name);
    expect(extents.params.get("r")).toEqual({
      rowAxis: 1,
      axes: [
        { fixed: directions, units: {} },
        { fixed: 0, units: { [name!]: 4 } },
        { fixed: 0, units: { [name!]: 1 } },
      ],
    });
    expect(recurrent).toEqual([]);
    const without = channelSets({ graph, traced, pruned: new Set(["w", "r"]), offsets: new Set() });
    expect([...without.recurrent].sort()).toEqual(["r", "w"]);
    const model = createGraphModel({ graph, opsets: { "": 13 } });
    const prunable: PrunableModel = { ...model, evaluate: model.evaluate! };
    const { model: grouped } = await coupledModel(prunable, sets);
    const b = (await model.read("b")).data;
    const whole = await grouped.read(name!);
    const masked = whole.data.map((value: number, i: number) => (Math.floor(i / whole.cols) === 2 ? 0 : value));
    await grouped.write(name!, { ...whole, data: Float32Array.from(masked) });
    const own = (j: number): boolean => j % hidden === 2;
    expect((await model.read("b")).data).toEqual(b.map((value: number, j: number) => (own(j) ? 0 : value)));
    // The unit gives 0, whatever reads it.
    const outputs = async () => {
      const x = Float32Array.from({ length: 4 * 2 * taken }, (_, i) => Math.cos(i));
      const batch = { size: 2, inputs: { x: { data: x, shape: [2, 4, taken], dtype: "f32" } } } as const;
      return Array.from((await model.run!(batch, createRunContext()))["y"]!.data);
    };
    const before = await outputs();
    const read = await model.read("out");
    await model.write("out", {
      ...read,
      data: read.data.map((value: number, i: number) => (i % read.cols === 2 ? 9 : value)),
    });
    expect(await outputs()).toEqual(before);
    await grouped.write(name!, whole);
    expect((await model.read("b")).data).toEqual(b);
  },
);
