import { classification, createRunContext, type Model, quietContext, type RunContext, type Task } from "@secateur/core";
import { empiricalFisher, gaussNewton } from "@secateur/fisher";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { all, randomData, seeded, smallModels, useEngine } from "../testing.test-support.ts";
import { type TfjsModel, tfjsModel } from "../tfjs-model.ts";

/** Relative, for sums of products in f32 in another order. */
const rounding = 1e-5;

for (const engine of ["wasm", "cpu"] as const) {
  describe(`gradient rows on the ${engine} engine`, () => {
    beforeAll(() => useEngine(engine));

    for (const [what, [shape, make]] of Object.entries(smallModels)) {
      test(`are those of TensorFlow.js, example by example, for ${what}`, async () => {
        const model = await tfjsModel({ tf, model: seeded(make()) });
        const inside = tf.memory().numTensors;
        const data = randomData(shape);
        const ctx = createRunContext();
        const names = prunable(model);
        expect(names.length).toBeGreaterThan(0);
        const rows = await rowsOf(model, { batch: 1, ctx });
        for (let example = 0; example < data.size; example++) {
          const expected = await model.meanGradient({ params: names, data, examples: Uint32Array.of(example) }, ctx);
          expect(distance(rows.slice(example * expected.gradient.length), expected.gradient)).toBeLessThan(rounding);
        }
        // Rows of two examples are the means of their rows.
        const pairs = await rowsOf(model, { batch: 2, ctx });
        const size = rows.length / data.size;
        const means = pairs.map((_, k) => {
          const at = 2 * Math.floor(k / size) * size + (k % size);
          return (rows[at]! + rows[at + size]!) / 2;
        });
        expect(distance(pairs, means)).toBeLessThan(rounding);
        expect(tf.memory().numTensors).toBe(inside);
        model.dispose();

        async function rowsOf(from: Model, { batch, ctx }: { batch: number; ctx: RunContext }) {
          const options = { examples: data.size / batch, batch, layout: "dense" } as const;
          const { blocks } = await from.gradientRows!({ params: names, data, examples: all(data), batch }, ctx);
          const count = options.examples;
          const parts = blocks.map((block) => {
            if (block.kind === "dense") return block.rows.data;
            const { delta, input, group } = block;
            const out = new Float32Array(count * delta.cols * input.cols);
            for (let i = 0; i < delta.rows; i++) {
              const row = Math.floor(i / group) * delta.cols * input.cols;
              for (let o = 0; o < delta.cols; o++) {
                for (let j = 0; j < input.cols; j++) {
                  out[row + o * input.cols + j]! += delta.data[i * delta.cols + o]! * input.data[i * input.cols + j]!;
                }
              }
            }
            return out;
          });
          const flat: number[] = [];
          for (let r = 0; r < count; r++) {
            for (const part of parts)
              flat.push(...part.subarray((r * part.length) / count, ((r + 1) * part.length) / count));
          }
          return Float32Array.from(flat);
        }
      });
    }
  });
}

describe("a mean gradient", () => {
  beforeAll(() => useEngine("wasm"));

  test("is the slope of the evaluated loss", async () => {
    const [shape, make] = smallModels["convolutions, depthwise and separable ones, and batch normalisation"]!;
    const model = await tfjsModel({ tf, model: seeded(make()) });
    const data = randomData(shape);
    const ctx = quietContext(createRunContext());
    const [name] = prunable(model) as [string];
    const { gradient, loss } = await model.meanGradient({ params: [name], data, examples: all(data) }, ctx);
    expect(loss).toBeCloseTo((await model.evaluate(data, ctx)).loss, 6);
    const w = await model.read(name);
    const norm = Math.hypot(...gradient);
    const step = 1e-2;
    const shifted = async (sign: number): Promise<number> => {
      const moved = w.data.map((value: number, k: number) => value + (sign * step * gradient[k]!) / norm);
      await model.write(name, { ...w, data: moved as Float32Array });
      return (await model.evaluate(data, ctx)).loss;
    };
    const slope = ((await shifted(1)) - (await shifted(-1))) / (2 * step);
    // Central differences are exact to third order, a few 1e-4 here; kinks of ReLU add as much.
    expect(Math.abs(slope / norm - 1)).toBeLessThan(1e-2);
    model.dispose();
  });
});

