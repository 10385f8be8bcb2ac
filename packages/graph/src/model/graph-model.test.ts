import { describeModel } from "@secateur/conformance";
import { arrayDataset, createRunContext, type Dataset, type Dtype, matrix, tensorDataset } from "@secateur/core";
import { describe, expect, test } from "vitest";
import type { GraphSpec, GraphTensor, NodeSpec } from "../graph-spec.ts";
import { createGraphModel, type GraphModel } from "./graph-model.ts";

const node = (op: string, inputs: string[], output: string, attributes: NodeSpec["attributes"] = {}): NodeSpec => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes },
});
const wave = (name: string, ...shape: number[]): GraphTensor => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const data = Float64Array.from({ length: size }, (_, i) => 0.7 * Math.sin(1.3 * i + name.length + shape.length));
  return { name, dtype: "f64", shape, data };
};
const list = (name: string, ...numbers: number[]): GraphTensor => ({
  name,
  dtype: "i64",
  shape: [numbers.length],
  data: BigInt64Array.from(numbers, BigInt),
});

/** Images through what image networks are made of: groups, strides, a normalisation, two branches, a dense layer both ways round. */
const images: GraphSpec = {
  name: "images",
  nodes: [
    node("Conv", ["x", "c1", "b1"], "h1", { pads: [1, 1, 1, 1] }),
    node("BatchNormalization", ["h1", "scale", "shift", "mean", "variance"], "n1"),
    node("HardSwish", ["n1"], "a1"),
    node("Conv", ["a1", "c2"], "h2", { pads: [1, 1, 1, 1], group: 4, strides: [2, 1] }),
    node("Sigmoid", ["h2"], "gate"),
    node("Mul", ["h2", "gate"], "a2"),
    node("ConvTranspose", ["a2", "t1"], "up", { strides: [2, 1], pads: [1, 1, 0, 1] }),
    node("Concat", ["up", "a1"], "both", { axis: 1 }),
    node("GlobalAveragePool", ["both"], "pooled"),
    node("Flatten", ["pooled"], "flat"),
    node("Identity", ["d1"], "d1 again"),
    node("Transpose", ["d1 again"], "d1 turned"),
    node("MatMul", ["flat", "d1 turned"], "m"),
    node("Tanh", ["m"], "t"),
    node("Gemm", ["t", "d2", "b2"], "scores"),
    node("Softmax", ["scores"], "p"),
  ],
  initializers: [
    wave("c1", 4, 2, 3, 3),
    wave("b1", 4),
    { ...wave("scale", 4), data: Float64Array.of(1, 0.5, 2, 1) },
    wave("shift", 4),
    wave("mean", 4),
    { ...wave("variance", 4), data: Float64Array.of(1, 2, 0.5, 1) },
    wave("c2", 4, 1, 3, 3),
    wave("t1", 4, 2, 3, 3),
    wave("d1", 5, 6),
    wave("d2", 5, 3),
    wave("b2", 3),
  ],
  inputs: [{ name: "x", dtype: "f64", shape: ["batch", 2, 4, 5] }],
  outputs: [{ name: "p", dtype: "f64", shape: ["batch", 3] }],
};

/** A row of tokens through an attention, with shapes that the graph computes, then a mean over positions. */
const tokens: GraphSpec = {
  name: "tokens",
  nodes: [
    node("Gather", ["embedding", "ids"], "e"),
    node("MatMul", ["e", "wq"], "q"),
    node("MatMul", ["e", "wk"], "k"),
    node("Transpose", ["k"], "kt", { perm: [0, 2, 1] }),
    node("MatMul", ["q", "kt"], "weights"),
    node("Shape", ["ids"], "size"),
    node("Gather", ["size", "last"], "length", { axis: 0 }),
    node("Concat", ["one", "length", "length"], "square", { axis: 0 }),
    node("ConstantOfShape", ["square"], "mask"),
    node("Add", ["weights", "mask"], "masked"),
    node("Softmax", ["masked"], "attention", { axis: -1 }),
    node("MatMul", ["attention", "e"], "mixed"),
    node("LayerNormalization", ["mixed", "g", "h"], "normed"),
    node("MatMul", ["normed", "wq"], "shared"),
    node("Gelu", ["shared"], "active"),
    node("ReduceMean", ["active", "positions"], "mean", { keepdims: 0 }),
    node("Gemm", ["mean", "out"], "logits", { transB: 1 }),
  ],
  initializers: [
    wave("embedding", 7, 4),
    wave("wq", 4, 4),
    wave("wk", 4, 4),
    wave("g", 4),
    wave("h", 4),
    wave("out", 3, 4),
    list("last", 1),
    list("one", 1),
    list("positions", 1),
  ],
  inputs: [{ name: "ids", dtype: "i64", shape: ["batch", "length"] }],
  outputs: [{ name: "logits", dtype: "f64", shape: ["batch", 3] }],
};

