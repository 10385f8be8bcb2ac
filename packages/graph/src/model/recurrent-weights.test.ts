import { describeModel } from "@secateur/conformance";
import { createRunContext, type Dataset, tensorDataset } from "@secateur/core";
import { expect, test } from "vitest";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { createGraphModel } from "./graph-model.ts";

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

/** Three steps of sound of two numbers through an LSTM both ways, a GRU, and a dense layer on its last state. */
const sounds: GraphSpec = {
  name: "sounds",
  nodes: [
    node("Transpose", ["x"], "steps", { perm: [1, 0, 2] }),
    node("LSTM", ["steps", "lw", "lr", "lb"], "both", { hidden_size: 2, direction: "bidirectional" }),
    node("Transpose", ["both"], "turned", { perm: [0, 2, 1, 3] }),
    node("Reshape", ["turned", "joined"], "features"),
    { ...node("GRU", ["features", "gw", "gr"], ""), outputs: ["", "state"], attributes: { hidden_size: 3 } },
    node("Squeeze", ["state", "first"], "last"),
    node("Gemm", ["last", "out"], "logits", { transB: 1 }),
  ],
  initializers: [
    ...[wave("lw", 2, 8, 2), wave("lr", 2, 8, 2), wave("lb", 2, 16), wave("gw", 1, 9, 4), wave("gr", 1, 9, 3)],
    wave("out", 3, 3),
    { name: "joined", dtype: "i64", shape: [3], data: BigInt64Array.of(0n, 0n, 4n) },
    { name: "first", dtype: "i64", shape: [1], data: BigInt64Array.of(0n) },
  ],
  inputs: [{ name: "x", dtype: "f64", shape: ["batch", 3, 2] }],
  outputs: [{ name: "logits", dtype: "f64", shape: ["batch", 3] }],
};
const data: Dataset = tensorDataset({
  inputs: { x: { shape: [10, 3, 2], data: Float64Array.from({ length: 60 }, (_, i) => Math.sin(i * i)) } },
  targets: { labels: { shape: [10], data: Uint32Array.from({ length: 10 }, (_, i) => i % 3) } },
  classes: { labels: 3 },
});
const open = (graph = sounds) => createGraphModel({ graph, opsets: { "": 17 }, dtype: "f64" });

/** The same with a GRU that resets what its weights give, not the state that goes into them: all its rows see one state. */
const resetAfter: GraphSpec = {
  ...sounds,
  nodes: sounds.nodes.map((one) =>
    one.op === "GRU" ? { ...one, attributes: { ...one.attributes, linear_before_reset: 1 } } : one,
  ),
};

await describeModel({ test, name: "a graph over sounds", create: open, data });

test("weights of LSTM and GRU are pruned, one row for each gate and number of a state", () => {
  const shapes = open()
    .params()
    .map(({ name, rows, cols }) => [name, rows, cols]);
  expect(shapes).toEqual([
    ["lw", 16, 2],
    ["lr", 16, 2],
    ["gw", 9, 4],
    ["gr", 9, 3],
    ["out", 3, 3],
  ]);
  // Its bias has two dimensions and is no weight that stays dense.
  expect(open().keptDense).toEqual([]);
});

test("a graph without parameters of its own, as it is packed, computes the same", async () => {
  const batch = await data.batch(Uint32Array.of(0, 1, 2));
  const found = await open().run!(batch, createRunContext());
  // Weights that are doubled and halved again are computed, and no parameters.
  const doubled = (name: string): NodeSpec[] => [
    node("Add", [name, name], `${name} twice`),
    node("Mul", [`${name} twice`, "half"], `${name} again`),
  ];
  const nodes = sounds.nodes.map((one) => ({
    ...one,
    inputs: one.inputs.map((n) => (/^[lg][wr]$/.test(n) ? `${n} again` : n)),
  }));
  const graph = {
    ...sounds,
    nodes: [...["lw", "lr", "gw", "gr"].flatMap(doubled), ...nodes],
    initializers: [...sounds.initializers, { name: "half", dtype: "f64", shape: [], data: Float64Array.of(0.5) }],
  };
  const other = createGraphModel({ graph, opsets: { "": 17 }, dtype: "f64" });
  expect(other.params().map(({ name }) => name)).toEqual(["out"]);
  const wanted = await other.run!(batch, createRunContext());
  found["logits"]!.data.forEach((value: number, i: number) => {
    // f64, some hundred operations.
    expect(value).toBeCloseTo(wanted["logits"]!.data[i]!, 12);
  });
});

