import { type GraphSpec, traceChannels } from "@secateur/graph";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import { expect, test } from "vitest";
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
