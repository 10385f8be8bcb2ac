/** A network description resolved: who takes whose output, and every shape. */
import { badNetwork } from "../errors.ts";
import { inferShape } from "./infer-shape.ts";
import type { BatchNormSpec, LayerSpec } from "./layer-spec.ts";
import { type ImageLayout, imageLayouts, type NetworkSpec } from "./network-spec.ts";
import { sizeOf, type ValueShape } from "./value-shape.ts";

/** The place of the network's input among the inputs of a node. */
export const networkInput = -1;

/** A layer at its place. Nodes are in an order in which inputs come first. */
export interface Node {
  readonly index: number;
  readonly layer: LayerSpec;
  /** Indices of nodes; {@link networkInput}. */
  readonly inputs: readonly number[];
  readonly inputShapes: readonly ValueShape[];
  readonly shape: ValueShape;
  /** Of the network's images at the border. */
  readonly layout: ImageLayout;
  /** How many nodes take its output. */
  readonly consumers: number;
  /** Whether a gradient is wanted for each input: some layer before it has parameters. */
  readonly needsDelta: readonly boolean[];
  /** Whether its output may be written over its first input. */
  readonly isInPlace: boolean;
  /** Of a convolution: the batch normalisation after it, whose eval form is folded into its weights. */
  readonly norm?: BatchNormSpec;
  /** Of such a batch normalisation. */
  readonly isFolded: boolean;
  /**
   * Of a convolution and the ReLU that alone takes its output, also behind a batch normalisation: when the convolution applies the ReLU
   * itself, always or in eval mode, where it stands for the batch normalisation, too.
   */
  readonly rectified?: "always" | "eval";
}

/** A resolved network. */
export interface Graph {
  readonly nodes: readonly Node[];
  /** Node whose output is the logits. */
  readonly logits: number;
  /** Of the input; an image is height x width x channels inside. */
  readonly inputShape: ValueShape;
  /** Of images at the border: of the input, and of what flatten gives. */
  readonly layout: ImageLayout;
  /** Numbers kept for one example until the backward pass. */
  readonly valuesPerExample: number;
}

const graphs = new WeakMap<NetworkSpec, Graph>();

/** The graph of a description, made once. @throws ERR_NETWORK */
export function graphOf(network: NetworkSpec): Graph {
  const known = graphs.get(network);
  if (known) return known;
  const graph = resolve(network);
  graphs.set(network, graph);
  return graph;
}

function resolve(network: NetworkSpec): Graph {
  const { layers, layout = "nchw" } = network;
  const inputs = resolveInputs(network);
  assertNames(network);
  const inputShape = shapeOfInput(network, inputs);
  const shapes: ValueShape[] = [];
  layers.forEach((layer, l) => {
    if (layer.kind === "log-softmax" && l !== layers.length - 1) {
      throw badNetwork(network.name, `layer ${l} is log-softmax, which is allowed only as the last layer`);
    }
    const taken = inputs[l]!.map((from) => (from === networkInput ? inputShape : shapes[from]!));
    shapes.push(inferShape(network.name, layer, taken));
  });
  const consumers = layers.map((_, l) => inputs.flat().filter((from) => from === l).length);
  if (!layers.some(hasWeights)) throw badNetwork(network.name, "it has no layer with weights");
  const last = layers.length - 1;
  const logits = layers[last]!.kind === "log-softmax" ? inputs[last]![0]! : last;
  const width = sizeOf(shapes[last]!);
  if (width !== network.classes) {
    throw badNetwork(network.name, `its last layer gives ${width} values for ${network.classes} classes`);
  }
  const rectified = rectifiedNodes(layers, inputs, (l) => consumers[l] === 1 && l !== logits);
  const hasParams: boolean[] = [];
  const nodes = layers.map((layer, index): Node => {
    const from = inputs[index]!;
    const before = from.map((i) => i !== networkInput && hasParams[i]!);
    hasParams.push("name" in layer && hasTensors(layer) ? true : before.some(Boolean));
    const first = from[0]!;
    const producer = layers[first];
    const sole = producer && consumers[first] === 1 && first !== logits;
    const follower = layers.findIndex((other, o) => other.kind === "batch-norm" && inputs[o]![0] === index);
    const norm = layer.kind === "conv2d" && consumers[index] === 1 ? layers[follower] : undefined;
    return {
      index,
      layer,
      inputs: from,
      inputShapes: from.map((i) => (i === networkInput ? inputShape : shapes[i]!)),
      shape: shapes[index]!,
      layout,
      consumers: consumers[index]!,
      needsDelta: before,
      isInPlace: Boolean(sole) && overwrites.has(layer.kind) && !keepsOutput.has(producer!.kind),
      ...(norm?.kind === "batch-norm" ? { norm } : {}),
      ...(rectified.has(index) ? { rectified: rectified.get(index)! } : {}),
      isFolded: layer.kind === "batch-norm" && producer?.kind === "conv2d" && consumers[first] === 1,
    };
  });
  const kept = nodes.filter((node) => !node.isInPlace && !node.isFolded);
  return {
    nodes,
    logits,
    inputShape,
    layout,
    valuesPerExample: sizeOf(inputShape) + kept.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
  };
}

