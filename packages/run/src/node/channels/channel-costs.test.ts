import { bindBudget, type FlatParam, type Mask, referenceKernels } from "@secateur/core";
import { type GraphSpec, traceChannels } from "@secateur/graph";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import { costModels } from "@secateur/runtime/pack";
import { expect, test } from "vitest";
import type { ChannelSet } from "../../prune/coupled-places.ts";
import { onnxOfNetwork } from "../export/onnx-of-network.ts";
import { networkGraph } from "../pack/network-graph.ts";
import { onnxPackGraph } from "../pack/onnx-graph.ts";
import { channelCosts } from "./channel-costs.ts";
import { channelSets } from "./channel-sets.ts";

/** A residual network from 4 channels to 3 classes, whose widths are those of the two sets: what the residual sum adds, and what lies between. */
const residual = (wide: number, inner: number): NetworkSpec => ({
  ...{ name: "residual", inputShape: [4, 4, 4], classes: 3 },
  layers: [
    { kind: "conv2d", name: "stem", in: 4, out: wide, kernel: [3, 3], padding: 1 },
    { kind: "relu", name: "r" },
    { kind: "conv2d", name: "one", in: wide, out: inner, kernel: [3, 3], padding: 1 },
    { kind: "relu" },
    { kind: "conv2d", name: "two", in: inner, out: wide, kernel: [3, 3], padding: 1 },
    { kind: "add", inputs: ["two", "r"] },
    { kind: "relu" },
    { kind: "flatten" },
    { kind: "dense", name: "fc", in: wide * 16, out: 3 },
    { kind: "log-softmax" },
  ],
});

function costsOf(wide: number, inner: number, multiple = 1) {
  const network = createNetwork(residual(wide, inner), { seed: 1 });
  const { graph, opsets } = onnxOfNetwork(network);
  const spec = graph as GraphSpec;
  const traced = traceChannels({ graph: spec, opsets, shapes: new Map([["input", [2, 4, 4, 4]]]) });
  // Operations a weight that do not depend on the widths.
  const infos = network.params().map((info, layer) => ({ ...info, flopsPerWeight: 5 + layer }));
  const pruned = new Set(infos.map(({ name }) => name));
  const { sets, extents } = channelSets({ graph: spec, traced, pruned, offsets: new Set() });
  // A table that is no parameter of the network takes bytes too.
  const packed = networkGraph(network);
  const table = { dims: [20, 30], data: new Float32Array(600).fill(0.5) };
  const whole = { ...packed, tensors: new Map([...packed.tensors, ["table", table]]) };
  return { sets, graph: whole, costs: channelCosts({ extents, infos, multiple, packed: { graph: whole } }) };
}

/** One row a group, as a run of channels has them. */
function paramsOf(sets: readonly ChannelSet[]): readonly FlatParam[] {
  let start = 0;
  return sets.map(({ name, count }) => {
    const param = {
      name,
      shape: [count, 1],
      rows: count,
      cols: 1,
      size: count,
      start,
      prunable: true,
      flopsPerWeight: 1,
    };
    start += count;
    return param;
  });
}

/** A recurrent network of so many hidden units, written out step by step when it is packed, with the costs of its units. */
function recurrentCosts(op: "LSTM" | "GRU", directions: number, hidden: number) {
  const [taken, steps, gates] = [24, 4, op === "LSTM" ? 4 : 3];
  const tensor = (name: string, shape: readonly number[]) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const data = Float32Array.from({ length: size }, (_, i) => Math.sin(i + 1));
    return { name, dtype: "f32" as const, shape, data };
  };
  const attributes = { hidden_size: hidden, direction: directions === 2 ? "bidirectional" : "forward" };
  const node = (
    name: string,
    inputs: readonly string[],
    output: string,
    own: GraphSpec["nodes"][number]["attributes"],
  ) => {
    return { name: output, op: name, domain: "", inputs, outputs: [output], attributes: own };
  };
  const graph: GraphSpec = {
    name: "recurrent",
    nodes: [
      node(op, ["x", "w", "r", "b"], "h", attributes),
      node("ReduceMean", ["h"], "m", { axes: [0, 1], keepdims: 0 }),
      node("Gemm", ["m", "out"], "y", { transB: 1 }),
    ],
    initializers: [
      tensor("w", [directions, gates * hidden, taken]),
      tensor("r", [directions, gates * hidden, hidden]),
      tensor("b", [directions, 2 * gates * hidden]),
      tensor("out", [2, hidden]),
    ],
    inputs: [{ name: "x", dtype: "f32", shape: [steps, 1, taken] }],
    outputs: [{ name: "y", dtype: "f32" }],
  };
  const opsets = { "": 13 };
  const traced = traceChannels({ graph, opsets, shapes: new Map([["x", [steps, 1, taken]]]) });
  const pruned = new Set(["w", "r"]);
  const { sets, extents } = channelSets({ graph, traced, pruned, offsets: new Set(["b"]) });
  const { graph: packed } = onnxPackGraph({ graph, opsets, source: "recurrent" } as never);
  return { sets, costs: channelCosts({ extents, infos: [], packed: { graph: packed } }), packed };
}

