/** Networks as data: a description that serialises, so that formats can build one. */
import { badNetwork } from "../errors.ts";
import { graphOf } from "./graph.ts";
import type { LayerSpec } from "./layer-spec.ts";

/**
 * In which order images come as rows of numbers: plane by plane (channel, row, column), or pixel by pixel (row, column, channel).
 * In [height, width, channels] TensorFlow, Keras and decoded image files keep theirs, in [channels, height, width] PyTorch.
 */
export type ImageLayout = "nchw" | "nhwc";

/** All layouts. */
export const imageLayouts: readonly ImageLayout[] = ["nchw", "nhwc"];

/** A classifier: layers in order, each taking the one before it unless it names its inputs. */
export interface NetworkSpec {
  readonly name: string;
  /** Shape of one example, for example [28, 28] or [3, 32, 32]; [32, 32, 3] with layout "nhwc". */
  readonly inputShape: readonly number[];
  /** Order of the numbers of its examples and of what `flatten` gives; default "nchw". Weights are in PyTorch's order with either. */
  readonly layout?: ImageLayout;
  /** Number of classes, the length of the last layer's output. */
  readonly classes: number;
  readonly layers: readonly LayerSpec[];
}

/**
 * A multi-layer perceptron: dense layers fc1, fc2, ... with ReLU between them and log-softmax at the end.
 *
 * @param spec.sizes - features of the input, hidden widths, classes; at least two numbers
 * @param spec.bias - default true
 * @param spec.name - default "mlp"
 * @param spec.inputShape - default [sizes[0]]
 * @throws ERR_NETWORK
 * @example
 * const spec = mlp({ sizes: [784, 40, 20, 10], bias: false });
 */
export function mlp(spec: {
  sizes: readonly number[];
  bias?: boolean;
  name?: string;
  inputShape?: readonly number[];
}): NetworkSpec {
  const { sizes, bias = true, name = "mlp" } = spec;
  if (sizes.length < 2)
    throw badNetwork(name, `it has ${sizes.length} sizes; give at least the input's and the classes`);
  const layers: LayerSpec[] = [];
  for (let i = 1; i < sizes.length; i++) {
    if (i > 1) layers.push({ kind: "relu" });
    layers.push({ kind: "dense", name: `fc${i}`, in: sizes[i - 1]!, out: sizes[i]!, bias });
  }
  layers.push({ kind: "log-softmax" });
  const network = { name, inputShape: spec.inputShape ?? [sizes[0]!], classes: sizes[sizes.length - 1]!, layers };
  assertNetwork(network);
  return network;
}

/** Number of features of one example. */
export function featureCount(network: NetworkSpec): number {
  return network.inputShape.reduce((product, extent) => product * extent, 1);
}

/** @throws ERR_NETWORK when the layers do not fit together from the input to the classes */
export function assertNetwork(network: NetworkSpec): void {
  graphOf(network);
}
