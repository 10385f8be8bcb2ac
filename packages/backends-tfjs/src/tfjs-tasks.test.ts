import {
  arrayDataset,
  binary,
  classification,
  createRunContext,
  type Dataset,
  distillation,
  isPruneError,
  type Model,
  matrix,
  positionClassification,
  prune,
  regression,
  type Task,
  tensorDataset,
  weightedTasks,
} from "@secateur/core";
import { gaussNewton } from "@secateur/fisher";
import { magnitude } from "@secateur/solvers-magnitude";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { readModelFiles } from "./files/model-files.ts";
import { openModelFiles } from "./files/saved-model.ts";
import { all, graphFiles, normals, randomData, reader, savedFiles, seeded, useEngine } from "./testing.test-support.ts";
import { type TfjsModel, tfjsModel } from "./tfjs-model.ts";

beforeAll(() => useEngine("wasm"));

const ctx = createRunContext();
const prunable = (model: Model): readonly string[] =>
  model.params().flatMap(({ name, prunable }) => (prunable ? [name] : []));

/** A perceptron of six inputs. */
function perceptron(units: number, activation: "softmax" | "sigmoid" | "linear"): tf.LayersModel {
  const hidden = tf.layers.dense({ inputShape: [6], units: 5, activation: "tanh" });
  return seeded(tf.sequential({ layers: [hidden, tf.layers.dense({ units, activation })] }));
}

/** Ten examples with numbers between 0 and 1 as targets. */
function numbers(cols: number): Dataset {
  const values = matrix(
    10,
    cols,
    normals(9, 10 * cols).map((x) => 1 / (1 + Math.exp(-x))),
  );
  return arrayDataset({ inputs: matrix(10, 6, normals(5, 60)), values, name: "numbers" });
}

/** The slope of the mean loss along its gradient, by differences, over the gradient's length: 1. */
async function slopeRatio(model: TfjsModel, data: Dataset, task: Task): Promise<number> {
  const names = prunable(model);
  const { gradient, loss, count } = await model.meanGradient({ params: names, data, task, examples: all(data) }, ctx);
  expect(loss).toBeCloseTo((await model.evaluate(data, ctx, { task })).loss, 5);
  const before = await Promise.all(names.map((name) => model.read(name)));
  const norm = Math.hypot(...gradient);
  const losses: number[] = [];
  for (const step of [1e-2, -1e-2]) {
    let start = 0;
    for (const [i, name] of names.entries()) {
      const { rows, cols, data: values } = before[i]!;
      const moved = Float32Array.from(values, (value, k) => value + (step * gradient[start + k]!) / norm);
      await model.write(name, matrix(rows, cols, moved));
      start += values.length;
    }
    losses.push((await model.evaluate(data, ctx, { task })).loss);
  }
  return (((losses[0]! - losses[1]!) / 2e-2) * (count! / data.size)) / norm;
}

const cases: readonly (readonly [string, () => tf.LayersModel, Dataset, Task])[] = [
  ["regression of probabilities, read as they are", () => perceptron(3, "sigmoid"), numbers(3), regression()],
  ["Huber's error of linear outputs", () => perceptron(3, "linear"), numbers(3), regression({ huber: 0.5 })],
  ["binary labels of sigmoids", () => perceptron(3, "sigmoid"), numbers(3), binary()],
  ["classification of sigmoids, by their scores", () => perceptron(4, "sigmoid"), randomData([6]), classification()],
  ["classification of a softmax", () => perceptron(4, "softmax"), randomData([6]), classification()],
];
for (const [what, make, data, task] of cases) {
  test(`${what} has its slope, and rows that sum to it`, async () => {
    const model = await tfjsModel({ tf, model: make() });
    // Central differences of f32 losses: 1e-3.
    expect(await slopeRatio(model, data, task)).toBeCloseTo(1, 2);
    const request = { model, data, task, params: prunable(model), firstOrder: true };
    const gauss = await gaussNewton({ examples: 10, ridge: 0 }).estimate(request, createRunContext());
    const { gradient } = await model.meanGradient({ ...request, examples: all(data) }, ctx);
    expect(Math.hypot(...gradient.map((g, k) => g - gauss.gradient!.data[k]!))).toBeLessThan(1e-5);
    gauss.release();
    model.dispose();
  });
}