test("what the state is multiplied with is handed out for every step, and what comes after it sees the weights that are written then", async () => {
  const model = open(resetAfter);
  const params = ["lw", "gw", "gr", "out"];
  const request = { params, data, examples: Uint32Array.of(4, 1), inputs: "sequential" } as const;
  const rows = new Map<string, number[][]>();
  for await (const { targets, chunks, cols } of model.layerInputs!(request, createRunContext())) {
    const own: number[][] = [];
    for await (const chunk of chunks) {
      for (let i = 0; i < chunk.data.length; i += cols) own.push([...chunk.data.subarray(i, i + cols)]);
    }
    const [{ param }] = targets as [(typeof targets)[0]];
    rows.set(param, own);
    // A GRU without any weights on its state.
    if (param === "gr") {
      const w = await model.read("gr");
      await model.write("gr", { ...w, data: w.data.map(() => 0) });
    }
  }
  // Three steps of two examples.
  expect([...rows].map(([param, { length }]) => [param, length])).toEqual([
    ["lw", 6],
    ["gw", 6],
    ["gr", 6],
    ["out", 2],
  ]);
  // The first state is zero.
  expect(
    rows
      .get("gr")!
      .slice(0, 2)
      .flat()
      .every((value) => value === 0),
  ).toBe(true);
  const parallel: number[][] = [];
  for await (const { targets, chunks, cols } of open(resetAfter).layerInputs!(
    { ...request, inputs: "parallel" },
    createRunContext(),
  )) {
    for await (const chunk of chunks) {
      if (targets[0]!.param !== "out") continue;
      for (let i = 0; i < chunk.data.length; i += cols) parallel.push([...chunk.data.subarray(i, i + cols)]);
    }
  }
  expect(rows.get("out")).not.toEqual(parallel);
  const asWritten = await model.layerInputs!({ ...request, params: ["out"] }, createRunContext())
    [Symbol.asyncIterator]()
    .next();
  const now: number[][] = [];
  for await (const chunk of asWritten.value.chunks) {
    for (let i = 0; i < chunk.data.length; i += 3) now.push([...chunk.data.subarray(i, i + 3)]);
  }
  expect(rows.get("out")).toEqual(now);
});

test("moments want one state for all rows of a weight", async () => {
  for (const [param, why] of [
    ["lr", /'lr'.*each direction of its LSTM/],
    ["gr", /'gr'.*some rows of its GRU/],
  ] as const) {
    const request = { params: [param], data, examples: Uint32Array.of(0) };
    const moments = { ...request, temperature: 1, gradient: false, centred: false };
    await expect(open().layerMoments!(moments, createRunContext())).rejects.toMatchObject({
      code: "ERR_NO_DERIVATIVE",
      message: expect.stringMatching(why),
    });
  }
});

