import { classification, createRunContext, type Dataset, type LayerMoments, type Task } from "@secateur/core";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { all, randomData, seeded, smallModels, useEngine } from "../testing.test-support.ts";
import { type TfjsModel, tfjsModel } from "../tfjs-model.ts";

/** Sums of some hundred f32 products of numbers about 1. */
const tolerance = 1e-4;
const ctx = createRunContext();

/** Draws slopes that can be told beforehand: number i of all that were drawn is cos(1 + i). */
function knownSlopes(): Task {
  let drawn = 0;
  return {
    ...classification(),
    outputFactor: (call) => ({
      ...classification().outputFactor(call),
      draw: (_rng, out) => {
        for (const { data } of Object.values(out))
          for (let i = 0; i < data.length; i++) data[i] = Math.cos(1 + drawn++);
      },
    }),
  };
}

async function momentsOf(
  model: TfjsModel,
  data: Dataset,
  { centred = false, examples = all(data) } = {},
): Promise<readonly LayerMoments[]> {
  const params = model.params().flatMap(({ name, prunable }) => (prunable ? [name] : []));
  const request = { params, data, examples, temperature: 1, gradient: true, centred, task: knownSlopes() };
  const { layers, gradient, loss } = await model.layerMoments!(request, ctx);
  const expected = await model.meanGradient({ ...request, examples: all(data) }, ctx);
  if (examples.length === data.size) {
    expect(gradient).toEqual(expected.gradient);
    expect(loss).toBeCloseTo(expected.loss, 6);
  }
  return layers;
}

function gap(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}

/** Sum over the rows of x x'. */
function squares(rows: readonly ArrayLike<number>[], size: number): Float64Array {
  const out = new Float64Array(size * size);
  for (const row of rows) for (let e = 0; e < out.length; e++) out[e]! += row[Math.floor(e / size)]! * row[e % size]!;
  return out;
}

beforeAll(() => useEngine("wasm"));

const single: Readonly<
  Record<string, readonly [shape: readonly number[], layer: () => tf.layers.Layer, groups: number]>
> = {
  "a convolution with strides and padding that differs between sides": [
    [7, 6, 2],
    () => tf.layers.conv2d({ filters: 3, kernelSize: [3, 2], strides: [2, 1], padding: "same" }),
    1,
  ],
  "a convolution in one dimension": [[9, 2], () => tf.layers.conv1d({ filters: 3, kernelSize: 3 }), 1],
  "a depthwise convolution": [
    [6, 5, 3],
    () => tf.layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, strides: 2, padding: "same" }),
    3,
  ],
  "a dense layer over sequences": [[5, 4], () => tf.layers.dense({ units: 3 }), 1],
};

describe("moments of one linear layer are those of its definition", () => {
  for (const [what, [shape, layer, groups]] of Object.entries(single)) {
    test(`for ${what}`, async () => {
      const input = tf.input({ shape: [...shape] });
      const linear = layer().apply(input) as tf.SymbolicTensor;
      const net = seeded(tf.model({ inputs: input, outputs: tf.layers.flatten().apply(linear) as tf.SymbolicTensor }));
      const model = await tfjsModel({ tf, model: net });
      const data = randomData(shape, { size: 2, classes: 2 });
      const found = await momentsOf(model, data);
      const { rows, cols, name } = model.params().find(({ prunable }) => prunable)!;
      expect(found.map(({ param, firstRow }) => [param, firstRow])).toEqual(
        Array.from({ length: groups }, (_, g) => [name, (g * rows) / groups]),
      );
      // The slope of an output in the weights is the window that it looks at, in the row of its own channel.
      const batch = await data.batch(all(data));
      const x = tf.tensor(Object.values(batch.inputs)[0]!.data as Float32Array, [data.size, ...shape]);
      const outputs = net.predict(x) as tf.Tensor;
      const [perExample, drawn] = [
        outputs.size / data.size,
        Array.from({ length: outputs.size }, (_, i) => Math.cos(1 + i)),
      ];
      const windows: Float32Array[][] = Array.from({ length: rows }, () => []);
      const slopes: number[][] = Array.from({ length: rows }, () => []);
      for (let i = 0; i < outputs.size; i++) {
        const slope = new Float32Array(perExample);
        slope[i % perExample] = 1;
        const example = Math.floor(i / perExample);
        const one: Task = {
          ...classification(),
          loss: ({ delta = {} }) => {
            for (const { data: values } of Object.values(delta)) values.set(slope);
            return { sum: 0, count: 1 };
          },
        };
        const { gradient } = await model.meanGradient(
          { params: [name], data, examples: Uint32Array.of(example), task: one },
          ctx,
        );
        const row = i % rows;
        windows[row]!.push(gradient.slice(row * cols, (row + 1) * cols) as Float32Array);
        slopes[row]!.push(drawn[i]!);
      }
      for (const { firstRow, inputs, deltas } of found) {
        const own = deltas.rows;
        expect(
          gap(
            inputs.data,
            squares(windows[firstRow]!, cols).map((v) => v / data.size),
          ),
        ).toBeLessThan(tolerance);
        const positions = slopes[firstRow]!.map((_, p) => slopes.slice(firstRow, firstRow + own).map((row) => row[p]!));
        expect(
          gap(
            deltas.data,
            squares(positions, own).map((v) => v / positions.length),
          ),
        ).toBeLessThan(tolerance);
      }
      tf.dispose([x, outputs]);
      model.dispose();
    });
  }
});