test("classification by position takes outputs of any shape", async () => {
  const layers = tf.sequential({
    layers: [
      tf.layers.dense({ inputShape: [4, 3], units: 5, activation: "tanh" }),
      tf.layers.dense({ units: 3, activation: "softmax" }),
    ],
  });
  const model = await tfjsModel({ tf, model: seeded(layers) });
  const labels = { shape: [6, 4], data: Int32Array.from({ length: 24 }, (_, i) => (i % 7 === 0 ? -100 : i % 3)) };
  const data = tensorDataset({ inputs: { input: { shape: [6, 4, 3], data: normals(4, 72) } }, targets: { labels } });
  expect(await slopeRatio(model, data, positionClassification())).toBeCloseTo(1, 2);
  model.dispose();
});

test("a model without labels is led back to its own outputs", async () => {
  const model = await tfjsModel({ tf, model: perceptron(4, "softmax") });
  const { targets: _, ...unlabelled } = randomData([6]);
  const task = distillation();
  const result = await prune({ model, data: unlabelled, solver: magnitude(), sparsity: 0.5 });
  expect(result.loss?.before).toBeCloseTo(0, 6);
  expect(result.loss?.after).toBeGreaterThan(0);
  expect(task.targetsFrom).toBe("teacher");
  model.dispose();
});

test("several outputs are chosen by name or weighed, and a name that is none is told with those there are", async () => {
  const input = tf.input({ shape: [6] });
  const hidden = tf.layers.dense({ units: 5, activation: "tanh" }).apply(input);
  const output = (name: string, units: number, activation: "softmax" | "sigmoid") =>
    tf.layers.dense({ units, activation, name }).apply(hidden) as tf.SymbolicTensor;
  const make = () => [output("kind", 4, "softmax"), output("box", 2, "sigmoid")];
  const model = await tfjsModel({ tf, model: seeded(tf.model({ inputs: input, outputs: make() })) });
  const [kind, box] = model.outputs.map(({ name }) => name) as [string, string];
  const labels = { shape: [10], data: Uint32Array.from({ length: 10 }, (_, i) => i % 4) };
  const boxes = { shape: [10, 2], data: normals(8, 20) };
  const inputs = { input: { shape: [10, 6], data: normals(5, 60) } };
  const data = tensorDataset({ inputs, targets: { labels, boxes }, classes: { labels: 4 } });
  const one = classification({ output: kind, target: "labels" });
  expect(await slopeRatio(model, data, one)).toBeCloseTo(1, 2);
  const both = weightedTasks({
    main: { task: one },
    boxes: { task: regression({ output: box, target: "boxes" }), weight: 0.5 },
  });
  expect(await slopeRatio(model, data, both)).toBeCloseTo(1, 2);
  await expect(model.evaluate(data, ctx)).rejects.toThrow(/2 output\(s\): kind, box/);
  const error = await model
    .evaluate(data, ctx, { task: classification({ output: "x", target: "labels" }) })
    .catch((caught: unknown) => caught);
  if (!isPruneError(error)) throw error;
  expect(error.message).toContain(kind);
  model.dispose();
});

test("a graph's outputs are chosen by the names of its signature", async () => {
  const { files, shape } = graphFiles();
  const json = JSON.parse(new TextDecoder().decode(files.get("model.json")));
  json.signature = { outputs: { scores: { name: "y:0" }, inner: { name: "tanh:0" } } };
  files.set("model.json", new TextEncoder().encode(JSON.stringify(json)));
  const model = await openModelFiles({ tf, files: await readModelFiles({ source: "net", read: reader(files) }) });
  expect(model.outputs.map(({ name }) => name)).toEqual(["scores", "inner"]);
  const data = randomData(shape);
  const task = classification({ output: "scores" });
  expect(await slopeRatio(model, data, task)).toBeCloseTo(1, 2);
  model.dispose();
});

