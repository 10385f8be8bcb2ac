/** A network of our own layers as an ONNX model, weights under the names they have. */
import type { NewOnnxModel } from "@secateur/formats";
import type { LayerSpec, Network } from "@secateur/nn";
import { type GraphWriter, gelu, graphWriter } from "./graph-writer.ts";

/** ONNX's LayerNormalization is of 17; everything else is written as 13 has it (operator-sets.ts knows how it is in older sets). */
const opsetOf = (layers: readonly LayerSpec[]): number => (layers.some(({ kind }) => kind === "layer-norm") ? 17 : 13);

/** A value of the graph: rows [batch, features] or images [batch, channels, height, width]. */
interface Value {
  readonly name: string;
  readonly isImage: boolean;
}

/**
 * Describes a network as an ONNX model with a free batch dimension: input "input", output "output" (log-probabilities where the network ends in
 * log-softmax, else scores). Dropout does nothing at inference and is left out.
 */
export function onnxOfNetwork(network: Network): NewOnnxModel {
  const { spec } = network;
  const writer = graphWriter(["input", "output", ...network.tensors().map(({ name }) => name)]);
  for (const { name, shape, data } of network.tensors()) {
    writer.initializers.push({ name, dtype: "f32", shape, data: Float32Array.from(data) });
  }
  const values = new Map<string, Value>();
  let previous = inputValue(network, writer);
  values.set("input", previous);
  for (const layer of spec.layers) {
    const inputs = layer.inputs?.map((name) => values.get(name)!) ?? [previous];
    previous = writeLayer(layer, inputs, { writer, layout: spec.layout ?? "nchw" });
    if (layer.name !== undefined) values.set(layer.name, previous);
  }
  writer.node("Identity", [previous.name], {}, "output");
  return {
    opsets: { "": opsetOf(spec.layers) },
    metadata: {},
    graph: {
      name: spec.name,
      nodes: writer.nodes,
      initializers: writer.initializers,
      inputs: [{ name: "input", dtype: "f32", shape: ["batch", ...spec.inputShape] }],
      outputs: [{ name: "output", dtype: "f32", shape: ["batch", spec.classes] }],
    },
  };
}

/** The input as the first layer takes it: images with their channels, or rows of features. */
function inputValue({ spec }: Network, writer: GraphWriter): Value {
  const { inputShape, layers, layout = "nchw" } = spec;
  const takers = layers.filter((layer, l) => (layer.inputs ? layer.inputs.includes("input") : l === 0));
  const isRow = takers.every(({ kind }) => kind === "dense" || kind === "flatten" || kind === "layer-norm");
  if (isRow) {
    return { name: inputShape.length === 1 ? "input" : writer.node("Flatten", ["input"], { axis: 1 }), isImage: false };
  }
  const [height = 1, width = 1, channels = 1] =
    layout === "nhwc" ? inputShape : [...inputShape.slice(-2), ...inputShape.slice(0, -2)];
  if (layout === "nchw") {
    const isWhole = inputShape.length === 3;
    const name = isWhole ? "input" : writer.node("Reshape", ["input", writer.whole(-1, channels, height, width)]);
    return { name, isImage: true };
  }
  const image = writer.node("Reshape", ["input", writer.whole(-1, height, width, channels)]);
  return { name: writer.node("Transpose", [image], { perm: [0, 3, 1, 2] }), isImage: true };
}

