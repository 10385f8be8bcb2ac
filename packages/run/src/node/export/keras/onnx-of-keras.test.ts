import { readModelFiles } from "@secateur/backends-tfjs";
import { createRng, createRunContext } from "@secateur/core";
import { decodeOnnx, encodeOnnx } from "@secateur/formats";
import { createGraphModel } from "@secateur/graph";
import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { withOpset } from "../encode-model.ts";
import { onnxOfKeras } from "./onnx-of-keras.ts";

tf.enableProdMode();
const { layers: l } = tf;
type Built = tf.LayersModel;

const rng = createRng(3);
/** Names are counted for the whole process; a fresh name for each layer keeps models apart from each other. */
const image = (): tf.SymbolicTensor => tf.input({ shape: [6, 5, 3] });
const series = (): tf.SymbolicTensor => tf.input({ shape: [7, 4] });
const apply = (layer: tf.layers.Layer, ...inputs: tf.SymbolicTensor[]): tf.SymbolicTensor =>
  layer.apply(inputs.length === 1 ? inputs[0]! : inputs) as tf.SymbolicTensor;

/** A model through one layer or several after each other. */
function through(input: tf.SymbolicTensor, ...chain: readonly tf.layers.Layer[]): Built {
  return tf.model({ inputs: input, outputs: chain.reduce((value, layer) => apply(layer, value), input) });
}

/** Random numbers everywhere, so that no bias or statistic is left at its neutral start. */
function randomise(model: Built): void {
  model.setWeights(
    model.getWeights().map((weight, i) => {
      const isVariance = model.weights[i]!.name.includes("variance");
      const values = Float32Array.from({ length: weight.size }, () =>
        isVariance ? 0.5 + rng.next() : 0.5 * rng.normal(),
      );
      return tf.tensor(values, weight.shape);
    }),
  );
}

async function filesOf(model: Built) {
  const saved = new Map<string, Uint8Array>();
  await model.save({
    save: async ({ weightSpecs, weightData, ...artifacts }) => {
      const weightsManifest = [{ paths: ["weights.bin"], weights: weightSpecs }];
      saved.set("", new TextEncoder().encode(JSON.stringify({ ...artifacts, weightsManifest })));
      saved.set("weights.bin", new Uint8Array(weightData as ArrayBuffer));
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    },
  });
  return await readModelFiles({ source: "model.json", read: async (name) => saved.get(name)! });
}

/** The largest difference of outputs on random inputs, as a share of the largest output. */
async function largestDifference(model: Built, draw: () => number = () => rng.normal()): Promise<number> {
  randomise(model);
  const files = await filesOf(model);
  const onnx = decodeOnnx(encodeOnnx(withOpset(onnxOfKeras(files), { metadata: {} })), "exported.onnx");
  // Without the shapes of its outputs, what it gives are the outputs themselves and not the scores before a softmax.
  const outputsAlone = onnx.graph.outputs.map(({ name, dtype }) => ({ name, dtype }));
  const graph = createGraphModel({ graph: { ...onnx.graph, outputs: outputsAlone }, opsets: onnx.opsets });
  const shapes = model.inputs.map(({ shape }) => [2, ...shape.slice(1).map((extent) => extent!)]);
  const inputs = shapes.map((shape) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return { shape, data: Float32Array.from({ length: size }, draw) };
  });
  const answer = tf.tidy(() => {
    const tensors = inputs.map(({ shape, data }) => tf.tensor(data, shape));
    return [model.predict(tensors.length === 1 ? tensors[0]! : tensors)].flat().map((one) => one.dataSync());
  });
  const named = Object.fromEntries(onnx.graph.inputs.map(({ name }, i) => [name, inputs[i]!]));
  const outputs = await graph.run!({ size: 2, inputs: named }, createRunContext());
  return Math.max(
    ...onnx.graph.outputs.map(({ name }, i) => {
      const [own, expected] = [outputs[name]!.data, answer[i]!];
      expect(own.length).toBe(expected.length);
      const scale = Math.max(...expected.map(Math.abs));
      return Math.max(...expected.map((value, j) => Math.abs(value - own[j]!))) / scale;
    }),
  );
}

/** Sums in f32 in another order differ by some 1e-6 of the largest output for each layer. */
const rounding = 2e-5;