/** A convolution that sees the whole image, and a dense layer: one position each. */
function onePosition(batchShape: number[], between: tf.layers.Layer[]): tf.LayersModel {
  const layers = [tf.layers.conv2d({ batchInputShape: batchShape, filters: 4, kernelSize: [3, 2] }), ...between];
  return seeded(tf.sequential({ layers: [...layers, tf.layers.flatten(), tf.layers.dense({ units: 3 })] }));
}

test("of one example and position B (x) A is the square of its gradient, through whatever lies between", async () => {
  const net = onePosition([null as unknown as number, 3, 2, 2], [tf.layers.batchNormalization(), tf.layers.reLU()]);
  const model = await tfjsModel({ tf, model: net });
  const data = randomData([3, 2, 2], { size: 1, classes: 3 });
  const found = await momentsOf(model, data);
  expect(found.length).toBe(2);
  for (const { param, inputs, deltas } of found) {
    const slope: Task = {
      ...classification(),
      loss: ({ delta }) => {
        for (const { data } of Object.values(delta ?? {})) for (let i = 0; i < 3; i++) data[i] = Math.cos(1 + i);
        return { sum: 0, count: 1 };
      },
    };
    const { gradient } = await model.meanGradient({ params: [param], data, examples: all(data), task: slope }, ctx);
    const [out, size] = [deltas.rows, inputs.rows];
    const product = Float64Array.from({ length: gradient.length ** 2 }, (_, e) => {
      const [i, j] = [Math.floor(e / gradient.length), e % gradient.length];
      return (
        deltas.data[Math.floor(i / size) * out + Math.floor(j / size)]! * inputs.data[(i % size) * size + (j % size)]!
      );
    });
    expect(gap(product, squares([gradient], gradient.length))).toBeLessThan(tolerance);
  }
  model.dispose();
});

test("before a batch normalisation, and only there, inputs are taken less their mean where that is asked for", async () => {
  const net = onePosition([null as unknown as number, 3, 2, 2], [tf.layers.batchNormalization()]);
  const model = await tfjsModel({ tf, model: net });
  const data = randomData([3, 2, 2], { size: 8, classes: 3 });
  const [whole, centred] = [await momentsOf(model, data), await momentsOf(model, data, { centred: true })];
  expect(centred[1]).toEqual(whole[1]);
  const rows = (await data.batch(all(data))).inputs;
  const images = Float32Array.from(Object.values(rows)[0]!.data as Float32Array);
  // Images are [3, 2, 2 channels]; canonical order counts channels first.
  const order = Array.from({ length: 12 }, (_, k) => (k % 6) * 2 + Math.floor(k / 6));
  const mean = order.map(
    (place) => Array.from({ length: 8 }, (_, n) => images[n * 12 + place]!).reduce((a, b) => a + b) / 8,
  );
  const without = whole[0]!.inputs.data.map((v, e) => v - mean[Math.floor(e / 12)]! * mean[e % 12]!);
  expect(gap(centred[0]!.inputs.data, without)).toBeLessThan(tolerance);
  model.dispose();
});

test("where the batch size is fixed, what fills a last batch does not count", async () => {
  const make = (batch: number | null) => onePosition([batch as number, 3, 2, 2], []);
  const data = randomData([3, 2, 2], { size: 6, classes: 3 });
  const [fixed, open] = [await tfjsModel({ tf, model: make(4) }), await tfjsModel({ tf, model: make(null) })];
  for (const [of, same] of [
    [5, 4],
    [3, 3],
  ] as const) {
    const first = (count: number) => Uint32Array.from({ length: count }, (_, i) => i);
    const [a, b] = [
      await momentsOf(fixed, data, { examples: first(of) }),
      await momentsOf(open, data, { examples: first(same) }),
    ];
    a.forEach((layer, l) => {
      expect(gap(layer.inputs.data, b[l]!.inputs.data)).toBeLessThan(tolerance);
      expect(gap(layer.deltas.data, b[l]!.deltas.data)).toBeLessThan(tolerance);
    });
  }
  fixed.dispose();
  open.dispose();
});

test("models whose weights are used more than once, or as transposed convolutions, have none", async () => {
  for (const [what, [, make]] of Object.entries(smallModels)) {
    const model = await tfjsModel({ tf, model: make() });
    const offered = !/recurrent|transposed|twice|over sequences|three dimensions/.test(what);
    expect([what, model.layerMoments !== undefined]).toEqual([what, offered]);
    model.dispose();
  }
});
