import { arrayDataset, createRunContext, inputRows, isPruneError, labelsOf, matrix, prune } from "@secateur/core";
import { architecture, createNetwork } from "@secateur/nn";
import { magnitude } from "@secateur/solvers-magnitude";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { exportPerceptron } from "../bench/export-mlp.ts";
import { openEngine } from "./engines.ts";
import { all, normals, randomData, smallModels, useEngine } from "./testing.test-support.ts";
import { tfjsModel } from "./tfjs-model.ts";

beforeAll(() => useEngine("wasm"));

describe("a perceptron of ours, exported", () => {
  test("has the evaluation and the gradient rows of the original, to rounding", async () => {
    const network = createNetwork(architecture("mlpnet"), { seed: 2 });
    const model = await tfjsModel({ tf, model: exportPerceptron(tf, network) });
    const data = arrayDataset({
      inputs: matrix(60, 784, normals(1, 60 * 784)),
      labels: Array.from({ length: 60 }, (_, i) => i % 10),
      inputShape: [28, 28],
    });
    const ctx = createRunContext();
    const [found, expected] = [await model.evaluate(data, ctx), await network.evaluate(data, ctx)];
    expect(found.accuracy).toBe(expected.accuracy);
    expect(found.loss).toBeCloseTo(expected.loss, 5);
    const request = { data, examples: all(data), batch: 1 };
    const ours = await network.gradientRows({ ...request, params: ["fc1.weight", "fc3.weight"] }, ctx);
    const theirs = await model.gradientRows({ ...request, params: ["fc1/kernel", "fc3/kernel"] }, ctx);
    ours.blocks.forEach((block, b) => {
      const other = theirs.blocks[b]!;
      if (block.kind !== "factored" || other.kind !== "factored") throw new Error("rows are not factored");
      expect(distance(other.delta.data, block.delta.data)).toBeLessThan(1e-5);
      expect(distance(other.input.data, block.input.data)).toBeLessThan(1e-5);
    });
    model.dispose();
  });
});

describe("weights", () => {
  test("cross the border as [out, in * taps], and come back to where they were", async () => {
    const kernel = tf.tensor4d([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [3, 1, 2, 2]);
    const layers = tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [4, 3, 2], filters: 2, kernelSize: [3, 1], useBias: false, weights: [kernel] }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 2 }),
      ],
    });
    const model = await tfjsModel({ tf, model: layers });
    const { name } = model.params()[0]!;
    const w = await model.read(name);
    // Entry (out o, in i, tap k) of [taps, in, out] is 4 k + 2 i + o.
    expect([w.rows, w.cols, ...w.data]).toEqual([2, 6, 0, 4, 8, 2, 6, 10, 1, 5, 9, 3, 7, 11]);
    await model.write(name, { ...w, data: w.data.map((value: number) => value + 20) as Float32Array });
    expect([...(layers.weights[0]!.read().dataSync() as Float32Array)]).toEqual([
      20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    ]);
    await expect(model.write(name, matrix(6, 2))).rejects.toThrow(/found 6 x 2, expected 2 x 6/);
    await expect(model.read("nothing")).rejects.toThrow(/no parameter 'nothing'/);
    model.dispose();
  });

  test("of embeddings, frozen and unknown layers stay dense, and it is said", async () => {
    const model = await tfjsModel({
      tf,
      model: tf.sequential({
        layers: [
          tf.layers.embedding({ inputDim: 9, outputDim: 4, inputLength: 5 }),
          tf.layers.reshape({ targetShape: [5, 1, 4, 1] }),
          tf.layers.convLstm2d({ filters: 2, kernelSize: 1, recurrentInitializer: "glorotNormal" }) as tf.layers.Layer,
          tf.layers.flatten(),
          tf.layers.dense({ units: 6, trainable: false, name: "still" }),
          tf.layers.dense({ units: 3, activation: "softmax" }),
        ],
      }),
    });
    const reasons = model.keptDense.map(({ weight, reason }) => `${weight}: ${reason}`).join("\n");
    expect(reasons).toMatch(/embeddings: layer '.*' is an embedding/);
    expect(reasons).toMatch(/kernel: layer '.*' is of the class ConvLSTM2D, which is not pruned/);
    expect(reasons).toMatch(/still\/kernel: layer 'still' \(Dense\) is frozen/);
    expect(model.params().filter(({ prunable }) => prunable)).toHaveLength(1);
    model.dispose();
  });

  test("of frozen layers are pruned where that is asked for", async () => {
    const make = () => tf.sequential({ layers: [tf.layers.dense({ inputShape: [4], units: 3, trainable: false })] });
    const model = await tfjsModel({ tf, model: make(), includeFrozen: true });
    expect(model.params().filter(({ prunable }) => prunable)).toHaveLength(1);
    model.dispose();
  });

  test("that two layers share are pruned once", async () => {
    const [, make] = smallModels["a layer that is used twice"]!;
    const model = await tfjsModel({ tf, model: make() });
    const { prunable } = await prune({ model, solver: magnitude(), sparsity: 0.5 });
    expect(prunable).toBe(6 * 6 + 6 * 4);
    model.dispose();
  });
});

