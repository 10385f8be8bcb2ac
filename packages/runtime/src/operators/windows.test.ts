import { describe, expect, test } from "vitest";
import { load } from "../index.ts";
import { encodePacked, type PackGraph } from "../pack.ts";
import { randomNumbers } from "../session.test-support.ts";

type Pair = readonly [number, number];
interface Case {
  readonly channels: number;
  readonly outputs: number;
  readonly side: Pair;
  readonly window: Pair;
  readonly strides: Pair;
  readonly pads: readonly [number, number, number, number];
  readonly group: number;
  readonly sparsity?: number;
  readonly images?: number;
}

function sizesOf({ side, window, strides, pads }: Omit<Case, "channels" | "outputs" | "group">): Pair {
  return [0, 1].map(
    (a) => Math.floor((side[a]! + pads[a]! + pads[a + 2]! - window[a]!) / strides[a]!) + 1,
  ) as unknown as Pair;
}

function numbers(count: number, seed: number, sparsity = 0): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({ length: count }, () => (Math.abs(random()) < sparsity ? 0 : random()));
}

/** Every place of every window, with its number or undefined outside the image: the definition, in f64. */
function* placesOf(
  x: Float32Array,
  one: Pick<Case, "channels" | "side" | "window" | "strides" | "pads">,
  at: { plane: number; y: number; x: number },
) {
  const [height, width] = one.side;
  for (let i = 0; i < one.window[0]; i++) {
    for (let j = 0; j < one.window[1]; j++) {
      const [r, c] = [at.y * one.strides[0] + i - one.pads[0], at.x * one.strides[1] + j - one.pads[1]];
      const isInside = r >= 0 && r < height && c >= 0 && c < width;
      yield { tap: i * one.window[1] + j, value: isInside ? x[(at.plane * height + r) * width + c]! : undefined };
    }
  }
}

const cases: readonly (readonly [string, Case])[] = [
  [
    "every second position of 3 x 3, one window a channel",
    {
      channels: 5,
      outputs: 5,
      side: [9, 11],
      window: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
      group: 5,
      images: 2,
    },
  ],
  [
    "3 x 3 at every position, one window a channel",
    {
      channels: 5,
      outputs: 5,
      side: [9, 11],
      window: [3, 3],
      strides: [1, 1],
      pads: [1, 1, 1, 1],
      group: 5,
      images: 2,
    },
  ],
  [
    "the same over the shortest rows, and no border",
    { channels: 3, outputs: 3, side: [4, 6], window: [3, 3], strides: [1, 1], pads: [0, 0, 0, 0], group: 3 },
  ],
  [
    "the same that give one row",
    { channels: 3, outputs: 3, side: [3, 8], window: [3, 3], strides: [1, 1], pads: [0, 1, 0, 1], group: 3 },
  ],
  [
    "the same where rows end with the image",
    { channels: 4, outputs: 4, side: [8, 8], window: [3, 3], strides: [2, 2], pads: [0, 0, 1, 1], group: 4 },
  ],
  [
    "5 x 5 windows by rows alone",
    { channels: 3, outputs: 3, side: [12, 7], window: [5, 5], strides: [2, 1], pads: [2, 2, 2, 2], group: 3 },
  ],
  [
    "2 x 5 windows by columns alone, half of them left out",
    {
      channels: 3,
      outputs: 3,
      side: [5, 13],
      window: [2, 5],
      strides: [1, 2],
      pads: [0, 2, 1, 2],
      group: 3,
      sparsity: 0.5,
    },
  ],
  [
    "a stride of 3 by columns, which is too wide for vectors",
    { channels: 2, outputs: 2, side: [9, 14], window: [3, 3], strides: [1, 3], pads: [1, 1, 1, 1], group: 2 },
  ],
  [
    "a stride of 3 by rows",
    { channels: 2, outputs: 2, side: [11, 9], window: [3, 3], strides: [3, 1], pads: [1, 1, 1, 1], group: 2 },
  ],
  [
    "too narrow for vectors",
    { channels: 2, outputs: 2, side: [9, 6], window: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], group: 2 },
  ],
  [
    "more channels than the nearest cache holds",
    {
      channels: 700,
      outputs: 6,
      side: [7, 9],
      window: [1, 1],
      strides: [1, 1],
      pads: [0, 0, 0, 0],
      group: 1,
      sparsity: 0.6,
    },
  ],
  [
    "more of them, in 3 x 3 windows with a stride",
    {
      channels: 130,
      outputs: 5,
      side: [16, 10],
      window: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
      group: 1,
      sparsity: 0.9,
    },
  ],
];

