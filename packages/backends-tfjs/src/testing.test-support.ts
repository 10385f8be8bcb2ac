/** What the tests share: an engine, data, models as files in memory. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { arrayDataset, createRng, type Dataset, matrix } from "@secateur/core";
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import type { ModelJson, ReadFile, WeightSpec } from "./files/model-files.ts";
import { registerGradientKernels } from "./gradients/register-kernels.ts";

/** Starts an engine. */
export async function useEngine(engine: "wasm" | "cpu"): Promise<void> {
  const require = createRequire(import.meta.url);
  tf.enableProdMode();
  setWasmPaths(join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm")), "/"));
  await tf.setBackend(engine);
  await tf.ready();
  registerGradientKernels(tf);
}

/** Normal numbers of a seed. */
export function normals(seed: number, length: number): Float32Array {
  const rng = createRng(seed);
  return Float32Array.from({ length }, () => rng.normal());
}

/** Examples of normal numbers, labelled in turn. */
export function randomData(shape: readonly number[], options: { size?: number; classes?: number } = {}): Dataset {
  const { size = 10, classes = 4 } = options;
  const features = shape.reduce((product, extent) => product * extent, 1);
  return arrayDataset({
    inputs: matrix(size, features, normals(5, size * features)),
    labels: Array.from({ length: size }, (_, i) => i % classes),
    inputShape: shape,
    classes,
    name: "random",
  });
}

/** All examples of a dataset. */
export function all(data: Dataset): Uint32Array {
  return Uint32Array.from({ length: data.size }, (_, i) => i);
}

/** Models of every kind of layer that is pruned, by what they show, with the shape of their examples. */
export const smallModels: Readonly<Record<string, readonly [shape: readonly number[], make: () => tf.LayersModel]>> = {
  "dense layers": [
    [6],
    () => {
      return tf.sequential({
        layers: [
          tf.layers.dense({ inputShape: [6], units: 5, activation: "relu" }),
          tf.layers.dense({ units: 4, activation: "softmax" }),
        ],
      });
    },
  ],
  "convolutions, depthwise and separable ones, and batch normalisation": [
    [7, 6, 2],
    () => {
      const model = tf.sequential({
        layers: [
          tf.layers.conv2d({
            inputShape: [7, 6, 2],
            filters: 5,
            kernelSize: 3,
            strides: [2, 1],
            padding: "same",
            activation: "relu",
          }),
          tf.layers.batchNormalization(),
          tf.layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: "valid", activation: "relu" }),
          tf.layers.separableConv2d({ filters: 3, kernelSize: 2, padding: "same" }),
          tf.layers.conv2d({ filters: 3, kernelSize: 1 }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 4 }),
        ],
      });
      return model;
    },
  ],
  "recurrent layers in both directions": [
    [5, 3],
    () => {
      const options = { recurrentInitializer: "glorotNormal", returnSequences: true } as const;
      return tf.sequential({
        layers: [
          tf.layers.bidirectional({
            layer: tf.layers.lstm({ units: 4, ...options }) as tf.RNN,
            inputShape: [5, 3],
            mergeMode: "concat",
          }),
          tf.layers.gru({ units: 3, ...options }),
          tf.layers.simpleRNN({ units: 3, recurrentInitializer: "glorotNormal" }),
          tf.layers.dense({ units: 4, activation: "softmax" }),
        ],
      });
    },
  ],
  "dense layers over sequences": [
    [9, 2],
    () => {
      return tf.sequential({
        layers: [
          tf.layers.conv1d({ inputShape: [9, 2], filters: 3, kernelSize: 3 }),
          tf.layers.dense({ units: 3, activation: "relu" }),
          tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 2 }) }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 4, activation: "softmax" }),
        ],
      });
    },
  ],
  "a transposed convolution": [
    [5, 5, 2],
    () => {
      return tf.sequential({
        layers: [
          tf.layers.conv2dTranspose({ inputShape: [5, 5, 2], filters: 3, kernelSize: 3, strides: 2, padding: "same" }),
          tf.layers.globalAveragePooling2d({}),
          tf.layers.dense({ units: 4, activation: "softmax" }),
        ],
      });
    },
  ],
  "a layer that is used twice": [
    [6],
    () => {
      const input = tf.input({ shape: [6] });
      const shared = tf.layers.dense({ units: 6, activation: "tanh" });
      const twice = shared.apply(shared.apply(input)) as tf.SymbolicTensor;
      const output = tf.layers.dense({ units: 4, activation: "softmax" }).apply(twice) as tf.SymbolicTensor;
      return tf.model({ inputs: input, outputs: output });
    },
  ],
  "convolutions in three dimensions, one by one": [
    [4, 4, 4, 1],
    () => {
      return tf.sequential({
        layers: [
          tf.layers.conv3d({ inputShape: [4, 4, 4, 1], filters: 2, kernelSize: 2, activation: "relu" }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 4, activation: "softmax" }),
        ],
      });
    },
  ],
};