test("a GRU that resets its state before the product hands out the state for its gates and the reset state for its new values, by direction", async () => {
  const hidden = 2;
  const weights = { w: wave("w", 2, 6, 2), r: wave("rr", 2, 6, 2) };
  const graph: GraphSpec = {
    ...sounds,
    nodes: [
      node("Transpose", ["x"], "steps", { perm: [1, 0, 2] }),
      node("GRU", ["steps", "w", "rr"], "both", { hidden_size: hidden, direction: "bidirectional" }),
    ],
    initializers: [weights.w, weights.r],
    outputs: [{ name: "both", dtype: "f64", shape: [3, 2, "batch", hidden] }],
  };
  const examples = Uint32Array.of(3, 0);
  const request = { params: ["rr"], data, examples, inputs: "sequential" } as const;
  const found: unknown[] = [];
  const model = createGraphModel({ graph, opsets: { "": 17 }, dtype: "f64" });
  for await (const { targets, chunks } of model.layerInputs!(request, createRunContext())) {
    const rows: number[] = [];
    for await (const chunk of chunks) rows.push(...chunk.data);
    found.push([targets.map(({ firstRow, rows: own }) => [firstRow, own]), rows]);
  }
  // The equations of the operator, one example after the other.
  const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));
  const { inputs } = await data.batch(examples);
  const x = (example: number, t: number): number[] => [...inputs["x"]!.data].slice((3 * example + t) * 2).map(Number);
  const product = ({ data: m }: GraphTensor, row: number, v: readonly number[]): number =>
    [0, 1].reduce((sum, j) => sum + Number(m![2 * row + j]) * v[j]!, 0);
  const wanted = [0, 1].map((d) => {
    const [states, resets]: number[][][] = [[], []];
    let h = [0, 1].map(() => [0, 0]);
    for (const t of d === 0 ? [0, 1, 2] : [2, 1, 0]) {
      const gates = h.map((own, e) =>
        [0, 1, 2, 3].map((g) => sigmoid(product(weights.w, 6 * d + g, x(e, t)) + product(weights.r, 6 * d + g, own))),
      );
      const reset = h.map((own, e) => own.map((value, j) => gates[e]![2 + j]! * value));
      states!.push(h.flat());
      resets!.push(reset.flat());
      h = h.map((own, e) =>
        own.map((value, j) => {
          const row = 6 * d + 4 + j;
          const fresh = Math.tanh(product(weights.w, row, x(e, t)) + product(weights.r, row, reset[e]!));
          return (1 - gates[e]![j]!) * fresh + gates[e]![j]! * value;
        }),
      );
    }
    return [
      [[[6 * d, 4]], states!.flat()],
      [[[6 * d + 4, 2]], resets!.flat()],
    ];
  });
  // The same operations in another order of addition.
  const digits = (value: unknown): unknown =>
    Array.isArray(value) ? value.map(digits) : Number((value as number).toFixed(12)) + 0;
  expect(digits(found)).toEqual(digits(wanted.flat()));
});

test("states of each direction are handed out for its own rows", async () => {
  const request = { params: ["lr"], data, examples: Uint32Array.of(3, 0), inputs: "sequential" } as const;
  const seen: { firstRow: number; rows: number[][] }[] = [];
  for await (const { targets, chunks, cols } of open().layerInputs!(request, createRunContext())) {
    const rows: number[][] = [];
    for await (const chunk of chunks) {
      for (let i = 0; i < chunk.data.length; i += cols) rows.push([...chunk.data.subarray(i, i + cols)]);
    }
    expect(targets).toMatchObject([{ param: "lr", rows: 8 }]);
    seen.push({ firstRow: targets[0]!.firstRow, rows });
  }
  expect(seen.map(({ firstRow, rows }) => [firstRow, rows.length])).toEqual([
    [0, 6],
    [8, 6],
  ]);
  // What each direction begins with, and after it what it has made of the first and of the last step.
  for (const { rows } of seen) expect(rows.slice(0, 2).flat()).toEqual([0, 0, 0, 0]);
  const states = createGraphModel({
    graph: { ...sounds, outputs: [{ name: "both", dtype: "f64", shape: [3, 2, "batch", 2] }] },
    ...{ opsets: { "": 17 }, dtype: "f64" },
  });
  const { both } = await states.run!(await data.batch(Uint32Array.of(3, 0)), createRunContext());
  // Examples come first, whatever the graph has.
  expect(both!.shape).toEqual([2, 3, 2, 2]);
  const at = (step: number, direction: number): number[] =>
    [0, 1].flatMap((example) => {
      const start = ((example * 3 + step) * 2 + direction) * 2;
      return [...both!.data.subarray(start, start + 2)];
    });
  expect(seen[0]!.rows.slice(2).flat()).toEqual([...at(0, 0), ...at(1, 0)]);
  expect(seen[1]!.rows.slice(2).flat()).toEqual([...at(2, 1), ...at(1, 1)]);
});

test("a weight costs what it is multiplied with: once for every step", () => {
  const costs = open()
    .params()
    .map(({ name, flopsPerWeight }) => [name, flopsPerWeight / 2]);
  // Three steps of time; also for a GRU that multiplies its reset state apart.
  expect(costs).toEqual([
    ["lw", 3],
    ["lr", 3],
    ["gw", 3],
    ["gr", 3],
    ["out", 1],
  ]);
});
