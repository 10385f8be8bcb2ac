/** Networks of @secateur/nn, which are layers, as operators. */
import { notPackable, quoted } from "../errors.ts";
import type { Attribute, PackedOperator } from "../file/packed-model.ts";
import type { DenseTensor, PackGraph } from "./pack-graph.ts";

/** A layer, as `LayerSpec` of @secateur/nn has them. */
export interface NetworkLayer {
  readonly kind: string;
  readonly name?: string;
  readonly inputs?: readonly string[];
}

/** A network, as `NetworkSpec` of @secateur/nn has them. */
export interface LayeredNetwork {
  readonly name: string;
  readonly inputShape: readonly number[];
  readonly layout?: "nchw" | "nhwc";
  readonly classes: number;
  readonly layers: readonly NetworkLayer[];
}

/** Where a layer's output stands: the value that holds it, and whether it is an image [n, c, h, w]. */
interface Place {
  readonly value: string;
  readonly isImage: boolean;
}

/**
 * Operators of a network of layers; the input is named `input`, the output `logits`: what comes before the last log-softmax.
 *
 * @param tensors - by name, weights in PyTorch's order, running statistics of batch normalisation among them
 * @throws ERR_PACKED_GRAPH for a kind of layer that has no operator, or a tensor that is missing
 */
export function lowerNetwork(network: LayeredNetwork, tensors: ReadonlyMap<string, DenseTensor>): PackGraph {
  const { layers, inputShape, layout = "nchw" } = network;
  const operators: PackedOperator[] = [];
  const made = new Map<string, DenseTensor>();
  const places = new Map<string, Place>();
  const get = (name: string): DenseTensor => {
    const found = tensors.get(name);
    if (!found)
      throw notPackable(
        `network ${quoted(network.name)}`,
        `the tensor ${quoted(name)} is missing`,
        "give every tensor of the network",
      );
    return found;
  };
  const keep = (name: string, tensor: DenseTensor): string => {
    made.set(name, { dims: tensor.dims, data: Float32Array.from(tensor.data) });
    return name;
  };
  const give = (spec: {
    op: string;
    name: string;
    from: readonly string[];
    tensors?: readonly string[];
    attributes?: Record<string, Attribute>;
  }): string => {
    const output = `v${operators.length}`;
    const { op, name, from, tensors: held = [], attributes = {} } = spec;
    operators.push({ op, name, inputs: from, tensors: held, output, attributes });
    return output;
  };

  let last = firstPlace({ inputShape, layout, layers, give });
  places.set("input", last);
  const isNhwc = layout === "nhwc";
  layers.forEach((layer, l) => {
    const name = layer.name ?? `${layer.kind} ${l}`;
    const taken = layer.inputs?.map((from) => places.get(from)!) ?? [last];
    const from = taken.map(({ value }) => value);
    const { isImage } = taken[0]!;
    const fields = layer as unknown as Readonly<Record<string, number | boolean | readonly number[] | undefined>>;
    const number = (key: string, or: number): number => (fields[key] as number | undefined) ?? or;
    const place = (value: string, image = isImage): void => {
      last = { value, isImage: image };
    };
    switch (layer.kind) {
      case "dense": {
        const held = [keep(`${name}.weight`, get(`${name}.weight`))];
        if (fields["bias"] !== false) held.push(keep(`${name}.bias`, get(`${name}.bias`)));
        place(give({ op: "Gemm", name, from, tensors: held }), false);
        break;
      }
      case "conv2d": {
        const [kh, kw] = fields["kernel"] as readonly [number, number];
        const weight = get(`${name}.weight`);
        const held = [
          keep(`${name}.weight`, {
            dims: [number("out", 0), number("in", 0) / number("groups", 1), kh, kw],
            data: weight.data,
          }),
        ];
        if (fields["bias"] !== false) held.push(keep(`${name}.bias`, get(`${name}.bias`)));
        const padding = number("padding", 0);
        const [stride, dilation] = [number("stride", 1), number("dilation", 1)];
        const attributes = {
          strides: [stride, stride],
          pads: [padding, padding, padding, padding],
          dilations: [dilation, dilation],
          group: number("groups", 1),
        };
        place(give({ op: "Conv", name, from, tensors: held, attributes }));
        break;
      }
      case "batch-norm": {
        const channels = [number("channels", 0)];
        const held = ["weight", "bias", "running_mean", "running_var"].map((part) =>
          keep(`${name}.${part}`, { dims: channels, data: get(`${name}.${part}`).data }),
        );
        const attributes = { epsilon: number("epsilon", 1e-5) };
        place(give({ op: "BatchNormalization", name, from, tensors: held, attributes }));
        break;
      }
      case "layer-norm": {
        const features = [number("features", 0)];
        const held = ["weight", "bias"].map((part) =>
          keep(`${name}.${part}`, { dims: features, data: get(`${name}.${part}`).data }),
        );
        place(
          give({
            op: "LayerNormalization",
            name,
            from,
            tensors: held,
            attributes: { epsilon: number("epsilon", 1e-5) },
          }),
        );
        break;
      }
      case "relu":
        place(give({ op: "Relu", name, from }));
        break;
      case "relu6":
        place(give({ op: "Clip", name, from, attributes: { low: 0, high: 6 } }));
        break;
      case "silu":
        place(give({ op: "Silu", name, from }));
        break;
      case "gelu":
        place(give({ op: "Gelu", name, from }));
        break;
      case "max-pool":
      case "average-pool": {
        const size = number("size", 1);
        const [stride, padding] = [number("stride", size), number("padding", 0)];
        const attributes = {
          kernel_shape: [size, size],
          strides: [stride, stride],
          pads: [padding, padding, padding, padding],
          ...(layer.kind === "average-pool" ? { count_include_pad: 1 } : {}),
        };
        place(give({ op: layer.kind === "max-pool" ? "MaxPool" : "AveragePool", name, from, attributes }));
        break;
      }
      case "global-average-pool": {
        const mean = give({ op: "GlobalAveragePool", name, from });
        place(give({ op: "Flatten", name: `${name} flatten`, from: [mean] }), false);
        break;
      }
      case "flatten": {
        if (!isImage) break;
        const ordered = isNhwc
          ? [give({ op: "Transpose", name: `${name} order`, from, attributes: { perm: [0, 2, 3, 1] } })]
          : from;
        place(give({ op: "Flatten", name, from: ordered }), false);
        break;
      }
      case "add": {
        const sum = from.slice(1).reduce((total, other) => give({ op: "Add", name, from: [total, other] }), from[0]!);
        place(sum);
        break;
      }
      case "concat":
        place(give({ op: "Concat", name, from, attributes: { axis: 1 } }));
        break;
      case "subsample-and-pad": {
        const channels = number("channels", 0);
        const before = (channels - channelsOf(operators, made, from[0]!)) / 2;
        place(
          give({
            op: "SubsampleAndPad",
            name,
            from,
            attributes: { stride: [number("stride", 1)], channels: [channels, before] },
          }),
        );
        break;
      }
      case "dropout":
        last = taken[0]!;
        break;
      case "log-softmax":
        // Classes are told from the logits; a caller that wants probabilities takes the softmax of ten numbers.
        last = taken[0]!;
        break;
      default:
        throw notPackable(
          `network ${quoted(network.name)}`,
          `the layer ${quoted(name)} is ${quoted(layer.kind)}, which has no operator`,
        );
    }
    if (layer.name !== undefined) places.set(layer.name, last);
  });
  const logits = last.value;
  return {
    inputs: [{ name: "input", dims: ["batch", ...inputShape] }],
    outputs: [{ name: "logits", dims: ["batch", network.classes] }],
    operators: operators.map((operator) => ({
      ...operator,
      inputs: operator.inputs.map((name) => (name === logits ? "logits" : name)),
      output: operator.output === logits ? "logits" : operator.output,
    })),
    tensors: made,
  };
}

