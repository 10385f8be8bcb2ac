import { describe, expect, test } from "vitest";
import { randomNumbers } from "../../session.test-support.ts";
import { load } from "../../session.ts";
import { batchPair, openBatch } from "../open-batch.ts";
import type { DenseTensor, PackGraph } from "../pack-graph.ts";
import { packGraph } from "../pack-graph-file.ts";
import { lowerOnnx } from "./lower-onnx.ts";
import type { OnnxLikeGraph, OnnxLikeNode, OnnxLikeTensor } from "./lowering.ts";

const random = randomNumbers(3);
const tensor = (name: string, shape: readonly number[], data?: readonly number[]): OnnxLikeTensor => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return { name, dtype: "f32", shape, data: data ?? Float32Array.from({ length: size }, random) };
};
const whole = (name: string, data: readonly number[]): OnnxLikeTensor => ({
  name,
  dtype: "i64",
  shape: [data.length],
  data: data.map(BigInt),
});
const node = (
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: OnnxLikeNode["attributes"] = {},
): OnnxLikeNode => ({
  name: output,
  op,
  domain: "",
  inputs,
  outputs: [output],
  attributes,
});

/** A convolution, its normalisation, a branch, a flattening, a product with weights as [features, outputs]. */
const onnx: OnnxLikeGraph = {
  inputs: [{ name: "x", dtype: "f32", shape: [1, 2, 6, 5] }],
  outputs: [{ name: "y" }],
  initializers: [
    tensor("w", [4, 2, 3, 3]),
    tensor("gamma", [4]),
    tensor("beta", [4]),
    tensor("mean", [4]),
    tensor("variance", [4], [1, 2, 0.5, 1.5]),
    tensor("v", [4, 4, 1, 1]),
    tensor("half", [], [0.5]),
    whole("target", [1, -1]),
    tensor("m", [4 * 3 * 3, 3]),
    tensor("b", [3]),
  ],
  nodes: [
    node("Conv", ["x", "w"], "c", { pads: [1, 1, 1, 1], strides: [2, 2] }),
    node("BatchNormalization", ["c", "gamma", "beta", "mean", "variance"], "n", { epsilon: 1e-3 }),
    node("Relu", ["n"], "r"),
    node("Conv", ["r", "v"], "d"),
    node("Add", ["d", "r"], "s"),
    node("Mul", ["s", "half"], "h"),
    node("Reshape", ["h", "target"], "f"),
    node("MatMul", ["f", "m"], "p"),
    node("Add", ["p", "b"], "o"),
    node("Softmax", ["o"], "y", { axis: 1 }),
  ],
};

/** The same network written down for the packer. */
function byHand(): PackGraph {
  const get = (name: string): DenseTensor => {
    const { shape, data } = onnx.initializers.find((held) => held.name === name)!;
    return { dims: shape, data: Float32Array.from(data as ArrayLike<number>) };
  };
  const m = get("m").data;
  const transposed = Float32Array.from(m, (_, i) => m[(i % 36) * 3 + Math.floor(i / 36)]!);
  const operator = (
    op: string,
    inputs: readonly string[],
    tensors: readonly string[],
    output: string,
    attributes = {},
  ) => ({
    ...{ op, name: output, inputs, tensors, output, attributes },
  });
  return {
    inputs: [{ name: "x", dims: ["batch", 2, 6, 5] }],
    outputs: [{ name: "y", dims: ["batch", 3] }],
    tensors: new Map([
      ...["w", "gamma", "beta", "mean", "variance", "v", "b"].map((name) => [name, get(name)] as const),
      ["half", { dims: [4], data: new Float32Array(4).fill(0.5) }],
      ["none", { dims: [4], data: new Float32Array(4) }],
      ["m", { dims: [3, 36], data: transposed }],
    ]),
    operators: [
      operator("Conv", ["x"], ["w"], "c", { pads: [1, 1, 1, 1], strides: [2, 2] }),
      operator("BatchNormalization", ["c"], ["gamma", "beta", "mean", "variance"], "n", { epsilon: 1e-3 }),
      operator("Relu", ["n"], [], "r"),
      operator("Conv", ["r"], ["v"], "d"),
      operator("Add", ["d", "r"], [], "s"),
      operator("ScaleShift", ["s"], ["half", "none"], "h"),
      operator("Flatten", ["h"], [], "f"),
      operator("Gemm", ["f"], ["m", "b"], "p"),
      operator("Softmax", ["p"], [], "y"),
    ],
  };
}

