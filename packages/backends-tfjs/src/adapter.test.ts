import { arrayDataset, createRng, createRunContext, matrix } from "@secateur/core";
import { empiricalFisher } from "@secateur/fisher";
import { createNetwork, mlp } from "@secateur/nn";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import "@tensorflow/tfjs-backend-wasm";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { registerGradientKernels } from "./register-kernels.ts";
import { tfjsModel } from "./tfjs-model.ts";

beforeAll(async () => {
  const require = createRequire(import.meta.url);
  setWasmPaths(join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm")), "/"));
  await tf.setBackend("wasm");
  await tf.ready();
  registerGradientKernels(tf);
});

function data(shape: number[], n = 20, classes = 4) {
  const rng = createRng(5);
  const size = shape.reduce((a, b) => a * b, 1);
  return arrayDataset({
    inputs: matrix(n, size, Float32Array.from({ length: n * size }, () => rng.normal())),
    labels: Array.from({ length: n }, (_, i) => i % classes),
    inputShape: shape, classes,
  });
}

const models: Record<string, [number[], () => tf.LayersModel]> = {
  dense: [[6], () => tf.sequential({ layers: [tf.layers.dense({ inputShape: [6], units: 5, activation: "relu" }), tf.layers.dense({ units: 4, activation: "softmax" })] })],
  conv: [[7, 6, 2], () => tf.sequential({ layers: [
    tf.layers.conv2d({ inputShape: [7, 6, 2], filters: 5, kernelSize: 3, strides: [2, 1], padding: "same", activation: "relu" }),
    tf.layers.batchNormalization(),
    tf.layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: "valid", activation: "relu" }),
    tf.layers.separableConv2d({ filters: 3, kernelSize: 2, padding: "same" }),
    tf.layers.conv2d({ filters: 3, kernelSize: 1 }),
    tf.layers.flatten(), tf.layers.dense({ units: 4 })] })],
  lstm: [[5, 3], () => tf.sequential({ layers: [tf.layers.lstm({ inputShape: [5, 3], units: 4, returnSequences: true }), tf.layers.gru({ units: 3 }), tf.layers.dense({ units: 4, activation: "softmax" })] })],
  conv1d: [[9, 2], () => tf.sequential({ layers: [tf.layers.conv1d({ inputShape: [9, 2], filters: 3, kernelSize: 3 }), tf.layers.dense({ units: 3, activation: "relu" }), tf.layers.timeDistributed({layer: tf.layers.dense({ units: 2 })}), tf.layers.flatten(), tf.layers.dense({ units: 4, activation: "softmax" })] })],
  transpose: [[5, 5, 2], () => tf.sequential({ layers: [tf.layers.conv2dTranspose({ inputShape: [5, 5, 2], filters: 3, kernelSize: 3, strides: 2, padding: "same" }), tf.layers.globalAveragePooling2d({}), tf.layers.dense({ units: 4, activation: "softmax" })] })],
};
for (const [name, [shape, make]] of Object.entries(models)) {
  test(name, async () => {
    const before = tf.memory().numTensors;
    const model = await tfjsModel({ tf, model: make() });
    const inside = tf.memory().numTensors;
    const ds = data(shape);
    const ctx = createRunContext();
    console.log(await model.evaluate(ds, ctx), model.params().map((p) => `${p.name} ${p.rows}x${p.cols} ${p.prunable} ${p.flopsPerWeight}`), model.keptDense);
    const params = model.params().filter((p) => p.prunable).map((p) => p.name);
    const examples = Uint32Array.from({ length: 20 }, (_, i) => i);
    const rows = await model.gradientRows({ params, data: ds, examples, batch: 2 }, ctx);
    const mean = await model.meanGradient({ params, data: ds, examples }, ctx);
    const fisher = await empiricalFisher({ examples: 10, batch: 2 }).estimate({ model, data: ds, params, firstOrder: true }, ctx);
    let d = 0, s = 0;
    for (let k = 0; k < mean.gradient.length; k++) { d += (mean.gradient[k]! - fisher.gradient!.data[k]!) ** 2; s += mean.gradient[k]! ** 2; }
    console.log(name, Math.sqrt(d / s), rows.loss, mean.loss, rows.blocks.map((b) => b.kind + " " + b.param));
    expect(Math.sqrt(d / s)).toBeLessThan(1e-5);
    expect(tf.memory().numTensors).toBe(inside);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
}
