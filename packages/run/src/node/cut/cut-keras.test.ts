import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRng, referenceKernels } from "@secateur/core";
import * as tf from "@tensorflow/tfjs";
import { afterAll, expect, test } from "vitest";
import { runCut } from "./run-cut.ts";

tf.enableProdMode();
const { layers: l } = tf;
const folder = mkdtempSync(join(tmpdir(), "secateur-cut-keras-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Convolutions of all kinds, a normalisation and dense layers, in which one channel of each kind is never used. */
function masked(): tf.LayersModel {
  const input = tf.input({ shape: [6, 5, 3] });
  const chain: tf.layers.Layer[] = [
    l.conv2d({ name: "first", filters: 4, kernelSize: 3, padding: "same", useBias: false }),
    l.batchNormalization({ name: "norm" }),
    l.activation({ name: "bend", activation: "relu" }),
    l.depthwiseConv2d({ name: "each", kernelSize: 3 }),
    l.separableConv2d({ name: "both", filters: 5, kernelSize: 1, activation: "relu" }),
    l.flatten({ name: "flat" }),
    l.dense({ name: "wide", units: 6, activation: "relu" }),
    l.dense({ name: "scores", units: 3 }),
  ];
  const output = chain.reduce<tf.SymbolicTensor>((value, layer) => layer.apply(value) as tf.SymbolicTensor, input);
  const model = tf.model({ inputs: input, outputs: output });
  const rng = createRng(5);
  model.setWeights(
    model.weights.map(({ name, shape }) => {
      const size = shape.reduce<number>((product, extent) => product * extent!, 1);
      const last = shape.at(-1)!;
      // Nothing comes out of channel 1 of "first", "both" and "wide".
      const isOff = (i: number): boolean =>
        i % last === 1 &&
        /^(first\/kernel|norm\/(gamma|beta)|both\/(pointwise_kernel|bias)|wide\/(kernel|bias))/.test(name);
      const values = Float32Array.from({ length: size }, (_, i) =>
        isOff(i) ? 0 : name.includes("variance") ? 0.5 + rng.next() : 0.5 * rng.normal(),
      );
      return tf.tensor(values, shape as number[]);
    }),
  );
  return model;
}

async function save(model: tf.LayersModel, place: string): Promise<string> {
  mkdirSync(place, { recursive: true });
  await model.save({
    save: async ({ weightSpecs, weightData, ...artifacts }) => {
      const weightsManifest = [{ paths: ["weights.bin"], weights: weightSpecs }];
      writeFileSync(join(place, "model.json"), JSON.stringify({ ...artifacts, weightsManifest }));
      writeFileSync(join(place, "weights.bin"), new Uint8Array(weightData as ArrayBuffer));
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    },
  });
  return join(place, "model.json");
}

/** As plain TensorFlow.js loads it. */
async function load(path: string): Promise<tf.LayersModel> {
  const json = JSON.parse(readFileSync(path, "utf8"));
  const [{ paths, weights }] = json.weightsManifest;
  const bytes = readFileSync(join(path, "..", paths[0]));
  return await tf.loadLayersModel(
    tf.io.fromMemory({ ...json, weightSpecs: weights, weightData: new Uint8Array(bytes).buffer }),
  );
}

test("a TensorFlow.js model is cut to a smaller one, which TensorFlow.js loads and which gives the same", async () => {
  const model = masked();
  const path = await save(model, join(folder, "whole"));
  const out = join(folder, "small", "model.json");
  const session = { kernels: referenceKernels, seed: 0, onEvent: () => {} };
  const run = { path, out, arch: undefined, overwrite: false, cwd: folder } as Parameters<typeof runCut>[0];
  const { cut, parameters } = await runCut(run, session);
  expect(cut).toBe(3);
  expect(parameters.after).toBeLessThan(parameters.before);
  const small = await load(out);
  const widthOf = (name: string): unknown => small.getLayer(name).getConfig()[name === "wide" ? "units" : "filters"];
  expect(["first", "both", "wide"].map(widthOf)).toEqual([3, 4, 5]);
  const x = tf.tensor(
    Float32Array.from({ length: 2 * 90 }, (_, i) => Math.sin(i * i)),
    [2, 6, 5, 3],
  );
  const [wanted, found] = [model, small].map((one) => (one.predict(x) as tf.Tensor).dataSync());
  // f32, in other sums.
  found!.forEach((value, i) => {
    expect(value).toBeCloseTo(wanted![i]!, 5);
  });
});