describe("losses", () => {
  const scores = () =>
    tf.layers.dense({ inputShape: [6], units: 4, kernelInitializer: tf.initializers.heNormal({ seed: 1 }) });

  test("of scores and of their softmax are the same", async () => {
    const data = randomData([6]);
    const ctx = createRunContext();
    const softmax = tf.layers.softmax();
    const results = [];
    for (const layers of [[scores()], [scores(), softmax]]) {
      const model = await tfjsModel({ tf, model: tf.sequential({ layers }) });
      const { name } = model.params()[0]!;
      const { loss } = await model.evaluate(data, ctx);
      const { gradient } = await model.meanGradient({ params: [name], data, examples: all(data) }, ctx);
      results.push({ loss, gradient });
      model.dispose();
    }
    expect(results[0]!.loss).toBeCloseTo(results[1]!.loss, 5);
    expect(distance(results[0]!.gradient, results[1]!.gradient)).toBeLessThan(1e-5);
  });

  // Keras's own loss per example is so many times ours, and our rows are gradients of so many times the evaluated loss.
  const scales: Readonly<Record<string, { readonly keras: number; readonly rows: number }>> = {
    categoricalCrossentropy: { keras: 1, rows: 1 },
    binaryCrossentropy: { keras: 1, rows: 4 },
    meanSquaredError: { keras: 2, rows: 4 },
    meanAbsoluteError: { keras: 1, rows: 1 },
    kullbackLeiblerDivergence: { keras: 1, rows: 1 },
  };
  const activations: Readonly<Record<string, () => readonly tf.layers.Layer[]>> = {
    softmax: () => [tf.layers.softmax()],
    sigmoid: () => [tf.layers.activation({ activation: "sigmoid" })],
    linear: () => [],
  };
  for (const [loss, scale] of Object.entries(scales)) {
    for (const [activation, last] of Object.entries(activations)) {
      // TensorFlow.js clips what are no probabilities there, so that there is no slope to compare.
      if (loss === "kullbackLeiblerDivergence" && activation === "linear") continue;
      test(`${loss} of ${activation} outputs has the value that TensorFlow.js gives and its slope`, async () => {
        const layers = tf.sequential({ layers: [scores(), ...last()] });
        layers.compile({ optimizer: "sgd", loss });
        const model = await tfjsModel({ tf, model: layers });
        const data = randomData([6]);
        const ctx = createRunContext();
        const batch = await data.batch(all(data));
        const [inputs, labels] = [inputRows(batch), labelsOf(batch)];
        const x = tf.tensor2d(inputs.data as Float32Array, [10, 6]);
        const y = tf.oneHot(Array.from(labels), 4).toFloat();
        const expected = (layers.evaluate(x, y) as tf.Scalar).dataSync()[0]!;
        // Linear outputs are scores to an entropy, as Keras takes them with from_logits; TensorFlow.js would clip them as probabilities.
        const isOfScores = activation === "linear" && /rossentropy/.test(loss);
        if (!isOfScores) expect((await model.evaluate(data, ctx)).loss * scale.keras).toBeCloseTo(expected, 4);
        // The slope along the gradient is its norm: central differences along it, to third order, and rounding of f32 losses.
        const { name } = model.params()[0]!;
        const { gradient } = await model.meanGradient({ params: [name], data, examples: all(data) }, ctx);
        const w = await model.read(name);
        const step = 1e-2 / Math.hypot(...gradient);
        const losses: number[] = [];
        for (const sign of [1, -1]) {
          const data64 = w.data.map((value: number, k: number) => value + sign * step * gradient[k]!);
          await model.write(name, { ...w, data: data64 as Float32Array });
          losses.push((await model.evaluate(data, ctx)).loss);
        }
        const slope = ((losses[0]! - losses[1]!) / (2 * step)) * scale.rows;
        expect(slope / Math.hypot(...gradient) ** 2).toBeCloseTo(1, 2);
        model.dispose();
      });
    }
  }

  test("of a single output are of two classes", async () => {
    const layers = tf.sequential({ layers: [tf.layers.dense({ inputShape: [6], units: 1, activation: "sigmoid" })] });
    const model = await tfjsModel({ tf, model: layers });
    const data = randomData([6], { classes: 2 });
    expect(model.loss).toBe("binary-cross-entropy");
    const { accuracy } = await model.evaluate(data, createRunContext());
    const batch = await data.batch(all(data));
    const [inputs, labels] = [inputRows(batch), labelsOf(batch)];
    const p = (layers.predict(tf.tensor2d(inputs.data as Float32Array, [10, 6])) as tf.Tensor).dataSync();
    expect(accuracy).toBe(10 * Array.from(labels).filter((label, i) => (p[i]! > 0.5 ? 1 : 0) === label).length);
    model.dispose();
  });
});

