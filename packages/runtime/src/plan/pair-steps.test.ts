import { describe, expect, test, vi } from "vitest";
import { load } from "../index.ts";
import { encodePacked, type PackGraph } from "../pack.ts";
import { randomNumbers } from "../session.test-support.ts";

/** Input channels, and outputs of an odd number of planes, so large that they do not fit the cache at once. */
const [inputs, planes, side, images] = [3, 23, 63, 2] as const;

function numbers(count: number, seed: number): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({ length: count }, () => (random() < -0.4 ? 0 : random()));
}

/** A pointwise convolution with ReLU and a depthwise one behind it; `isRead`: what is between them is an output, too. */
function graphOf(spec: { stride: 1 | 2; kernel: "dense" | "sparse"; isRead?: boolean }): PackGraph {
  const { stride, kernel, isRead = false } = spec;
  const out = Math.ceil(side / stride);
  const attributes = { pads: [1, 1, 1, 1], strides: [stride, stride], group: planes };
  return {
    inputs: [{ name: "x", dims: ["batch", inputs, side, side] }],
    outputs: [
      { name: "y", dims: ["batch", planes, out, out] },
      ...(isRead ? [{ name: "wide", dims: ["batch", planes, side, side] as const }] : []),
    ],
    operators: [
      {
        op: "Conv",
        name: "a",
        inputs: ["x"],
        tensors: ["v"],
        output: "wide",
        attributes: { activation: "Relu" },
        kernel,
      },
      { op: "Conv", name: "b", inputs: ["wide"], tensors: ["w", "bias"], output: "y", attributes, kernel: "dense" },
    ],
    tensors: new Map([
      ["v", { dims: [planes, inputs, 1, 1], data: numbers(planes * inputs, 1) }],
      ["w", { dims: [planes, 1, 3, 3], data: numbers(planes * 9, 2) }],
      ["bias", { dims: [planes], data: numbers(planes, 3) }],
    ]),
  };
}

/** The same with what is between them added to what the depthwise convolution gives: `isFolded` says whether the graph has a sum of its own for it. */
function addingGraph(kernel: "dense" | "sparse", isFolded: boolean): PackGraph {
  const graph = graphOf({ stride: 1, kernel });
  const [first, second] = graph.operators as [(typeof graph.operators)[0], (typeof graph.operators)[0]];
  const sum = { op: "Add", name: "sum", inputs: ["narrow", "wide"], tensors: [], output: "y", attributes: {} };
  const operators = isFolded
    ? [first, { ...second, inputs: ["wide", "wide"] }]
    : [first, { ...second, output: "narrow" }, sum];
  return { ...graph, operators };
}

/** By the definition, in f64. */
function expectedOf(x: Float32Array, stride: number, isAdding = false): Float64Array {
  const [v, w, bias] = [numbers(planes * inputs, 1), numbers(planes * 9, 2), numbers(planes, 3)];
  const out = Math.ceil(side / stride);
  const wide = (image: number, plane: number, row: number, column: number): number => {
    if (row < 0 || column < 0 || row >= side || column >= side) return 0;
    let sum = 0;
    for (let k = 0; k < inputs; k++)
      sum += v[plane * inputs + k]! * x[((image * inputs + k) * side + row) * side + column]!;
    return Math.max(0, sum);
  };
  return Float64Array.from({ length: images * planes * out * out }, (_, i) => {
    const [column, row] = [i % out, Math.floor(i / out) % out];
    const plane = Math.floor(i / (out * out)) % planes;
    const image = Math.floor(i / (out * out * planes));
    let sum = bias[plane]! + (isAdding ? wide(image, plane, row, column) : 0);
    for (let tap = 0; tap < 9; tap++) {
      const [r, c] = [row * stride + Math.floor(tap / 3) - 1, column * stride + (tap % 3) - 1];
      sum += w[plane * 9 + tap]! * wide(image, plane, r, c);
    }
    return sum;
  });
}

describe.each([
  { stride: 1, kernel: "sparse" },
  { stride: 2, kernel: "sparse" },
  { stride: 1, kernel: "dense" },
  { stride: 2, kernel: "dense" },
] as const)("a $kernel convolution and a depthwise one with a stride of $stride", (spec) => {
  const x = numbers(images * inputs * side * side, 4);
  const input = { data: x, dims: [images, inputs, side, side] };

  test("run together, and give what the definition gives, on one thread and on two, run after run", async () => {
    const expected = expectedOf(x, spec.stride);
    const found: Float32Array[] = [];
    for (const threads of [1, 2]) {
      const session = await load(await encodePacked(graphOf(spec)), { threads, batch: images });
      for (let run = 0; run < 2; run++) found.push((await session.run({ x: input }))["y"]!.data);
      expect(session.profile({ runs: 1 }).map(({ name }) => name)).toEqual(["a + b"]);
      await session.close();
    }
    // Sums of 9 sums of 3 products of numbers below 1, in f32.
    expect(expected.reduce((most, value, i) => Math.max(most, Math.abs(found[0]![i]! - value)), 0)).toBeLessThan(5e-6);
    for (const other of found) expect(Buffer.from(other.buffer).equals(Buffer.from(found[0]!.buffer))).toBe(true);
  });

  test("take less memory than apart, as not all of what is between them is held", async () => {
    const memory: number[] = [];
    for (const isRead of [false, true]) {
      const session = await load(await encodePacked(graphOf({ ...spec, isRead })), { batch: images });
      memory.push(session.memoryBytes);
      if (isRead) expect(session.profile({ runs: 1 })).toHaveLength(2);
      await session.close();
    }
    // Two images of 23 planes, and once more as an output.
    expect(memory[1]! - memory[0]!).toBeGreaterThan(2 * images * (planes - 8) * side * side * 4);
  });
});

test.each([
  ["sparse", true],
  ["sparse", false],
  ["dense", true],
  ["dense", false],
] as const)(
  "a sum with what is between two %s convolutions is what the definition gives (part of the second: %s)",
  async (kernel, isFolded) => {
    const x = numbers(images * inputs * side * side, 4);
    const expected = expectedOf(x, 1, true);
    for (const threads of [1, 2]) {
      const session = await load(await encodePacked(addingGraph(kernel, isFolded)), { threads, batch: images });
      const { y } = await session.run({ x: { data: x, dims: [images, inputs, side, side] } });
      await session.close();
      expect(expected.reduce((most, value, i) => Math.max(most, Math.abs(y!.data[i]! - value)), 0)).toBeLessThan(5e-6);
    }
  },
);

test("a profile tells all steps of two convolutions that run together", async () => {
  const session = await load(await encodePacked(graphOf({ stride: 1, kernel: "sparse" })), { batch: images });
  let now = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now++);
  const [both] = session.profile({ runs: 1 });
  clock.mockRestore();
  await session.close();
  // Each step takes from one look at the clock to the next: the input into planes, which is the first one's, and the pair.
  expect(both).toMatchObject({ name: "a + b", ms: 2 });
});