const opsets = { "": 20 };
const labels = Uint32Array.from({ length: 10 }, (_, i) => i % 3);
const imageData = (dtype: Dtype = "f64"): Dataset => {
  const numbers = Float64Array.from({ length: 400 }, (_, i) => Math.sin(0.37 * i * i));
  const data = dtype === "f64" ? numbers : Float32Array.from(numbers);
  return arrayDataset({ inputs: matrix(10, 40, data), labels, inputShape: [2, 4, 5] });
};
const tokenData = tensorDataset({
  inputs: { ids: { shape: [10, 6], data: Int32Array.from({ length: 60 }, (_, i) => (i * i) % 7) } },
  targets: { labels: { shape: [10], data: labels } },
  classes: { labels: 3 },
});

await describeModel({
  test,
  name: "a graph over images",
  create: () => createGraphModel({ graph: images, opsets, dtype: "f64" }),
  data: imageData(),
});
await describeModel({
  test,
  name: "a graph over tokens",
  create: () => createGraphModel({ graph: tokens, opsets, dtype: "f64" }),
  data: tokenData,
});

describe("what layers are multiplied with", () => {
  /** The rows of all chunks of every entry, by weight and first row. */
  async function rowsOf(model: GraphModel, data: Dataset, inputs: "sequential" | "parallel", change?: string) {
    const found = new Map<string, number[][]>();
    const params = model.params().flatMap(({ name }) => (name === "t1" || name === "wq" ? [] : [name]));
    const examples = Uint32Array.of(3, 0, 7);
    for await (const entry of model.layerInputs!({ params, data, examples, inputs }, createRunContext())) {
      const rows: number[][] = [];
      for await (const { data: numbers, cols } of entry.chunks) {
        for (let i = 0; i < numbers.length; i += cols) rows.push([...numbers.subarray(i, i + cols)]);
      }
      for (const { param, firstRow } of entry.targets) found.set(`${param} ${firstRow}`, rows);
      const isChanged = entry.targets.some(({ param }) => param === change);
      if (isChanged) await model.write(change!, { ...(await model.read(change!)), data: new Float64Array(72) });
    }
    return found;
  }
  const open = () => createGraphModel({ graph: images, opsets, dtype: "f64" });

  test("gives the layer's outputs when multiplied: groups, strides that differ, weights stored transposed", async () => {
    // The value behind each weight, as the only output of the same graph.
    for (const [param, value, bias] of [
      ["c1", "h1", "b1"],
      ["c2", "h2", undefined],
      ["d1", "m", undefined],
      ["d2", "scores", "b2"],
    ] as const) {
      const outputs = [{ name: value, dtype: "f64", shape: ["batch"] }];
      const part = createGraphModel({ graph: { ...images, outputs }, opsets, dtype: "f64" });
      const data = imageData();
      const rows = await rowsOf(open(), data, "parallel");
      const w = await part.read(param);
      const { [value]: y } = await part.run!(await data.batch(Uint32Array.of(3, 0, 7)), createRunContext());
      const offset = images.initializers.find(({ name }) => name === bias)?.data;
      const [n, outs, ...space] = y!.shape as [number, number, ...number[]];
      const positions = space.reduce((product, extent) => product * extent, 1);
      for (const [key, inputs] of rows) {
        const [name, first] = key.split(" ");
        if (name !== param) continue;
        expect(inputs).toHaveLength(n * positions);
        const own = rows.has(`${param} 1`) ? 1 : outs;
        for (let o = Number(first); o < Number(first) + own; o++) {
          inputs.forEach((row, i) => {
            const sum = row.reduce((total, x, j) => total + x * w.data[o * w.cols + j]!, Number(offset?.[o] ?? 0));
            const at = (Math.floor(i / positions) * outs + o) * positions + (i % positions);
            expect(sum).toBeCloseTo(y!.data[at]!, 10);
          });
        }
      }
    }
  });

  test("follows the weights that are written, or those that were there at first", async () => {
    const before = await rowsOf(open(), imageData(), "sequential");
    const after = await rowsOf(open(), imageData(), "sequential", "c1");
    const parallel = await rowsOf(open(), imageData(), "parallel", "c1");
    expect(parallel).toEqual(before);
    expect(after.get("c1 0")).toEqual(before.get("c1 0"));
    expect(after.get("c2 0")).not.toEqual(before.get("c2 0"));
  });

  test("is taken in one pass where inputs that are still needed may wait, and weight by weight where they are too many", async () => {
    const width = 20_000;
    const numbers = new Float32Array(512 * width);
    let loaded = 0;
    const wide: Dataset = {
      ...{ name: "wide", size: 6_800, inputs: [{ name: "x", shape: [width], dtype: "f32" }] },
      async batch({ length }) {
        loaded += length;
        return { size: length, inputs: { x: { shape: [length, width], data: numbers.subarray(0, length * width) } } };
      },
    };
    const graph: GraphSpec = {
      name: "wide",
      nodes: [
        ...[
          node("Gather", ["x", "two"], "g", { axis: 1 }),
          node("MatMul", ["g", "a"], "h"),
          node("MatMul", ["h", "b"], "k"),
        ],
        ...[node("Gather", ["x", "two"], "l", { axis: 1 }), node("Add", ["k", "l"], "y")],
      ],
      initializers: [wave("a", 2, 2), wave("b", 2, 2), list("two", 0, 1)],
      inputs: [{ name: "x", dtype: "f32", shape: ["n", width] }],
      outputs: [{ name: "y", dtype: "f32", shape: ["n", 2] }],
    };
    const model = createGraphModel({ graph, opsets });
    const passes = async (count: number): Promise<number> => {
      loaded = 0;
      const examples = Uint32Array.from({ length: count }, (_, i) => i);
      const request = { params: ["a", "b"], data: wide, examples, inputs: "sequential" } as const;
      for await (const { chunks } of model.layerInputs!(request, createRunContext())) for await (const _ of chunks);
      return Math.floor(loaded / count);
    };
    // 6,800 examples of 20,000 numbers are more than the 512 MiB of f32 that may wait.
    expect([await passes(600), await passes(6_800)]).toEqual([1, 2]);
  });

  test("comes together for products of one value, and is refused for weights of several nodes", async () => {
    const nodes = tokens.nodes.map((one) => (one.name === "shared" ? node("Identity", ["normed"], "shared") : one));
    const model = createGraphModel({ graph: { ...tokens, nodes }, opsets, dtype: "f64" });
    const request = { params: ["wq", "wk"], data: tokenData, examples: Uint32Array.of(0), inputs: "parallel" } as const;
    const targets: string[][] = [];
    for await (const entry of model.layerInputs!(request, createRunContext())) {
      targets.push(entry.targets.map(({ param }) => param));
      for await (const chunk of entry.chunks) expect(chunk.rows).toBe(6);
    }
    expect(targets).toEqual([["wq", "wk"]]);
    const shared = createGraphModel({ graph: tokens, opsets, dtype: "f64" }).layerInputs!(request, createRunContext());
    await expect(shared[Symbol.asyncIterator]().next()).rejects.toThrow(/several nodes/);
  });
});