describe("inputs", () => {
  test("of a fixed batch size are filled up, and nothing depends on the filling", async () => {
    const layer = () =>
      tf.layers.dense({ units: 4, activation: "softmax", kernelInitializer: tf.initializers.heNormal({ seed: 1 }) });
    const results = [];
    for (const batchInputShape of [
      [null, 6],
      [4, 6],
    ]) {
      const model = await tfjsModel({
        tf,
        model: tf.sequential({ layers: [tf.layers.inputLayer({ batchInputShape }), layer()] }),
      });
      const data = randomData([6]);
      const { name } = model.params()[0]!;
      const ctx = createRunContext();
      const { blocks, loss } = await model.gradientRows({ params: [name], data, examples: all(data), batch: 1 }, ctx);
      const [block] = blocks;
      if (block?.kind !== "factored") throw new Error("rows are not factored");
      results.push({ evaluation: await model.evaluate(data, ctx), loss, delta: block.delta.data });
      model.dispose();
    }
    expect(results[1]!.evaluation.accuracy).toBe(results[0]!.evaluation.accuracy);
    expect(results[1]!.loss).toBeCloseTo(results[0]!.loss, 6);
    expect(distance(results[1]!.delta, results[0]!.delta)).toBeLessThan(1e-6);
  });

  test("with channels first are turned to channels last", async () => {
    const layers = tf.sequential({
      layers: [
        tf.layers.flatten({ inputShape: [2, 2, 3] }),
        tf.layers.dense({ units: 12, kernelInitializer: "identity" }),
      ],
    });
    const model = await tfjsModel({ tf, model: layers, loss: "mse" });
    const data = randomData([3, 2, 2], { size: 1, classes: 12 });
    const inputs = inputRows(await data.batch(all(data)));
    const expected = [...inputs.data].map((_, k) => inputs.data[(k % 3) * 4 + Math.floor(k / 3)]!);
    const target = expected.map((value, k) => (value - (k === 0 ? 1 : 0)) ** 2);
    const { loss } = await model.evaluate(data, createRunContext());
    // Half the mean square, as everywhere.
    expect(loss).toBeCloseTo(target.reduce((sum, value) => sum + value) / 24, 5);
    model.dispose();
  });

  const refused: readonly (readonly [
    what: string,
    shape: readonly number[],
    given: readonly number[],
    message: RegExp,
  ])[] = [
    ["of another size", [6, 1], [7], /examples of shape \[7\], but model '.*' takes \[6, 1\]/],
    ["of another form", [4, 9], [6, 6], /examples of shape \[6, 6\], but model '.*' takes \[4, 9\]/],
  ];
  for (const [what, shape, given, message] of refused) {
    test(`${what} are refused with both shapes`, async () => {
      const layers = tf.sequential({
        layers: [tf.layers.flatten({ inputShape: [...shape] }), tf.layers.dense({ units: 4 })],
      });
      const model = await tfjsModel({ tf, model: layers });
      await expect(model.evaluate(randomData(given), createRunContext())).rejects.toThrow(message);
      model.dispose();
    });
  }

  test("with more classes than the model has are refused", async () => {
    const [shape, make] = smallModels["dense layers"]!;
    const model = await tfjsModel({ tf, model: make() });
    await expect(model.evaluate(randomData(shape, { classes: 5 }), createRunContext())).rejects.toThrow(
      /5 classes, but model '.*' takes labels of 4 classes/,
    );
    model.dispose();
  });
});