/** The same model with weights of seeded normal numbers: TensorFlow.js draws its own without a seed. */
export function seeded(model: tf.LayersModel): tf.LayersModel {
  model.weights.forEach((weight, i) => {
    const value = weight.read() as tf.Variable;
    const isVariance = weight.originalName.endsWith("moving_variance");
    const fresh = tf.tensor(
      normals(100 + i, value.size).map((x) => (isVariance ? 0.5 + Math.abs(x) : 0.5 * x)),
      value.shape,
    );
    value.assign(fresh);
    fresh.dispose();
  });
  return model;
}

/** A model's files by name. */
export type Files = Map<string, Uint8Array>;

/** Reads files in memory as if they lay in a folder. */
export function reader(files: ReadonlyMap<string, Uint8Array>): ReadFile {
  return async (name) => {
    const bytes = files.get(name === "" ? "model.json" : name);
    if (!bytes) throw new Error(`ENOENT: no such file '${name}'`);
    return bytes;
  };
}

/** Writes model.json and its weights, split over two files in the middle of a number. */
export function filesOf(
  json: Omit<ModelJson, "weightsManifest">,
  weights: readonly WeightSpec[],
  data: Uint8Array,
): Files {
  const cut = Math.floor(data.length / 2) + 1;
  const weightsManifest = [{ paths: ["a.bin", "b.bin"], weights }];
  return new Map([
    ["model.json", new TextEncoder().encode(JSON.stringify({ ...json, weightsManifest }))],
    ["a.bin", data.slice(0, cut)],
    ["b.bin", data.slice(cut)],
  ]);
}

/** The files that TensorFlow.js itself makes of a model. */
export async function savedFiles(model: tf.LayersModel): Promise<Files> {
  let files: Files | undefined;
  await model.save({
    save: async ({ weightSpecs = [], weightData, ...json }) => {
      const data = new Uint8Array(weightData as ArrayBuffer);
      files = filesOf(json as unknown as ModelJson, weightSpecs as unknown as WeightSpec[], data);
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    },
  });
  return files!;
}

/** A graph as tensorflowjs_converter writes it: convolution, bias, ReLU, depthwise, reshape, two matrix products, softmax. */
export function graphFiles(): { files: Files; shape: readonly number[] } {
  const node = (name: string, op: string, input: readonly string[], attr: object = {}) => ({ name, op, input, attr });
  const type = { T: { type: "DT_FLOAT" } };
  const placeholder = (extents: readonly number[]) => ({
    dtype: { type: "DT_FLOAT" },
    shape: { shape: { dim: extents.map((size) => ({ size: String(size) })) } },
  });
  const conv = {
    ...type,
    strides: { list: { i: ["1", "2", "2", "1"] } },
    padding: { s: Buffer.from("SAME").toString("base64") },
    dilations: { list: { i: ["1", "1", "1", "1"] } },
    data_format: { s: Buffer.from("NHWC").toString("base64") },
  };
  const depthwise = { ...conv, strides: { list: { i: ["1", "1", "1", "1"] } } };
  const constants: readonly (readonly [string, readonly number[], string])[] = [
    ["conv/filter", [3, 3, 1, 4], "float32"],
    ["conv/bias", [4], "float32"],
    ["depth/filter", [3, 3, 4, 1], "float32"],
    ["flat/shape", [2], "int32"],
    ["dense/kernel", [64, 6], "float32"],
    ["out/kernel", [4, 6], "float32"],
  ];
  const nodes = [
    node("x", "Placeholder", [], placeholder([-1, 8, 8, 1])),
    ...constants.map(([name, , dtype]) =>
      node(name, "Const", [], { dtype: { type: dtype === "int32" ? "DT_INT32" : "DT_FLOAT" } }),
    ),
    node("conv", "Conv2D", ["x", "conv/filter"], conv),
    node("bias", "BiasAdd", ["conv", "conv/bias"], type),
    node("relu", "Relu", ["bias"], type),
    node("depth", "DepthwiseConv2dNative", ["relu", "depth/filter"], depthwise),
    node("flat", "Reshape", ["depth", "flat/shape"], type),
    node("pass", "Identity", ["dense/kernel"], type),
    node("dense", "MatMul", ["flat", "pass"], { ...type, transpose_a: { b: false }, transpose_b: { b: false } }),
    node("tanh", "Tanh", ["dense"], type),
    node("out", "MatMul", ["tanh", "out/kernel"], { ...type, transpose_a: { b: false }, transpose_b: { b: true } }),
    node("y", "Softmax", ["out"], type),
  ];
  const values = constants.map(([name, shape, dtype], i) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const data = dtype === "int32" ? Int32Array.of(-1, 64) : normals(20 + i, size).map((value) => value * 0.3);
    return { spec: { name, shape, dtype } as WeightSpec, bytes: new Uint8Array(data.buffer.slice(0)) };
  });
  const data = new Uint8Array(values.reduce((sum, { bytes }) => sum + bytes.length, 0));
  let start = 0;
  for (const { bytes } of values) {
    data.set(bytes, start);
    start += bytes.length;
  }
  const json = { format: "graph-model", modelTopology: { node: nodes, versions: { producer: 1, minConsumer: 0 } } };
  return {
    files: filesOf(
      json,
      values.map(({ spec }) => spec),
      data,
    ),
    shape: [8, 8, 1],
  };
}