describe("statistics of batch normalisation", () => {
  test("follow weights that are scaled, so that the network computes what it computed", async () => {
    const model = createGraphModel({ graph: images, opsets, dtype: "f64" });
    const [data, ctx] = [imageData(), createRunContext()];
    const batch = await data.batch(Uint32Array.of(0, 1, 2));
    const { p: dense } = await model.run!(batch, ctx);
    const reference = await model.channelStatistics!(data, ctx);
    const w = await model.read("c1");
    await model.write("c1", { ...w, data: w.data.map((x: number) => 3 * x) });
    const { p: scaled } = await model.run!(batch, ctx);
    await model.matchStatistics!(reference, data, ctx);
    const { p: matched } = await model.run!(batch, ctx);
    // What is left is the epsilon of 1e-5 beside variances near 1, and the bias, which does not scale.
    dense!.data.forEach((score: number, i: number) => {
      expect(Math.abs(score - matched!.data[i]!)).toBeLessThan(1e-4);
    });
    expect(
      Math.max(...dense!.data.map((score: number, i: number) => Math.abs(score - scaled!.data[i]!))),
    ).toBeGreaterThan(1e-2);
    expect([...model.changedOffsets().keys()].map(({ name }) => name)).toEqual(["mean", "variance"]);
    model.restoreStatistics!();
    expect(model.changedOffsets().size).toBe(0);
    expect((await model.run!(batch, ctx)).p!.data).toEqual(scaled!.data);
  });

  test("stay what they are while weights do", async () => {
    const model = createGraphModel({ graph: images, opsets, dtype: "f64" });
    const [data, ctx] = [imageData(), createRunContext()];
    await model.matchStatistics!(await model.channelStatistics!(data, ctx), data, ctx);
    expect(model.changedOffsets().size).toBe(0);
  });

  test("are no concern of a graph without them", () => {
    expect(createGraphModel({ graph: tokens, opsets }).channelStatistics).toBeUndefined();
  });
});

