/**
 * A network of our own layers as a TensorFlow.js layers model (functional, as Keras 2 writes it): images with channels last, kernels
 * [height, width, in, out], dense kernels [in, out]. Where our network is in channels-first order, what is flattened is turned first, so that
 * dense weights stay in their order.
 */
import type { LayerSpec, Network } from "@secateur/nn";
import { notExported } from "../../errors.ts";

type LayerOf<Kind extends LayerSpec["kind"]> = Extract<LayerSpec, { readonly kind: Kind }>;

/** The files of the model by name: "model.json" and its weights. */
export type TfjsFiles = ReadonlyMap<string, Uint8Array>;

/** A value of the model: what a layer gives. */
interface Value {
  /** The layer's name. */
  readonly name: string;
  readonly isImage: boolean;
  /** Of an image. */
  readonly channels: number;
  /** Whether no entry is below 0, so that a border of zeros never is the largest of a window. */
  readonly isPositive?: boolean;
}

const weightsFile = "group1-shard1of1.bin";

/**
 * Writes a network. Input "input": [height, width, channels] where it takes images, whatever the order of our own; output: probabilities where
 * the network ends in log-softmax, else scores. Dropout does nothing at inference and is left out.
 *
 * @param options.metadata - kept as userDefinedMetadata
 * @throws ERR_EXPORT for what TensorFlow.js has no layer for: groups that are no single channels, a stride with dilation, a largest entry over
 * a padded border where entries may be negative
 */
export function tfjsOfNetwork(
  network: Network,
  options: { readonly metadata?: Readonly<Record<string, string>> } = {},
): TfjsFiles {
  const { spec } = network;
  const writer = kerasWriter(network);
  const values = new Map<string, Value>();
  let previous = inputValue(network, writer);
  values.set("input", previous);
  for (const layer of spec.layers) {
    const inputs = layer.inputs?.map((name) => values.get(name)!) ?? [previous];
    previous = writeLayer(layer, inputs, { writer, isChannelsFirst: (spec.layout ?? "nchw") === "nchw" });
    if (layer.name !== undefined) values.set(layer.name, previous);
  }
  const config = {
    name: spec.name,
    layers: writer.layers,
    input_layers: [["input", 0, 0]],
    output_layers: [[previous.name, 0, 0]],
  };
  const json = {
    format: "layers-model",
    generatedBy: "secateur",
    convertedBy: null,
    modelTopology: {
      keras_version: "2.15.0",
      backend: "tensorflow",
      model_config: { class_name: "Functional", config },
    },
    weightsManifest: [{ paths: [weightsFile], weights: writer.weights.map(({ data: _, ...described }) => described) }],
    ...(options.metadata ? { userDefinedMetadata: options.metadata } : {}),
  };
  return new Map([
    ["model.json", new TextEncoder().encode(JSON.stringify(json))],
    [weightsFile, joined(writer.weights.map(({ data }) => data))],
  ]);
}

interface NewWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: "float32";
  readonly data: Float32Array;
}

interface Writer {
  readonly source: string;
  readonly layers: object[];
  readonly weights: NewWeight[];
  /** A tensor of the network. */
  tensor(name: string): { readonly shape: readonly number[]; readonly data: Float32Array };
  /** Adds a layer under a name that no other has; returns that name. */
  layer(spec: {
    className: string;
    inputs: readonly string[];
    config?: Readonly<Record<string, unknown>>;
    weights?: Readonly<Record<string, { shape: readonly number[]; data: Float32Array }>>;
    name?: string;
  }): string;
}

function kerasWriter(network: Network): Writer {
  const tensors = new Map(network.tensors().map((tensor) => [tensor.name, tensor]));
  const layers: object[] = [];
  const weights: NewWeight[] = [];
  const taken = new Set<string>();
  return {
    source: network.spec.name,
    layers,
    weights,
    tensor(name) {
      const { shape, data } = tensors.get(name)!;
      return { shape, data: Float32Array.from(data) };
    },
    layer({ className, inputs, config = {}, weights: own = {}, name: asked }) {
      let name = asked ?? className.toLowerCase();
      for (let i = 1; taken.has(name); i++) name = `${asked ?? className.toLowerCase()}_${i}`;
      taken.add(name);
      const nodes = inputs.length === 0 ? [] : [inputs.map((input) => [input, 0, 0, {}])];
      layers.push({ class_name: className, name, config: { ...config, name, trainable: true }, inbound_nodes: nodes });
      for (const [role, { shape, data }] of Object.entries(own)) {
        weights.push({ name: `${name}/${role}`, shape, dtype: "float32", data });
      }
      return name;
    },
  };
}