describe("a linearisation of dense layers", () => {
  beforeAll(() => useEngine("wasm"));

  test("gives the Gauss-Newton matrix, whose products agree with those of rows", async () => {
    const [shape, make] = smallModels["dense layers"]!;
    const model = await tfjsModel({ tf, model: seeded(make()) });
    const data = randomData(shape, { size: 12 });
    const request = { model, data, params: prunable(model), firstOrder: true };
    const ctx = createRunContext();
    const gauss = await gaussNewton({ examples: 12, ridge: 0 }).estimate(request, ctx);
    const fisher = await empiricalFisher({ examples: 12, ridge: 0 }).estimate(request, createRunContext());
    expect(distance(gauss.gradient!.data, fisher.gradient!.data)).toBeLessThan(rounding);
    const factor = gauss.curvature().factor!();
    const x = Float32Array.from({ length: factor.dim }, (_, k) => Math.sin(k));
    const u = Float32Array.from({ length: factor.rows }, (_, k) => Math.cos(k));
    const Gx = new Float32Array(factor.rows);
    const Gu = new Float32Array(factor.dim);
    await factor.times(x, Gx);
    await factor.transposeTimes(u, Gu);
    // u'(Gx) = (G'u)'x
    expect(dot(u, Gx) / dot(Gu, x)).toBeCloseTo(1, 4);
    const support = Uint32Array.from({ length: 20 }, (_, k) => 2 * k + 1);
    const part = factor.restricted!(support);
    const sub = new Float32Array(support.length);
    await part.transposeTimes(u, sub);
    expect(
      distance(
        sub,
        Float32Array.from(support, (j) => Gu[j]!),
      ),
    ).toBeLessThan(rounding);
    const norms = factor.columnNormsSquared();
    const unit = new Float32Array(factor.dim);
    unit[7] = 1;
    await factor.times(unit, Gx);
    expect(norms[7]! / dot(Gx, Gx)).toBeCloseTo(1, 4);
    part.release();
    gauss.release();
    fisher.release();
    model.dispose();
  });

  test("is not offered for models with other layers", async () => {
    const [, make] = smallModels["a transposed convolution"]!;
    const model = await tfjsModel({ tf, model: seeded(make()) });
    expect(model.linearize).toBeUndefined();
    model.dispose();
  });
});

test("a model that mixes examples in an order that shapes do not show is differentiated one by one", async () => {
  await useEngine("wasm");
  const input = tf.input({ shape: [4, 3] });
  // Time first, as some converted models compute: rows of the product belong to examples in turn, not in runs.
  class TimeFirst extends tf.layers.Layer {
    static className = "TimeFirst";
    override computeOutputShape(shape: tf.Shape): tf.Shape {
      return shape;
    }
    override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
      const x = Array.isArray(inputs) ? inputs[0]! : inputs;
      return tf.tidy(() => x.transpose([1, 0, 2]).reshape(x.shape));
    }
  }
  class ExamplesFirst extends TimeFirst {
    static override className = "ExamplesFirst";
    override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
      const x = Array.isArray(inputs) ? inputs[0]! : inputs;
      const [n, t, features] = x.shape as [number, number, number];
      return tf.tidy(() => x.reshape([t, n, features]).transpose([1, 0, 2]));
    }
  }
  const mixed = new TimeFirst().apply(input) as tf.SymbolicTensor;
  const dense = tf.layers.dense({ units: 5, useBias: false }).apply(mixed) as tf.SymbolicTensor;
  const sorted = new ExamplesFirst().apply(dense) as tf.SymbolicTensor;
  const flat = tf.layers.flatten().apply(sorted) as tf.SymbolicTensor;
  const output = tf.layers.dense({ units: 4, activation: "softmax" }).apply(flat) as tf.SymbolicTensor;
  const model = await tfjsModel({ tf, model: seeded(tf.model({ inputs: input, outputs: output })) });
  const data = randomData([4, 3]);
  const tasks = new Set<string>();
  const ctx = createRunContext({ onEvent: (event) => event.type === "progress" && tasks.add(event.task) });
  const [name, last] = prunable(model) as [string, string];
  let sloped = 0;
  const task: Task = {
    ...classification(),
    loss(call) {
      if (call.delta) sloped += Object.values(call.outputs)[0]!.shape[0]!;
      return classification().loss(call);
    },
  };
  const rows = await model.gradientRows({ params: [name, last], data, examples: all(data), batch: 1, task }, ctx);
  // Rows of both weights are of the same slopes, which a task may draw.
  expect(sloped).toBe(data.size);
  const [block] = rows.blocks;
  const second = await model.meanGradient({ params: [name], data, examples: Uint32Array.of(1) }, ctx);
  if (block?.kind !== "dense") throw new Error("the rows are factored");
  expect(distance(block.rows.data.subarray(block.rows.cols), second.gradient)).toBeLessThan(rounding);
  expect([...tasks]).toContain("gradients one by one");
  model.dispose();
});

function prunable(model: TfjsModel): readonly string[] {
  return model.params().flatMap(({ name, prunable }) => (prunable ? [name] : []));
}

/** ||a - b|| / ||b||, over the length of b. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let k = 0; k < b.length; k++) {
    difference += (a[k]! - b[k]!) ** 2;
    size += b[k]! ** 2;
  }
  return Math.sqrt(difference / (size || 1)); // a gradient may be zero, and its difference then as well
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!;
  return sum;
}