/** The input as the first layers want it: an image of planes, or a row of features. */
function firstPlace(spec: {
  inputShape: readonly number[];
  layout: "nchw" | "nhwc";
  layers: readonly NetworkLayer[];
  give: (operator: {
    op: string;
    name: string;
    from: readonly string[];
    attributes?: Record<string, Attribute>;
  }) => string;
}): Place {
  const { inputShape, layout, layers, give } = spec;
  const takers = layers.filter((layer, l) => layer.inputs?.includes("input") ?? l === 0);
  const isImage = !takers.every(({ kind }) => kind === "dense" || kind === "flatten" || kind === "layer-norm");
  if (!isImage) {
    const value = inputShape.length === 1 ? "input" : give({ op: "Flatten", name: "input flatten", from: ["input"] });
    return { value, isImage: false };
  }
  // [height, width] is an image of one channel, [features] one of one position.
  const planes =
    inputShape.length === 3 ? undefined : inputShape.length === 2 ? [0, 1, ...inputShape] : [0, ...inputShape, 1, 1];
  if (planes)
    return {
      value: give({ op: "Reshape", name: "input planes", from: ["input"], attributes: { dims: planes } }),
      isImage: true,
    };
  if (layout === "nchw") return { value: "input", isImage: true };
  return {
    value: give({ op: "Transpose", name: "input planes", from: ["input"], attributes: { perm: [0, 3, 1, 2] } }),
    isImage: true,
  };
}

/** Channels of a value: those of the last product before it. */
function channelsOf(
  operators: readonly PackedOperator[],
  tensors: ReadonlyMap<string, DenseTensor>,
  value: string,
): number {
  for (let name = value; ; ) {
    const operator = operators.find(({ output }) => output === name);
    if (!operator)
      throw notPackable(
        `value ${quoted(value)}`,
        "its channels are those of the network's input, which has no shortcut",
      );
    if (operator.op === "SubsampleAndPad") return (operator.attributes["channels"] as readonly number[])[0]!;
    if (operator.tensors[0] !== undefined) return tensors.get(operator.tensors[0])!.dims[0]!;
    name = operator.inputs[0]!;
  }
}