describe("a TensorFlow.js layers model as an ONNX model computes what it computes:", () => {
  const cases: Readonly<Record<string, () => Built>> = {
    "dense layers": () =>
      through(
        tf.input({ shape: [5] }),
        l.dense({ units: 4, activation: "relu" }),
        l.dense({ units: 3, useBias: false, activation: "softmax" }),
      ),
    "a dense layer over a sequence": () => through(series(), l.dense({ units: 3, activation: "tanh" })),
    "a convolution that keeps the size": () =>
      through(image(), l.conv2d({ filters: 4, kernelSize: [3, 2], padding: "same", activation: "relu" })),
    "a convolution with a stride that keeps the size": () =>
      through(image(), l.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: "same" })),
    "a dilated convolution, flattened": () =>
      through(
        image(),
        l.conv2d({ filters: 2, kernelSize: 2, dilationRate: 2, padding: "same" }),
        l.flatten(),
        l.dense({ units: 2 }),
      ),
    "a dilated convolution of a series": () =>
      through(
        series(),
        l.conv1d({ filters: 3, kernelSize: 3, padding: "same", dilationRate: 2 }),
        l.maxPooling1d({ poolSize: 2 }),
      ),
    "a depthwise convolution with a multiplier": () =>
      through(image(), l.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, strides: 2 })),
    "a separable convolution": () =>
      through(image(), l.separableConv2d({ filters: 4, kernelSize: 3, depthMultiplier: 2, padding: "same" })),
    "a transposed convolution, same": () =>
      through(image(), l.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: "same" })),
    "a transposed convolution, valid, with a stride above its kernel": () =>
      through(image(), l.conv2dTranspose({ filters: 2, kernelSize: 2, strides: 3 })),
    "pooling with padding": () =>
      through(
        image(),
        l.maxPooling2d({ poolSize: 2, padding: "same" }),
        l.averagePooling2d({ poolSize: 2, strides: 1, padding: "same" }),
      ),
    "global pooling": () => through(image(), l.conv2d({ filters: 4, kernelSize: 2 }), l.globalAveragePooling2d({})),
    "the largest entry of a series": () => through(series(), l.globalMaxPooling1d()),
    "batch normalisation": () =>
      through(
        image(),
        l.conv2d({ filters: 4, kernelSize: 2 }),
        l.batchNormalization({ scale: false }),
        l.reLU({ maxValue: 6 }),
      ),
    "batch normalisation of rows": () => through(tf.input({ shape: [5] }), l.batchNormalization({ center: false })),
    "layer normalisation": () => through(series(), l.layerNormalization()),
    "shapes that change": () =>
      through(image(), l.permute({ dims: [2, 1, 3] }), l.reshape({ targetShape: [15, 6] }), l.dropout({ rate: 0.5 })),
    "padding and growing": () =>
      through(
        image(),
        l.zeroPadding2d({
          padding: [
            [1, 0],
            [2, 3],
          ],
        }),
        l.upSampling2d({ size: [2, 3] }),
        l.upSampling2d({ size: [2, 2], interpolation: "bilinear" }),
      ),
    "a residual block whose channels are joined": () => {
      const input = image();
      const wide = apply(l.conv2d({ filters: 3, kernelSize: 3, padding: "same", activation: "elu" }), input);
      const sum = apply(l.add(), apply(l.multiply(), wide, input), apply(l.average(), wide, input));
      return tf.model({
        inputs: input,
        outputs: apply(l.flatten(), apply(l.concatenate(), sum, apply(l.maximum(), wide, input))),
      });
    },
    "an LSTM over every step": () => through(series(), l.lstm({ units: 3, returnSequences: true })),
    "an LSTM's last step with other activations": () =>
      through(
        series(),
        l.lstm({ units: 3, recurrentActivation: "sigmoid", activation: "relu" }),
        l.dense({ units: 2 }),
      ),
    "a GRU": () => through(series(), l.gru({ units: 3 })),
    "a model inside a model, a layer used twice, two outputs": () => {
      const inner = tf.sequential({
        layers: [l.dense({ units: 4, activation: "swish", inputShape: [4] }), l.leakyReLU({ alpha: 0.2 })],
      });
      const shared = l.dense({ units: 4 });
      const [a, b] = [tf.input({ shape: [4] }), tf.input({ shape: [4] })];
      const both = apply(l.add(), apply(shared, apply(inner, a)), apply(shared, b));
      return tf.model({ inputs: [a, b], outputs: [both, apply(l.softmax(), both)] });
    },
  };
  test.each(Object.keys(cases))("%s", async (name) => {
    expect(await largestDifference(cases[name]!())).toBeLessThan(rounding);
  });

  test.each(["linear", "relu6", "sigmoid", "hardSigmoid", "softplus", "softsign", "selu", "mish", "gelu"] as const)(
    "the activation %s",
    async (activation) => {
      expect(
        await largestDifference(
          through(image(), l.conv2d({ filters: 2, kernelSize: 2 }), l.activation({ activation })),
        ),
      ).toBeLessThan(rounding);
    },
  );

  test("an embedding of a sequential model", async () => {
    const model = tf.sequential({
      layers: [l.embedding({ inputDim: 9, outputDim: 2, inputLength: 4 }), l.flatten(), l.dense({ units: 2 })],
    });
    expect(await largestDifference(model, () => Math.floor(9 * rng.next()))).toBeLessThan(rounding);
    const { graph } = onnxOfKeras(await filesOf(model));
    expect(graph.inputs[0]).toMatchObject({ shape: ["batch", 4] });
    expect(graph.outputs[0]).toMatchObject({ shape: ["batch", 2] });
  });

  test("layers that are named as operators are, and one that gives two outputs", async () => {
    const input = tf.input({ shape: [4] });
    const shared = l.dense({ units: 4, name: "gemm_0" });
    const [a, b] = [apply(shared, input), apply(shared, apply(l.activation({ activation: "relu" }), input))];
    const c = apply(l.dense({ units: 3, name: "softmax_1", activation: "softmax" }), b);
    const model = tf.model({ inputs: input, outputs: [a, b, c] });
    expect(await largestDifference(model)).toBeLessThan(rounding);
    const { graph } = onnxOfKeras(await filesOf(model));
    expect(graph.outputs.map(({ name }) => name)).toEqual(["gemm_0", "gemm_0_output_1", "softmax_1"]);
  });

  test("no operator takes as an attribute what newer operator sets take as an input", async () => {
    const { graph } = onnxOfKeras(await filesOf(through(image(), l.globalAveragePooling2d({}), l.dense({ units: 2 }))));
    // ReduceMean and Squeeze, among others, had their axes as an attribute once; that form is operator-sets.ts's alone.
    expect(graph.nodes.flatMap(({ attributes }) => Object.keys(attributes))).not.toContain("axes");
  });
});