function inputValue({ spec }: Network, writer: Writer): Value {
  const { inputShape, layers, layout = "nchw" } = spec;
  const takers = layers.filter((layer, l) => (layer.inputs ? layer.inputs.includes("input") : l === 0));
  const isRow = takers.every(({ kind }) => kind === "dense" || kind === "flatten" || kind === "layer-norm");
  const declare = (shape: readonly number[]): string =>
    writer.layer({
      className: "InputLayer",
      inputs: [],
      name: "input",
      config: { batch_input_shape: [null, ...shape], dtype: "float32" },
    });
  if (isRow) {
    const name = declare(inputShape);
    return rowValue(inputShape.length === 1 ? name : writer.layer({ className: "Flatten", inputs: [name] }));
  }
  if (layout === "nhwc") return { name: declare(inputShape), isImage: true, channels: inputShape.at(-1)! };
  const [height = 1, width = 1] = inputShape.slice(-2);
  const channels = inputShape.length === 3 ? inputShape[0]! : 1;
  return { name: declare([height, width, channels]), isImage: true, channels };
}

function rowValue(name: string): Value {
  return { name, isImage: false, channels: 0 };
}

function writeLayer(
  layer: LayerSpec,
  inputs: readonly Value[],
  at: { writer: Writer; isChannelsFirst: boolean },
): Value {
  const { writer } = at;
  const [first] = inputs as readonly [Value, ...Value[]];
  const names = inputs.map(({ name }) => name);
  const plain = (className: string, config: Readonly<Record<string, unknown>> = {}): string =>
    writer.layer({ className, inputs: names, config });
  const like = (name: string, isPositive = false): Value => ({ ...first, name, isPositive });
  switch (layer.kind) {
    case "dense":
      return rowValue(writeDense(layer, rowsOf(first, at), writer));
    case "conv2d":
      return { ...like(writeConvolution(layer, first.name, writer)), channels: layer.out };
    case "batch-norm": {
      const roles = { gamma: "weight", beta: "bias", moving_mean: "running_mean", moving_variance: "running_var" };
      const weights = Object.fromEntries(
        Object.entries(roles).map(([role, suffix]) => [role, writer.tensor(`${layer.name}.${suffix}`)]),
      );
      const config = {
        axis: -1,
        epsilon: layer.epsilon ?? 1e-5,
        momentum: 1 - (layer.momentum ?? 0.1),
        center: true,
        scale: true,
      };
      return like(writer.layer({ className: "BatchNormalization", inputs: names, name: layer.name, config, weights }));
    }
    case "layer-norm": {
      const weights = { gamma: writer.tensor(`${layer.name}.weight`), beta: writer.tensor(`${layer.name}.bias`) };
      const config = { axis: -1, epsilon: layer.epsilon ?? 1e-5, center: true, scale: true };
      const inputs = [rowsOf(first, at)];
      return rowValue(writer.layer({ className: "LayerNormalization", inputs, name: layer.name, config, weights }));
    }
    case "relu":
      return like(plain("ReLU"), true);
    case "relu6":
      return like(plain("ReLU", { max_value: 6 }), true);
    case "silu":
      return like(plain("Activation", { activation: "swish" }));
    case "gelu":
      return like(plain("Activation", { activation: "gelu" }));
    case "max-pool":
    case "average-pool":
      return like(writePool(layer, first, writer), first.isPositive);
    case "global-average-pool":
      return rowValue(plain("GlobalAveragePooling2D"));
    case "flatten":
      return rowValue(rowsOf(first, at));
    case "add":
      return like(
        plain("Add"),
        inputs.every(({ isPositive }) => isPositive),
      );
    case "concat":
      return {
        ...like(
          plain("Concatenate", { axis: -1 }),
          inputs.every(({ isPositive }) => isPositive),
        ),
        channels: inputs.reduce((sum, { channels }) => sum + channels, 0),
      };
    case "subsample-and-pad":
      return { ...like(writeShortcut(layer, first, writer), first.isPositive), channels: layer.channels };
    case "dropout":
      return first;
    case "log-softmax":
      return like(plain("Activation", { activation: "softmax" }));
    default:
      return layer satisfies never;
  }
}

/** An image as a row of features, in the order of our own network. */
function rowsOf(
  { name, isImage }: Value,
  { writer, isChannelsFirst }: { writer: Writer; isChannelsFirst: boolean },
): string {
  if (!isImage) return name;
  const ordered = isChannelsFirst
    ? writer.layer({ className: "Permute", inputs: [name], config: { dims: [3, 1, 2] } })
    : name;
  return writer.layer({ className: "Flatten", inputs: [ordered] });
}

function writeDense({ name, in: inputs, out, bias = true }: LayerOf<"dense">, input: string, writer: Writer): string {
  const { data } = writer.tensor(`${name}.weight`);
  const turned = new Float32Array(data.length);
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < inputs; i++) turned[i * out + o] = data[o * inputs + i]!;
  }
  const weights = {
    kernel: { shape: [inputs, out], data: turned },
    ...(bias ? { bias: writer.tensor(`${name}.bias`) } : {}),
  };
  return writer.layer({
    className: "Dense",
    inputs: [input],
    name,
    config: { units: out, activation: "linear", use_bias: bias },
    weights,
  });
}