function writeLayer(
  layer: LayerSpec,
  inputs: readonly Value[],
  { writer, layout }: { writer: GraphWriter; layout: "nchw" | "nhwc" },
): Value {
  const [first] = inputs as readonly [Value, ...Value[]];
  const { node } = writer;
  const like = (name: string): Value => ({ name, isImage: first.isImage });
  const rows = (): string => {
    if (!first.isImage) return first.name;
    const ordered = layout === "nhwc" ? node("Transpose", [first.name], { perm: [0, 2, 3, 1] }) : first.name;
    return node("Flatten", [ordered], { axis: 1 });
  };
  switch (layer.kind) {
    case "dense": {
      const bias = layer.bias !== false ? [`${layer.name}.bias`] : [];
      return { name: node("Gemm", [rows(), `${layer.name}.weight`, ...bias], { transB: 1 }), isImage: false };
    }
    case "conv2d": {
      const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = layer;
      const attributes = {
        kernel_shape: layer.kernel,
        strides: [stride, stride],
        pads: [padding, padding, padding, padding],
        dilations: [dilation, dilation],
        group: groups,
      };
      const tensors = [`${layer.name}.weight`, ...(bias ? [`${layer.name}.bias`] : [])];
      return like(node("Conv", [first.name, ...tensors], attributes));
    }
    case "batch-norm": {
      const tensors = ["weight", "bias", "running_mean", "running_var"].map((suffix) => `${layer.name}.${suffix}`);
      const attributes = { epsilon: layer.epsilon ?? 1e-5 };
      return like(node("BatchNormalization", [first.name, ...tensors], attributes, undefined, ["epsilon"]));
    }
    case "layer-norm": {
      const tensors = [`${layer.name}.weight`, `${layer.name}.bias`];
      const attributes = { axis: 1, epsilon: layer.epsilon ?? 1e-5 };
      const name = node("LayerNormalization", [rows(), ...tensors], attributes, undefined, ["epsilon"]);
      return { name, isImage: false };
    }
    case "relu":
      return like(node("Relu", [first.name]));
    case "relu6":
      return like(node("Clip", [first.name, writer.real(0), writer.real(6)]));
    case "silu":
      return like(node("Mul", [first.name, node("Sigmoid", [first.name])]));
    case "gelu":
      return like(gelu(writer, first.name));
    case "max-pool":
    case "average-pool": {
      const { size, stride = size, padding = 0 } = layer;
      const window = {
        kernel_shape: [size, size],
        strides: [stride, stride],
        pads: [padding, padding, padding, padding],
      };
      if (layer.kind === "max-pool") return like(node("MaxPool", [first.name], window));
      return like(node("AveragePool", [first.name], { ...window, count_include_pad: 1 }));
    }
    case "global-average-pool":
      return { name: node("Flatten", [node("GlobalAveragePool", [first.name])], { axis: 1 }), isImage: false };
    case "flatten":
      return { name: rows(), isImage: false };
    case "add":
      return like(inputs.slice(1).reduce((sum, { name }) => node("Add", [sum, name]), first.name));
    case "concat":
      return like(
        node(
          "Concat",
          inputs.map(({ name }) => name),
          { axis: 1 },
        ),
      );
    case "subsample-and-pad":
      return like(shortcut(layer, first.name, writer));
    case "dropout":
      return first;
    case "log-softmax":
      // It comes last, behind rows: an image would be no scores of classes.
      return like(node("LogSoftmax", [first.name], { axis: 1 }));
    default:
      return layer satisfies never;
  }
}

/** Every `stride`-th position with channels of zeros around: as many before as after, which the graph computes from its own shape. */
function shortcut(
  layer: Extract<LayerSpec, { kind: "subsample-and-pad" }>,
  input: string,
  writer: GraphWriter,
): string {
  const { node, whole } = writer;
  const [zero, far, axes] = [whole(0, 0), whole(2 ** 31 - 1, 2 ** 31 - 1), whole(2, 3)];
  const sliced = node("Slice", [input, zero, far, axes, whole(layer.stride, layer.stride)]);
  const channels = node("Gather", [node("Shape", [input]), whole(1)], { axis: 0 });
  const missing = node("Div", [node("Sub", [whole(layer.channels), channels]), whole(2)]);
  const pads = node("Concat", [whole(0), missing, whole(0, 0), whole(0), missing, whole(0, 0)], { axis: 0 });
  return node("Pad", [sliced, pads]);
}