/** Convolutions and their ReLUs. `isSole`: whether one node alone takes the output. */
function rectifiedNodes(
  layers: readonly LayerSpec[],
  inputs: readonly number[][],
  isSole: (node: number) => boolean,
): ReadonlyMap<number, "always" | "eval"> {
  const found = new Map<number, "always" | "eval">();
  layers.forEach(({ kind }, relu) => {
    const before = inputs[relu]![0]!;
    if (kind !== "relu" || !isSole(before)) return;
    const isNorm = layers[before]?.kind === "batch-norm";
    const conv = isNorm ? inputs[before]![0]! : before;
    if (layers[conv]?.kind !== "conv2d" || !isSole(conv)) return;
    for (const node of [conv, relu]) found.set(node, isNorm ? "eval" : "always");
  });
  return found;
}

/** Layers that can write their output over their first input. */
const overwrites: ReadonlySet<string> = new Set(["relu", "add"]);
/** Layers whose output stays as it is: their backward pass reads it, or it may be their own input's vector, which others read. */
const keepsOutput: ReadonlySet<string> = new Set(["relu", "dropout", "flatten"]);

function hasTensors(layer: LayerSpec): boolean {
  return hasWeights(layer) || layer.kind === "batch-norm" || layer.kind === "layer-norm";
}

function hasWeights(layer: LayerSpec): boolean {
  return layer.kind === "dense" || layer.kind === "conv2d";
}

function resolveInputs({ name, layers }: NetworkSpec): number[][] {
  const places = new Map([["input", networkInput]]);
  return layers.map((layer, l) => {
    const named = layer.inputs?.map((from) => {
      const place = places.get(from);
      if (place === undefined) {
        throw badNetwork(name, `layer ${l} (${layer.kind}) takes '${from}', which is no layer before it`);
      }
      return place;
    });
    if (layer.name !== undefined) places.set(layer.name, l);
    return named ?? [l - 1];
  });
}

function assertNames({ name, layers }: NetworkSpec): void {
  const seen = new Set(["input"]);
  for (const layer of layers) {
    if (layer.name === undefined) continue;
    if (seen.has(layer.name)) throw badNetwork(name, `two layers are named '${layer.name}'`);
    seen.add(layer.name);
  }
}

/** An input that only dense layers take is a row of features; any other is an image. */
function shapeOfInput(network: NetworkSpec, inputs: readonly number[][]): ValueShape {
  const { name, layers, inputShape, layout = "nchw" } = network;
  if (!imageLayouts.includes(layout)) {
    throw badNetwork(name, `its layout is '${String(layout)}'; give ${imageLayouts.join(" or ")}`);
  }
  const takers = layers.filter((_, l) => inputs[l]!.includes(networkInput));
  if (takers.every(({ kind }) => kind === "dense" || kind === "flatten" || kind === "layer-norm")) {
    return { channels: inputShape.reduce((product, extent) => product * extent, 1), height: 1, width: 1 };
  }
  if (inputShape.length === 1) return { channels: inputShape[0]!, height: 1, width: 1 };
  const isChannelsLast = layout === "nhwc";
  if (inputShape.length > 3) {
    const expected = isChannelsLast ? "[height, width, channels]" : "[channels, height, width]";
    throw badNetwork(name, `its input has ${inputShape.length} dimensions; give ${expected}`);
  }
  const [height = 1, width = 1, channels = 1] = isChannelsLast
    ? inputShape
    : [...inputShape.slice(-2), ...inputShape.slice(0, -2)];
  return { channels, height, width };
}