describe("a graph as a model", () => {
  test("says which tensors are its weights, canonical and with what they cost, and why others stay dense", () => {
    const model = createGraphModel({ graph: tokens, opsets });
    expect(model.params()).toMatchObject([
      { name: "wq", rows: 4, cols: 4 },
      { name: "wk", rows: 4, cols: 4 },
      { name: "out", rows: 3, cols: 4, flopsPerWeight: 2 },
    ]);
    expect(model.keptDense).toEqual([{ name: "embedding", reason: "embedding" }]);
    const costs = createGraphModel({ graph: images, opsets }).params();
    expect(costs.map(({ name, flopsPerWeight }) => [name, flopsPerWeight])).toEqual([
      ["c1", 2 * 20],
      ["c2", 2 * 10],
      ["t1", 2 * 10],
      ["d1", 2],
      ["d2", 2],
    ]);
  });

  test("gives scores where the graph ends in a softmax", async () => {
    const model = createGraphModel({ graph: images, opsets, dtype: "f64" });
    const batch = await imageData().batch(Uint32Array.of(0, 1));
    const { p } = await model.run!(batch, createRunContext());
    expect(p!.shape).toEqual([2, 3]);
    expect(p!.data.some((score: number) => score < 0)).toBe(true);
    expect(model.outputs).toMatchObject([{ name: "p", classes: 3 }]);
  });

  test("stores weights as the graph has them", async () => {
    const model = createGraphModel({ graph: images, opsets, dtype: "f64" });
    for (const { name } of model.params()) {
      const { tensor, data } = model.stored(name);
      expect([...data]).toEqual([...(tensor.data as Float64Array)]);
      const w = await model.read(name);
      await model.write(name, { ...w, data: w.data.map((x: number, i: number) => (i === 5 ? 0 : x)) });
      const zeros = model.stored(name).data.filter((x: number) => x === 0);
      expect(zeros).toHaveLength(1);
    }
    expect([...model.written]).toEqual(["c1", "c2", "t1", "d1", "d2"]);
  });

  test("that takes a fixed number of examples runs any number of them, and has the same gradients", async () => {
    const fixed = { ...images, inputs: [{ name: "x", dtype: "f64", shape: [4, 2, 4, 5] }] };
    const [one, other] = [images, fixed].map((graph) => createGraphModel({ graph, opsets, dtype: "f64" })) as [
      ReturnType<typeof createGraphModel>,
      ReturnType<typeof createGraphModel>,
    ];
    const ctx = createRunContext();
    const data = imageData();
    const batch = await data.batch(Uint32Array.from({ length: 10 }, (_, i) => i));
    const [p, q] = [(await one.run!(batch, ctx)).p!, (await other.run!(batch, ctx)).p!];
    expect(q.shape).toEqual(p.shape);
    // The kernels sum the same numbers in the same order.
    q.data.forEach((value: number, i: number) => {
      expect(value).toBeCloseTo(p.data[i]!, 12);
    });
    const request = { params: ["c1", "d1"], data, examples: Uint32Array.of(1, 4, 6, 9, 3, 2), batch: 2 };
    const [rows, same] = [await one.gradientRows!(request, ctx), await other.gradientRows!(request, ctx)];
    expect(same.loss).toBeCloseTo(rows.loss, 12);
    const numbers = (from: typeof rows) =>
      from.blocks.flatMap((block) => [...(block.kind === "dense" ? block.rows.data : block.delta.data)]);
    numbers(same).forEach((value, i) => {
      expect(value).toBeCloseTo(numbers(rows)[i]!, 12);
    });
  });

  test("with unknown operators has its weights, and says what it cannot do", () => {
    const nodes = [...images.nodes.slice(0, -1), { ...node("Mystery", ["scores"], "p"), domain: "com.example" }];
    const model = createGraphModel({ graph: { ...images, nodes }, opsets: { ...opsets, "com.example": 1 } });
    expect(model.params()).toHaveLength(5);
    expect(model.evaluate).toBeUndefined();
    expect([...model.unknownOperators]).toEqual([["com.example.Mystery", 1]]);
  });

  test.each([
    [
      "of another shape",
      { x: { shape: [2, 3, 4, 5], data: new Float32Array(120) } },
      /input 'x': found examples of shape \[3, 4, 5\]/,
    ],
    [
      "of another name",
      { a: { shape: [2, 1], data: new Float32Array(2) }, b: { shape: [2, 1], data: new Float32Array(2) } },
      /inputs a, b/,
    ],
  ])("refuses inputs %s", async (_what, inputs, says) => {
    const model = createGraphModel({ graph: images, opsets });
    await expect(model.run!({ size: 2, inputs }, createRunContext())).rejects.toThrow(says);
  });

  test("refuses more examples at once than memory is made for, and operands that do not go together", async () => {
    const relu: GraphSpec = {
      ...{ name: "fixed", nodes: [node("Relu", ["x"], "y")], initializers: [] },
      inputs: [{ name: "x", dtype: "f32", shape: [2 ** 31, 4] }],
      outputs: [{ name: "y", dtype: "f32", shape: [2 ** 31, 4] }],
    };
    const batch = (width: number) => ({ size: 1, inputs: { x: { shape: [1, width], data: new Float32Array(width) } } });
    const fixed = createGraphModel({ graph: relu, opsets });
    await expect(fixed.run!(batch(4), createRunContext())).rejects.toMatchObject({ code: "ERR_GRAPH_INPUT" });
    // Weights in f64, inputs in f32: a type error of the file, found by the kernels.
    const mixed: GraphSpec = {
      ...{ name: "mixed", nodes: [node("Gemm", ["x", "w"], "y", { transA: 1 })] },
      initializers: [{ ...wave("w", 1, 2), dtype: "i64", data: BigInt64Array.of(1n, 2n) }],
      inputs: [{ name: "x", dtype: "f32", shape: ["n", 3] }],
      outputs: [{ name: "y", dtype: "f32", shape: ["n", 2] }],
    };
    const model = createGraphModel({ graph: mixed, opsets });
    await expect(model.run!(batch(3), createRunContext())).rejects.toMatchObject({ code: "ERR_GRAPH_NODE" });
  });
});