/** A graph at another batch: what its first extent and reshapes say. */
function atBatch(graph: OnnxLikeGraph, batch: number): OnnxLikeGraph {
  const grown = (shape: readonly (number | string | null)[] = []) => [batch, ...shape.slice(1)];
  return {
    ...graph,
    inputs: graph.inputs.map((input) => ({ ...input, shape: grown(input.shape) })),
    initializers: graph.initializers.map((held) => (held.name === "target" ? whole("target", [batch, -1]) : held)),
  };
}

/** The graph for any batch, told from two. */
function opened(graph: OnnxLikeGraph): PackGraph | undefined {
  const [first, second] = batchPair.map((batch) => ({ graph: lowerOnnx(atBatch(graph, batch)), batch }));
  return openBatch(first!, second!);
}

async function outputOf(graph: PackGraph, batch: number): Promise<Float32Array> {
  const session = await load((await packGraph(graph)).bytes, { batch });
  const data = Float32Array.from({ length: batch * 60 }, randomNumbers(8));
  return (await session.run({ x: { data, dims: [batch, 2, 6, 5] } }))["y"]!.data;
}

describe("an ONNX graph", () => {
  test.each([1, 3])("gives what the same operators give, for a batch of %i", async (batch) => {
    const [found, expected] = [await outputOf(opened(onnx)!, batch), await outputOf(byHand(), batch)];
    expect(found).toHaveLength(3 * batch);
    // The bias joins the product in one and follows it in the other: a rounding in f32.
    found.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-6);
    });
  });

  test.each<[string, Partial<OnnxLikeGraph>, RegExp]>([
    ["an operator that is not here", { nodes: [node("LSTM", ["x"], "y")] }, /'y' \('LSTM'\).*no such operator/],
    ["one of another domain", { nodes: [{ ...node("Relu", ["x"], "y"), domain: "mine" }] }, /domain 'mine'/],
    ["weights that are computed", { nodes: [node("Conv", ["x", "x"], "y")] }, /weights are computed/],
    ["padding by another name", { nodes: [node("Conv", ["x", "w"], "y", { auto_pad: "SAME" })] }, /auto_pad is 'SAME'/],
    ["open extents", { inputs: [{ name: "x", dtype: "f32", shape: ["n", 2, "h", 5] }] }, /extent 0 is left open/],
    [
      "truth values as input",
      { inputs: [{ name: "x", dtype: "bool", shape: [1, 4] }] },
      /it is of bool; the runtime takes f32/,
    ],
    ["channels that do not fit", { inputs: [{ name: "x", dtype: "f32", shape: [1, 3, 6, 5] }] }, /takes 2 channels/],
  ])("with %s is refused", (_, change, message) => {
    expect(() => lowerOnnx({ ...onnx, ...change })).toThrow(message);
  });

  const small = (nodes: readonly OnnxLikeNode[], initializers: readonly OnnxLikeTensor[] = []): OnnxLikeGraph => ({
    inputs: [{ name: "x", dtype: "f32", shape: [1, 4] }],
    outputs: [{ name: "y" }],
    initializers,
    nodes,
  });

  test("x sigmoid(x) and x clip(x + 3, 0, 6) / 6 are one operator each, where nothing else reads what is between", () => {
    const numbers = [tensor("three", [], [3]), tensor("six", [], [6])];
    const swish = [
      node("Add", ["x", "three"], "a"),
      node("Clip", ["a"], "b", { min: 0, max: 6 }),
      node("Mul", ["x", "b"], "c"),
      node("Div", ["c", "six"], "s"),
      node("Sigmoid", ["s"], "d"),
      node("Mul", ["d", "s"], "y"),
    ];
    const ops = (graph: OnnxLikeGraph): readonly string[] => lowerOnnx(graph).operators.map(({ op }) => op);
    expect(ops(small(swish, numbers))).toEqual(["HardSwish", "Silu"]);
    const shared = { ...small(swish, numbers), outputs: [{ name: "y" }, { name: "b" }] };
    expect(ops(shared)).toContain("Clip");
    const seven = [tensor("three", [], [3]), tensor("six", [], [7])];
    expect(ops(small(swish, seven))).not.toContain("HardSwish");
  });

  test("a graph that mixes the examples of a batch, or works for one size only, is none for any batch", () => {
    const ops: Readonly<Record<string, readonly OnnxLikeNode[]>> = {
      "a product with itself": [node("Transpose", ["x"], "t", { perm: [1, 0] }), node("MatMul", ["x", "t"], "y")],
      "a sum over all": [node("ReduceSum", ["x"], "y", { axes: [0, 1] })],
      "the first one": [node("Slice", ["x"], "a", { axes: [0], starts: [0], ends: [1] }), node("Sub", ["x", "a"], "y")],
      "all in one row": [node("Flatten", ["x"], "f", { axis: 0 }), node("ReduceMax", ["f"], "y", { axes: [1] })],
      "the batch as an axis of its own": [
        node("Unsqueeze", ["x"], "u", { axes: [0] }),
        node("ReduceSum", ["u"], "s", { axes: [1], keepdims: 0 }),
        node("Add", ["x", "s"], "y"),
      ],
    };
    // Two of them work for any batch all the same.
    expect(Object.keys(ops).filter((name) => opened(small(ops[name]!)))).toEqual(["a sum over all", "the first one"]);
  });

  test("what mixes examples and works for any batch gives what ONNX gives", async () => {
    const graph = opened(small([node("ReduceSum", ["x"], "s", { axes: [0] }), node("Add", ["x", "s"], "y")]))!;
    const session = await load((await packGraph(graph)).bytes, { batch: 2 });
    const data = Float32Array.of(1, 2, 3, 4, 10, 20, 30, 40);
    const { y } = await session.run({ x: { data, dims: [2, 4] } });
    expect([...y!.data]).toEqual([12, 24, 36, 48, 21, 42, 63, 84]);
  });

  const run = async (graph: OnnxLikeGraph, data: readonly number[]): Promise<readonly number[]> => {
    const session = await load((await packGraph(lowerOnnx(graph))).bytes);
    const dims = graph.inputs[0]!.shape as readonly number[];
    return [...(await session.run({ x: { data: Float32Array.from(data), dims } }))["y"]!.data];
  };

  test("one number a row is no bias of a Gemm", async () => {
    const graph = {
      ...small(
        [node("Gemm", ["x", "w", "c"], "y")],
        [tensor("w", [4, 2], [1, 0, 0, 1, 0, 0, 0, 0]), tensor("c", [2, 1], [10, 20])],
      ),
      inputs: [{ name: "x", dtype: "f32", shape: [2, 4] }],
    };
    expect(await run(graph, [1, 2, 3, 4, 5, 6, 7, 8])).toEqual([11, 12, 25, 26]);
  });

  test("Pad keeps what it surrounds, whatever it pads with", async () => {
    const pads = small([node("Pad", ["x", "p", "v"], "y")], [whole("p", [0, 1, 0, 0]), tensor("v", [], [-1e9])]);
    expect(await run(pads, [1.5, 2.25, 3.5, -4])).toEqual([-1e9, 1.5, 2.25, 3.5, -4]);
    const computed = small(
      [node("ReduceMin", ["x"], "m"), node("Pad", ["x", "p", "m"], "y")],
      [whole("p", [0, 1, 0, 0])],
    );
    expect(() => lowerOnnx(computed)).toThrow("what it pads with is computed");
  });

  test("nodes and tensors of one name are told apart", async () => {
    const norm = (output: string, gamma: string, from: string): OnnxLikeNode => ({
      ...node("BatchNormalization", [from, gamma, "zero", "zero", "one"], output, { epsilon: 1e-9 }),
      name: "bn",
    });
    const four = (name: string, value: number): OnnxLikeTensor => tensor(name, [4], [value, value, value, value]);
    const graph = small(
      [norm("a", "one", "x"), norm("b", "hundred", "x"), node("Add", ["a", "b"], "y")],
      [four("one", 1), four("hundred", 100), four("zero", 0)],
    );
    expect((await run(graph, [1, 2, 3, 4])).map(Math.round)).toEqual([101, 202, 303, 404]);
    // One scalar bias for products of 3 and of 4 outputs.
    const shared = small(
      [node("Gemm", ["x", "w3", "c"], "a"), node("Gemm", ["a", "w4", "c"], "y")],
      [tensor("w3", [4, 3], Array(12).fill(1)), tensor("w4", [3, 4], Array(12).fill(1)), tensor("c", [1], [0.5])],
    );
    expect(await run(shared, [1, 2, 3, 4])).toEqual([32, 32, 32, 32]);
    const taken = small([node("Relu", ["x"], "y/0"), node("Softsign", ["y/0"], "y")]);
    expect(await run(taken, [1, -1, 3, 0])).toEqual([0.5, 0, 0.75, 0]);
  });

  test("Where drops what is not chosen, NaN and infinity too", async () => {
    const mask: OnnxLikeTensor = { name: "m", dtype: "bool", shape: [4], data: [1, 0, 1, 0] };
    const graph = small(
      [node("Log", ["x"], "l"), node("Where", ["m", "nought", "l"], "y")],
      [mask, tensor("nought", [], [0])],
    );
    expect(await run(graph, [0, 1, -1, 1])).toEqual([0, 0, 0, 0]);
  });

  test("infinite constants are the largest numbers; what would not be finite in the file is refused", async () => {
    const masked = small(
      [node("Add", ["x", "m"], "a"), node("Softmax", ["a"], "y")],
      [tensor("m", [1, 4], [0, 0, -Infinity, -Infinity])],
    );
    const twice = {
      ...masked,
      nodes: [node("Mul", ["x", "x"], "z"), node("Mul", ["z", "m"], "y")],
      initializers: [tensor("m", [4], [1, 1, NaN, 1])],
    };
    expect(() => lowerOnnx(twice)).toThrow("numbers that are not finite");
    expect((await run(masked, [0, 0, 5, 5])).map((p) => Number(p.toFixed(6)))).toEqual([0.5, 0.5, 0, 0]);
  });

  test("whole numbers are not divided as real ones, and not cast to fewer values", () => {
    const tokens = (nodes: readonly OnnxLikeNode[], initializers: readonly OnnxLikeTensor[] = []): OnnxLikeGraph => ({
      ...small(nodes, initializers),
      inputs: [{ name: "x", dtype: "i64", shape: [1, 4] }],
    });
    expect(() => lowerOnnx(tokens([node("Div", ["x", "two"], "y")], [whole("two", [2])]))).toThrow(
      "divides whole numbers",
    );
    expect(() => lowerOnnx(tokens([node("Cast", ["x"], "y", { to: 9 })]))).toThrow("rounds to another type");
    expect(lowerOnnx(tokens([node("Cast", ["x"], "c", { to: 1 }), node("Relu", ["c"], "y")])).operators).toHaveLength(
      1,
    );
  });

  test("whole numbers choose rows of a table, and are checked as they are given", async () => {
    const table = tensor("table", [3, 2], [0, 1, 10, 11, 20, 21]);
    const tokens: OnnxLikeGraph = {
      ...small([node("Gather", ["table", "x"], "y")], [table]),
      inputs: [{ name: "x", dtype: "i64", shape: [2, 2] }],
    };
    const session = await load((await packGraph(lowerOnnx(tokens))).bytes);
    const given = (data: Int32Array | BigInt64Array | Float32Array) => session.run({ x: { data, dims: [2, 2] } });
    const rows = [20, 21, 0, 1, 10, 11, 20, 21];
    expect([...(await given(BigInt64Array.of(2n, 0n, 1n, -1n)))["y"]!.data]).toEqual(rows);
    expect([...(await given(Int32Array.of(2, 0, 1, -1)))["y"]!.data]).toEqual(rows);
    await expect(given(Int32Array.of(2, 0, 3, 1))).rejects.toThrow(
      "found 3 at place 2, allowed is whole numbers from -3 to 2",
    );
    await expect(given(Float32Array.of(2, 0.5, 1, 1))).rejects.toThrow("0.5 at place 1");
  });

  test("products of one vector with the same weights, as steps of time have them, hold them once", async () => {
    const side = 64;
    const steps = 8;
    const chain = (count: number): OnnxLikeGraph => ({
      inputs: [{ name: "h0", dtype: "f32", shape: [1, side] }],
      outputs: [{ name: `h${count}` }],
      initializers: [tensor("r", [side, side]), tensor("b", [side])],
      nodes: Array.from({ length: count }, (_, t) => [
        node("MatMul", [`h${t}`, "r"], `p${t}`),
        node("Add", [`p${t}`, "b"], `h${t + 1}`),
      ]).flat(),
    });
    const bytesOf = async (count: number) => (await load((await packGraph(lowerOnnx(chain(count)))).bytes)).memoryBytes;
    // Memory comes in pages of 64 KiB, but the plan counts what it needs: a matrix takes 16 KiB, a step of the program some hundred bytes.
    expect((await bytesOf(steps)) - (await bytesOf(1))).toBeLessThan(4 * side * side);
  });

  test("a state takes what an output was, until it is reset", async () => {
    const sum: OnnxLikeGraph = {
      inputs: [
        { name: "x", dtype: "f32", shape: [1, 2] },
        { name: "h", dtype: "f32", shape: [1, 2] },
      ],
      outputs: [{ name: "y" }, { name: "hn" }],
      initializers: [tensor("two", [], [2])],
      nodes: [node("Add", ["x", "h"], "hn"), node("Mul", ["hn", "two"], "y")],
    };
    const graph = { ...lowerOnnx(sum), states: [{ input: "h", output: "hn" }] };
    const session = await load((await packGraph(graph)).bytes);
    expect([session.inputNames, session.outputNames, session.stateNames]).toEqual([["x"], ["y"], ["h"]]);
    const step = async (extra = {}) => [
      ...(await session.run({ x: { data: Float32Array.of(1, 10), dims: [1, 2] }, ...extra }))["y"]!.data,
    ];
    expect([await step(), await step()]).toEqual([
      [2, 20],
      [4, 40],
    ]);
    expect(await step({ h: { data: Float32Array.of(5, 5), dims: [1, 2] } })).toEqual([12, 30]);
    session.reset();
    expect(await step()).toEqual([2, 20]);
  });

  test("a state that is no output of the same extents is refused", async () => {
    const graph = lowerOnnx(small([node("Relu", ["x"], "y")]));
    await expect(
      packGraph({ ...graph, states: [{ input: "x", output: "z" }] }).then(({ bytes }) => load(bytes)),
    ).rejects.toThrow("are no input and output of the same extents");
  });
});