function writeConvolution(layer: LayerOf<"conv2d">, input: string, writer: Writer): string {
  const { name, in: channels, out, kernel, stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = layer;
  const isDepthwise = groups > 1 && groups === channels;
  const source = `${writer.source}: the convolution '${name}'`;
  if (groups > 1 && !isDepthwise) {
    const found = `${groups} groups of ${channels} channels`;
    throw notExported({ source, found, can: "write ONNX, or use one group or as many as channels" });
  }
  if (stride > 1 && dilation > 1) throw notExported({ source, found: "a stride with dilation", can: "write ONNX" });
  const isSame = stride === 1 && kernel.every((size) => (size - 1) * dilation === 2 * padding);
  const padded = padding === 0 || isSame ? input : padZeros(input, padding, writer);
  const { data } = writer.tensor(`${name}.weight`);
  const config = {
    kernel_size: kernel,
    strides: [stride, stride],
    padding: isSame && padding > 0 ? "same" : "valid",
    dilation_rate: [dilation, dilation],
    activation: "linear",
    use_bias: bias,
    ...(isDepthwise ? { depth_multiplier: out / channels } : { filters: out }),
  };
  const weight = isDepthwise
    ? {
        depthwise_kernel: {
          shape: [...kernel, channels, out / channels],
          data: channelsInside(data, { out, inside: 1 }),
        },
      }
    : { kernel: { shape: [...kernel, channels, out], data: channelsInside(data, { out, inside: channels }) } };
  const weights = { ...weight, ...(bias ? { bias: writer.tensor(`${name}.bias`) } : {}) };
  return writer.layer({
    className: isDepthwise ? "DepthwiseConv2D" : "Conv2D",
    inputs: [padded],
    name,
    config,
    weights,
  });
}

/** [out, in, positions] as [positions, in, out]; a depthwise kernel's outputs are its channels and what each is multiplied to. */
function channelsInside(data: Float32Array, { out, inside }: { out: number; inside: number }): Float32Array {
  const positions = data.length / (out * inside);
  const turned = new Float32Array(data.length);
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < inside; i++) {
      for (let p = 0; p < positions; p++) turned[(p * inside + i) * out + o] = data[(o * inside + i) * positions + p]!;
    }
  }
  return turned;
}

function writePool(layer: LayerOf<"max-pool" | "average-pool">, input: Value, writer: Writer): string {
  const { kind, size, stride = size, padding = 0 } = layer;
  if (kind === "max-pool" && padding > 0 && !input.isPositive) {
    const found = "a largest entry over a padded border where entries may be negative";
    throw notExported({ source: writer.source, found, can: "write ONNX" });
  }
  // The mean of our layers counts the border's zeros, as one over a border that is there does.
  const padded = padding === 0 ? input.name : padZeros(input.name, padding, writer);
  const className = kind === "max-pool" ? "MaxPooling2D" : "AveragePooling2D";
  return writer.layer({
    className,
    inputs: [padded],
    config: { pool_size: [size, size], strides: [stride, stride], padding: "valid" },
  });
}

function padZeros(input: string, padding: number, writer: Writer): string {
  const both = [padding, padding];
  return writer.layer({ className: "ZeroPadding2D", inputs: [input], config: { padding: [both, both] } });
}

/** Every `stride`-th position with channels of zeros around: windows of one entry, and a border of the channels turned to where borders are. */
function writeShortcut({ stride, channels }: LayerOf<"subsample-and-pad">, input: Value, writer: Writer): string {
  const pool = { pool_size: [1, 1], strides: [stride, stride], padding: "valid" };
  const sampled =
    stride === 1 ? input.name : writer.layer({ className: "MaxPooling2D", inputs: [input.name], config: pool });
  const missing = channels - input.channels;
  if (missing === 0) return sampled;
  const turn = (name: string): string =>
    writer.layer({ className: "Permute", inputs: [name], config: { dims: [1, 3, 2] } });
  const border = [
    [0, 0],
    [missing >> 1, missing - (missing >> 1)],
  ];
  return turn(writer.layer({ className: "ZeroPadding2D", inputs: [turn(sampled)], config: { padding: border } }));
}

/** Numbers one after the other, little-endian as the format has them. */
function joined(parts: readonly Float32Array[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(parts.reduce((sum, { byteLength }) => sum + byteLength, 0)));
  let at = 0;
  for (const part of parts) {
    for (const value of part) {
      bytes.setFloat32(at, value, true);
      at += 4;
    }
  }
  return new Uint8Array(bytes.buffer);
}