describe.each(cases)("a convolution with %s", (_, one) => {
  const { channels, outputs, side, window, group, sparsity = 0, images = 1 } = one;
  const out = sizesOf(one);
  const [inGroup, taps] = [channels / group, window[0] * window[1]];
  const x = numbers(images * channels * side[0] * side[1], 3);
  const other = numbers(images * outputs * out[0] * out[1], 4);
  const weights = numbers(outputs * inGroup * taps, 5, sparsity);
  const bias = numbers(outputs, 6);
  const expected = new Float64Array(other.length);
  for (let i = 0; i < expected.length; i++) {
    const [column, row, plane] = [i % out[1], Math.floor(i / out[1]) % out[0], Math.floor(i / (out[0] * out[1]))];
    const [o, n] = [plane % outputs, Math.floor(plane / outputs)];
    let sum = bias[o]! + other[i]!;
    for (let k = 0; k < inGroup; k++) {
      const channel = n * channels + Math.floor(o / (outputs / group)) * inGroup + k;
      for (const { tap, value = 0 } of placesOf(x, one, { plane: channel, y: row, x: column }))
        sum += weights[(o * inGroup + k) * taps + tap]! * value;
    }
    expected[i] = (sum * Math.min(Math.max(sum + 3, 0), 6)) / 6;
  }

  test.each(["dense", "sparse", "block4"] as const)("is its definition by %s kernels", async (kernel) => {
    const graph: PackGraph = {
      inputs: [
        { name: "x", dims: [images, channels, ...side] },
        { name: "other", dims: [images, outputs, ...out] },
      ],
      outputs: [{ name: "y", dims: [images, outputs, ...out] }],
      operators: [
        {
          ...{ op: "Conv", name: "conv", inputs: ["x", "other"], tensors: ["w", "b"], output: "y", kernel },
          attributes: { strides: [...one.strides], pads: [...one.pads], group, activation: "HardSwish" },
        },
      ],
      tensors: new Map([
        ["w", { dims: [outputs, inGroup, ...window], data: weights }],
        ["b", { dims: [outputs], data: bias }],
      ]),
    };
    for (const threads of [1, 2]) {
      const session = await load(await encodePacked(graph), { threads });
      const { y } = await session.run({
        x: { data: x, dims: [images, channels, ...side] },
        other: { data: other, dims: [images, outputs, ...out] },
      });
      await session.close();
      // Sums of up to 700 products of numbers below 1, in f32.
      expected.forEach((value, i) => {
        expect(Math.abs(y!.data[i]! - value), `number ${i}`).toBeLessThan(2e-5);
      });
    }
  });
});

describe.each([
  ["3 x 3 by two with a border", { side: [11, 13], window: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }],
  ["2 x 2 by two", { side: [8, 16], window: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] }],
  ["3 x 5 by one", { side: [6, 14], window: [3, 5], strides: [1, 1], pads: [1, 2, 1, 2] }],
  ["2 x 3 by three", { side: [7, 17], window: [2, 3], strides: [3, 3], pads: [0, 1, 1, 1] }],
] as const)("windows of %s", (_, shape) => {
  const one = { ...shape, channels: 3 };
  const out = sizesOf(one);
  const x = numbers(one.channels * one.side[0] * one.side[1], 8);

  test.each(["MaxPool", "AveragePool"] as const)("%s takes what lies inside the image", async (op) => {
    const attributes = { kernel_shape: [...shape.window], strides: [...shape.strides], pads: [...shape.pads] };
    const graph: PackGraph = {
      inputs: [{ name: "x", dims: [1, one.channels, ...one.side] }],
      outputs: [{ name: "y", dims: [1, one.channels, ...out] }],
      operators: [{ op, name: "pool", inputs: ["x"], tensors: [], output: "y", attributes }],
      tensors: new Map(),
    };
    const session = await load(await encodePacked(graph));
    const { y } = await session.run({ x: { data: x, dims: [1, one.channels, ...one.side] } });
    y!.data.forEach((found, i) => {
      const [column, row, plane] = [i % out[1], Math.floor(i / out[1]) % out[0], Math.floor(i / (out[0] * out[1]))];
      const inside = [...placesOf(x, one, { plane, y: row, x: column })].flatMap(({ value }) =>
        value === undefined ? [] : [value],
      );
      const mean = inside.reduce((sum, value) => sum + value, 0) / inside.length;
      // The largest is one of them; a mean of up to 15 numbers below 1 is rounded as often.
      if (op === "MaxPool") expect(found).toBe(Math.max(...inside));
      else expect(Math.abs(found - mean)).toBeLessThan(1e-6);
    });
  });
});