describe("what cannot be written is refused by name:", () => {
  const topology = (layers: readonly object[]) => ({ class_name: "Sequential", config: { name: "net", layers } });
  const files = (modelTopology: object) =>
    ({ source: "net/model.json", kind: "layers", json: { modelTopology }, weights: [] }) as unknown as Parameters<
      typeof onnxOfKeras
    >[0];
  const start = { class_name: "InputLayer", config: { name: "in", batch_input_shape: [null, 4] } };
  test.each([
    [
      "a class",
      topology([start, { class_name: "Attention", config: { name: "a" } }]),
      /the layer 'a' \(Attention\).*classes that are: Dense/,
    ],
    [
      "a setting",
      topology([start, { class_name: "ReLU", config: { name: "r", max_value: "six" } }]),
      /the layer 'r' \(ReLU\): 'max_value'/,
    ],
    [
      "a weight that is not there",
      topology([start, { class_name: "Dense", config: { name: "d" } }]),
      /no weight 'kernel'/,
    ],
    ["a model without layers", topology([]), /without layers/],
    ["another form", { class_name: "Functional", config: {} }, /another form at layers/],
    ["a class of models", { class_name: "Magic", config: {} }, /"Magic"/],
    [
      "calls in a circle",
      {
        class_name: "Functional",
        config: {
          layers: [{ name: "a", class_name: "ReLU", config: {}, inbound_nodes: [[["a", 0, 0, {}]]] }],
          input_layers: [],
          output_layers: [["a", 0, 0]],
        },
      },
      /'a' takes what no layer gives/,
    ],
  ])("%s", (_what, model, says) => {
    expect(() => onnxOfKeras(files(model))).toThrow(says);
  });

  test.each([
    [
      "a mask",
      () => tf.sequential({ layers: [l.embedding({ inputDim: 3, outputDim: 2, inputLength: 4, maskZero: true })] }),
      /'mask_zero' of true/,
    ],
    ["channels first", () => through(image(), l.flatten({ dataFormat: "channelsFirst" })), /'data_format'/],
    ["a softmax over another axis", () => through(image(), l.softmax({ axis: 1 })), /axis 1/],
    [
      "a first state",
      () => {
        const state = tf.input({ shape: [3] });
        const input = series();
        return tf.model({
          inputs: [input, state],
          outputs: l.gru({ units: 3 }).apply(input, { initialState: [state] }) as tf.SymbolicTensor,
        });
      },
      /2 inputs/,
    ],
  ] as const)("%s", async (_what, build, says) => {
    const written = await filesOf(build());
    expect(() => onnxOfKeras(written)).toThrow(says);
  });

  test("a small file whose models inside models multiply", () => {
    const input = {
      name: "in",
      class_name: "InputLayer",
      config: { name: "in", batch_input_shape: [null, 4] },
      inbound_nodes: [],
    };
    // Of a model its first use is called 1.
    const uses = (first: number) =>
      [0, 1, 2, 3].map((i) => [[i === 0 ? "in" : "a", i === 0 ? 0 : first + i - 1, 0, {}]]);
    let model: object = { class_name: "ReLU", name: "a", config: {} };
    for (let depth = 0; depth < 12; depth++) {
      const inner = { ...model, name: "a", inbound_nodes: uses(depth === 0 ? 0 : 1) };
      model = {
        class_name: "Functional",
        config: { name: "m", layers: [input, inner], input_layers: [["in", 0, 0]], output_layers: [["a", 1, 0]] },
      };
    }
    expect(JSON.stringify(model).length).toBeLessThan(10_000);
    expect(() => onnxOfKeras(files(model))).toThrow(/more than 20000 uses of layers/);
  });
});