test("the loss is read where TensorFlow.js keeps it and where files converted from Keras do", async () => {
  const data = randomData([6]);
  const losses: number[] = [];
  for (const place of ["beside", "inside", "nowhere"] as const) {
    const made = perceptron(4, "sigmoid");
    const files = await savedFiles(made);
    const json = JSON.parse(new TextDecoder().decode(files.get("model.json")));
    const config = { loss: "mean_squared_error", optimizer_config: { class_name: "Nadam", config: {} } };
    if (place === "beside") json.trainingConfig = config;
    if (place === "inside") json.modelTopology = { model_config: json.modelTopology, training_config: config };
    files.set("model.json", new TextEncoder().encode(JSON.stringify(json)));
    const model = await openModelFiles({ tf, files: await readModelFiles({ source: "net", read: reader(files) }) });
    // Without a word a sigmoid is compared by the logistic loss, never by a softmax of probabilities.
    expect(model.loss).toBe(place === "nowhere" ? "binary-cross-entropy" : "mse");
    losses.push((await model.evaluate(data, ctx)).loss);
    const named = await model.evaluate(data, ctx, { task: classification() });
    expect(named.task).toBe("classification");
    model.dispose();
    made.dispose();
  }
  expect(losses[0]).toBe(losses[1]);
  expect(losses[2]).not.toBe(losses[1]);
});

test("a loss that nobody here knows is told", async () => {
  const files = await savedFiles(perceptron(4, "softmax"));
  const json = JSON.parse(new TextDecoder().decode(files.get("model.json")));
  json.modelTopology.training_config = { loss: { class_name: "MyFocalLoss", config: {} }, optimizer_config: {} };
  files.set("model.json", new TextEncoder().encode(JSON.stringify(json)));
  const model = await openModelFiles({ tf, files: await readModelFiles({ source: "net", read: reader(files) }) });
  expect(model.unknownLosses).toEqual(["MyFocalLoss"]);
  model.dispose();
});

test("statistics of batch normalisation are matched to those of the file however often that is done", async () => {
  const layers = tf.sequential({
    layers: [
      tf.layers.dense({ inputShape: [5], units: 4 }),
      tf.layers.batchNormalization({ name: "norm" }),
      tf.layers.dense({ units: 2 }),
    ],
  });
  const model = await tfjsModel({ tf, model: seeded(layers) });
  const data = randomData([5], { size: 100 });
  const statistics = async (): Promise<number[]> => [
    ...(await model.stored("norm/moving_mean")),
    ...(await model.stored("norm/moving_variance")),
  ];
  const ofFile = await statistics();
  const { match, restore } = await model.matchStatistics!(data, createRunContext());
  const [name] = prunable(model) as [string];
  const w = await model.read(name);
  await model.write(name, {
    ...w,
    data: w.data.map((value: number, i: number) => (i % 2 ? 0 : value)) as Float32Array,
  });
  await match(createRunContext());
  const once = await statistics();
  expect(once).not.toEqual(ofFile);
  await match(createRunContext());
  expect(await statistics()).toEqual(once);
  restore();
  expect(await statistics()).toEqual(ofFile);
  await model.write(name, w);
  await match(createRunContext());
  expect(await statistics()).toEqual(ofFile);
  model.dispose();
});

test("statistics of batch normalisation are matched after a change of weights", async () => {
  const layers = tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [5, 5, 2], filters: 3, kernelSize: 2, useBias: false }),
      tf.layers.batchNormalization({ epsilon: 1e-9 }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 4 }),
    ],
  });
  const model = await tfjsModel({ tf, model: seeded(layers) });
  const data = randomData([5, 5, 2], { size: 128 });
  const outputs = async (): Promise<ArrayLike<number>> =>
    (await model.run(await data.batch(all(data)), ctx))["output"]!.data;
  const before = await outputs();
  const { match } = await model.matchStatistics!(data, createRunContext());
  const [name] = prunable(model) as [string];
  const w = await model.read(name);
  await model.write(name, { ...w, data: w.data.map((value: number) => 0.25 * value) as Float32Array });
  const inside = tf.memory().numTensors;
  await match(createRunContext());
  expect(tf.memory().numTensors).toBe(inside);
  const after = await outputs();
  // A scaled kernel under normalisation is the same function, to rounding in f32.
  for (let k = 0; k < before.length; k++) expect(after[k]! - before[k]!).toBeCloseTo(0, 4);
  expect([...model.written].some((written) => /moving_variance/.test(written))).toBe(true);
  model.dispose();
});
