import { openModelFiles, readModelFiles } from "@secateur/backends-tfjs";
import { createRunContext } from "@secateur/core";
import { architecture, createNetwork, type LayerSpec, type NetworkSpec } from "@secateur/nn";
import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { everyLayer, examples } from "./network.test-support.ts";
import { tfjsOfNetwork } from "./tfjs-of-network.ts";

tf.enableProdMode();

/** Outputs of both on two examples: scores, or the logarithms of probabilities. */
async function outputsOf(spec: NetworkSpec): Promise<{ own: readonly number[]; exported: readonly number[] }> {
  const network = createNetwork(spec, { seed: 2 });
  const files = tfjsOfNetwork(network, { metadata: { note: "kept" } });
  const read = await readModelFiles({
    source: "model.json",
    read: async (name) => files.get(name === "" ? "model.json" : name)!,
  });
  const model = await openModelFiles({ tf, files: read });
  const artifacts = await model.artifacts();
  const layers = await tf.loadLayersModel({ load: async () => artifacts });
  const [own] = Object.values(
    await network.run!(await examples(spec, 2).batch(Uint32Array.of(0, 1)), createRunContext()),
  );
  const inputs = (await examples(spec, 2).batch(Uint32Array.of(0, 1))).inputs.input!;
  const given = tf.tidy(() => {
    const tensor = tf.tensor(Float32Array.from(Array.from(inputs.data, Number)), [2, ...spec.inputShape]);
    const isTurned = layers.inputs[0]!.shape.length === 4 && (spec.layout ?? "nchw") === "nchw";
    const [height = 1, width = 1] = spec.inputShape.slice(-2);
    const images = isTurned ? tensor.reshape([2, -1, height, width]).transpose([0, 2, 3, 1]) : tensor;
    return [...(layers.predict(images) as tf.Tensor).dataSync()];
  });
  model.dispose();
  const isLogarithm = spec.layers.at(-1)!.kind === "log-softmax";
  const scores = Array.from(own!.data, Number);
  if (!isLogarithm) return { own: scores, exported: given };
  // Our networks give scores, whose log-softmax the loss takes.
  const logarithms = tf.tidy(() => [...tf.logSoftmax(tf.tensor(scores, [2, spec.classes])).dataSync()]);
  return { own: logarithms, exported: given.map(Math.log) };
}

/** f32 sums in other orders: some 1e-6 of the largest output of every layer. */
function ensureSame({ own, exported }: { own: readonly number[]; exported: readonly number[] }): void {
  expect(exported.length).toBe(own.length);
  const scale = Math.max(...own.map(Math.abs));
  expect(Math.max(...own.map((value, i) => Math.abs(value - exported[i]!)))).toBeLessThan(2e-5 * scale);
}

describe("a network as a TensorFlow.js layers model computes what it computes:", () => {
  test.each(["mlpnet", "lenet5"])("%s", async (name) => {
    ensureSame(await outputsOf(architecture(name)));
  });

  test("a residual block whose shortcut has no weights", async () => {
    const layers: readonly LayerSpec[] = [
      { kind: "conv2d", name: "a", in: 2, out: 4, kernel: [3, 3], padding: 1, stride: 2 },
      { kind: "subsample-and-pad", name: "b", stride: 2, channels: 4, inputs: ["input"] },
      { kind: "subsample-and-pad", name: "c", stride: 1, channels: 8, inputs: ["a"] },
      { kind: "add", name: "d", inputs: ["a", "b"] },
      { kind: "relu" },
      { kind: "subsample-and-pad", name: "e", stride: 1, channels: 8 },
      { kind: "add", inputs: ["c", "e"] },
      { kind: "global-average-pool" },
      { kind: "dense", name: "f", in: 8, out: 3, bias: true },
    ];
    ensureSame(await outputsOf({ name: "residual", inputShape: [2, 5, 7], classes: 3, layers }));
  });

  test("every kind of layer, with images kept either way", async () => {
    for (const spec of everyLayer) ensureSame(await outputsOf(spec));
  });
});

describe("what TensorFlow.js has no layer for is refused:", () => {
  const conv = { kind: "conv2d", name: "a", in: 4, out: 4, kernel: [3, 3] } as const;
  const write = (...layers: readonly LayerSpec[]) => {
    const end: readonly LayerSpec[] = [
      { kind: "global-average-pool" },
      { kind: "dense", name: "end", in: 4, out: 2, bias: true },
    ];
    return () =>
      tfjsOfNetwork(createNetwork({ name: "net", inputShape: [4, 7, 7], classes: 2, layers: [...layers, ...end] }));
  };
  test.each([
    ["groups", write({ ...conv, groups: 2 }), /the convolution 'a': 2 groups of 4 channels/],
    ["a stride with dilation", write({ ...conv, stride: 2, dilation: 2 }), /a stride with dilation/],
    ["a padded border", write(conv, { kind: "max-pool", size: 2, padding: 1 }), /padded border/],
  ])("%s", (_what, attempt, says) => {
    expect(attempt).toThrow(says);
  });
});