test.each([
  ["LSTM", 1],
  ["LSTM", 2],
  ["GRU", 1],
  ["GRU", 2],
] as const)("hidden units of %s in %i directions cost the bytes of the network of so many units", (op, directions) => {
  const units = [{ match: "*", units: { kind: "rows" } }] as const;
  const bytes = ({ sets, costs }: ReturnType<typeof recurrentCosts>, mask: Mask): number => {
    const bound = bindBudget({ limits: [{ kind: "bytes", amount: 1 }], units, costs }, paramsOf(sets));
    const [limit] = bound.reached(mask);
    return limit!.reached * limit!.dense;
  };
  const whole = recurrentCosts(op, directions, 32);
  expect(whole.sets.map(({ count }) => count)).toEqual([32]);
  for (const kept of [20, 27, 32]) {
    const small = recurrentCosts(op, directions, kept);
    const others = whole.costs["bytes"]!.other - small.costs["bytes"]!.other;
    const mask = Uint8Array.from({ length: 32 }, (_, u) => Number(u < kept));
    // Sums of the same products in another order.
    expect(bytes(whole, mask) - others, `${kept}`).toBeCloseTo(bytes(small, new Uint8Array(kept).fill(1)), 6);
  }
  // Single weights, as masks and kept values. A GRU multiplies with its last third twice, and stores it twice.
  const { bytes: model } = costModels(whole.packed);
  const times = op === "GRU" ? 4 / 3 : 1;
  const size = times * directions * (op === "LSTM" ? 4 : 3) * 32 * 32;
  expect(model.params["r"]).toEqual([
    { fixed: size, each: 0, outputs: 1 },
    { fixed: size / 8, each: expect.closeTo(times, 12), outputs: 1 },
  ]);
});

test("what is left of a network costs what the network of those widths costs, in operations, bytes and milliseconds", () => {
  const [wide, inner] = [8, 12];
  const { sets, graph, costs } = costsOf(wide, inner);
  const units = [{ match: "*", units: { kind: "rows" } }] as const;
  const costOf = (
    kind: "flops" | "bytes" | "milliseconds",
    network: Pick<ReturnType<typeof costsOf>, "sets" | "costs">,
    mask: Mask,
  ): number => {
    const bound = bindBudget({ limits: [{ kind, amount: 1 }], units, costs: network.costs }, paramsOf(network.sets));
    const [limit] = bound.reached(mask);
    return limit!.reached * limit!.dense;
  };
  expect(sets.map(({ count }) => count)).toEqual([wide, inner]);
  // A cut at multiples of 3 leaves 6 of 8 where 5 are kept and all 8 where 7 are, on every axis that these stand on.
  for (const [kept, left] of [
    [5, 6],
    [7, 8],
  ] as const) {
    const mask = Uint8Array.from({ length: wide + inner }, (_, u) => Number(u >= wide || u < kept));
    const rounded = costsOf(wide, inner, 3);
    const small = costsOf(left, inner);
    const whole = costOf("flops", small, new Uint8Array(left + inner).fill(1));
    expect(costOf("flops", rounded, mask), `${kept}`).toBeCloseTo(whole, 6); // sums in another order
  }
  const { other, params } = costModels(graph).bytes;
  const dense = Object.values(params).reduce((sum, [way]) => sum + way!.fixed, other);
  expect(costOf("bytes", { sets, costs }, new Uint8Array(wide + inner).fill(1))).toBeCloseTo(dense, 6); // sums in another order
  for (const kind of ["flops", "bytes", "milliseconds"] as const) {
    for (const [w, i] of [
      [4, 4],
      [5, 7],
      [8, 4],
    ] as const) {
      const mask = Uint8Array.from({ length: wide + inner }, (_, u) => Number(u < wide ? u < w : u - wide < i));
      const small = costsOf(w, i);
      const whole = costOf(kind, small, new Uint8Array(w + i).fill(1));
      // Biases (bytes) and elementwise operators (milliseconds) count as in the whole network.
      const others = costs[kind]!.other - small.costs[kind]!.other;
      expect(costOf(kind, { sets, costs }, mask) - others, `${kind} ${w} ${i}`).toBeCloseTo(whole, 6); // sums in another order
    }
  }
});

test("widths that stay at a multiple are filled with the best channels, which cost nothing there, and no channel more fits", () => {
  const [wide, inner] = [16, 24];
  for (const kind of ["flops", "bytes", "milliseconds"] as const) {
    for (const amount of [0.3, 0.5, 0.8]) {
      const { sets, costs } = costsOf(wide, inner, 8);
      const units = [{ match: "*", units: { kind: "rows" } }] as const;
      const bound = bindBudget({ limits: [{ kind, amount }], units, costs }, paramsOf(sets));
      const score = Float64Array.from({ length: wide + inner }, (_, u) => ((u * 7) % 40) + 1);
      const mask = bound.constraint(bound.sparsity, referenceKernels).select(score);
      expect(bound.reached(mask)[0]!.reached, `${kind} ${amount}`).toBeLessThanOrEqual(amount * (1 + 1e-9)); // the limit's own slack
      for (const own of [mask.slice(0, wide), mask.slice(wide)]) {
        const kept = own.filter((bit) => bit === 1).length;
        expect(kept % 8, `${kind} ${amount}: ${kept} kept`).toBe(0);
      }
      const scores = (bit: number) => [...score.subarray(0, wide)].filter((_, u) => mask[u] === bit);
      expect(Math.min(...scores(1)), "the best of a set stay").toBeGreaterThan(Math.max(-1, ...scores(0)));
    }
  }
});