test("a model with several inputs is refused, with what to do", async () => {
  const [a, b] = [tf.input({ shape: [3], name: "left" }), tf.input({ shape: [3], name: "right" })];
  const joined = tf.layers.concatenate().apply([a, b]);
  const model = tf.model({ inputs: [a, b], outputs: tf.layers.dense({ units: 2 }).apply(joined) as tf.SymbolicTensor });
  await expect(tfjsModel({ tf, model })).rejects.toThrow(/2 inputs \(left, right\)/);
});

describe("engines", () => {
  const modules = new Map<string, unknown>([["@tensorflow/tfjs", tf]]);
  const load = async (name: string): Promise<unknown> => modules.get(name);

  test("that are missing are named with the line that installs them", async () => {
    const error = await openEngine({ engine: "node-gpu", load }).catch((caught: unknown) => caught);
    if (!isPruneError(error)) throw error;
    expect(error.code).toBe("ERR_TFJS_ENGINE");
    expect(error.message).toContain("installed are cpu; install it with: npm install @tensorflow/tfjs-node-gpu");
    await expect(openEngine({ load: async () => undefined })).rejects.toThrow(
      /none is installed; install it with: npm install @tensorflow\/tfjs @tensorflow\/tfjs-backend-wasm/,
    );
  });

  test("that do not start are passed over, and it is said", async () => {
    const broken = {
      ...tf,
      setBackend: async () => {
        throw new Error("no GPU");
      },
    };
    const skipped: string[] = [];
    const engine = await openEngine({
      load: async (name) => (name === "@tensorflow/tfjs-node" ? broken : modules.get(name)),
      onSkipped: (name, reason) => skipped.push(`${name}: ${reason}`),
    });
    expect(engine.name).toBe("cpu");
    expect(skipped).toEqual(["node: no GPU"]);
    await useEngine("wasm");
    await expect(openEngine({ engine: "node", load: async () => broken })).rejects.toThrow(
      /engine node is installed and does not start: no GPU/,
    );
  });
});

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let k = 0; k < b.length; k++) {
    difference += (a[k]! - b[k]!) ** 2;
    size += b[k]! ** 2;
  }
  return Math.sqrt(difference / size);
}
