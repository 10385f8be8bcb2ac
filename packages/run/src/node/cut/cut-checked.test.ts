import { referenceKernels } from "@secateur/core";
import type { GraphSpec, GraphTensor } from "@secateur/graph";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import { expect, test } from "vitest";
import { onnxOfNetwork } from "../export/onnx-of-network.ts";
import { type CutRequest, cutChecked } from "./cut-checked.ts";
import { cutNetwork } from "./cut-network.ts";

/** No layer has a bias; row 1 of the first convolution is zero, and its normalisation makes a constant of it. */
const spec: NetworkSpec = {
  name: "constant",
  inputShape: [2, 5, 5],
  classes: 3,
  layers: [
    { kind: "conv2d", name: "a", in: 2, out: 4, kernel: [3, 3], padding: 1, bias: false },
    { kind: "batch-norm", name: "b", channels: 4 },
    { kind: "relu" },
    { kind: "conv2d", name: "c", in: 4, out: 5, kernel: [1, 1], bias: false },
    { kind: "relu" },
    { kind: "global-average-pool" },
    { kind: "dense", name: "d", in: 5, out: 3, bias: false },
    { kind: "log-softmax" },
  ],
};

function network() {
  const made = createNetwork(spec, { seed: 2 });
  made.weights.get("a.weight")!.data.fill(0, 18, 36);
  made.weights.get("b.bias")!.data.fill(2.5);
  return made;
}

function request(): CutRequest {
  const { graph, opsets } = onnxOfNetwork(network());
  return { graph, opsets, source: "net", told: new Map(), kernels: referenceKernels, seed: 0 };
}

test("a constant that goes into a bias is in the network that is written, also where there was no bias", () => {
  const whole = network();
  const written = (graph: GraphSpec): GraphSpec => onnxOfNetwork(cutNetwork(whole, graph)).graph;
  const cut = cutChecked({ ...request(), written });
  expect(cut.gone).toBe(1);
  const left = cutNetwork(whole, cut.graph);
  expect(left.spec.layers[3]).toMatchObject({ in: 3, out: 5, bias: true });
  // The difference is that of what is written: sums of 4 products in f32.
  expect(cut.difference).toBeLessThan(1e-5);
});

test("what differs from the whole network is refused: other numbers, other extents, what does not run", () => {
  const changed = (change: (tensor: GraphTensor) => GraphTensor) => (graph: GraphSpec) => ({
    ...graph,
    initializers: graph.initializers.map((tensor) => (tensor.name === "d.weight" ? change(tensor) : tensor)),
  });
  const wrong = [
    changed((tensor) => ({ ...tensor, data: (tensor.data as Float32Array).map((x) => 1.01 * x) })),
    changed((tensor) => ({ ...tensor, shape: [2, 5], data: (tensor.data as Float32Array).slice(0, 10) })),
    changed((tensor) => ({ ...tensor, shape: [5, 3] })),
  ];
  for (const written of wrong) expect(() => cutChecked({ ...request(), written })).toThrow(/differs from the whole/);
});

test("where outputs are no numbers on any random inputs, nothing can be checked and nothing is cut", () => {
  const { graph, ...rest } = request();
  const [output = { name: "", dtype: "f32" }] = graph.outputs;
  const nodes = graph.nodes.map((node) => ({
    ...node,
    outputs: node.outputs.map((name) => (name === output.name ? "before" : name)),
  }));
  const node = (op: string, input: string, name: string) => ({
    name,
    op,
    domain: "",
    inputs: [input],
    outputs: [name],
    attributes: {},
  });
  // Log-probabilities are negative, so their logarithms are no numbers.
  const endless = { ...graph, nodes: [...nodes, node("Log", "before", output.name)] };
  expect(() => cutChecked({ ...rest, graph: endless })).toThrow(/cannot be compared/);
});
