/** Networks as data: a description that serialises, so that formats can build one. */
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

/** Number of features of one example. */
export function featureCount(network: NetworkSpec): number {
  return network.inputShape.reduce((product, extent) => product * extent, 1);
}
