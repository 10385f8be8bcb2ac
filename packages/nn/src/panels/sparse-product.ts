/**
 * A dense layer or a convolution over the weights that its mask keeps, on panels of examples: y = x * w + b, dL/dx by the adjoint, dL/dw
 * at the kept places only, dL/db as sums of deltas. A dense layer is a convolution of images of one position.
 */
import { type ConvolutionShape, type Mat, panelWidth, type SparsePattern, type Vec } from "@secateur/core";
import type { LayerOf } from "../graph/layer-spec.ts";
import { factorsOf } from "../ops/fold.ts";
import {
  deposit,
  type GradientPlace,
  isRectified,
  type OpCall,
  reshaped,
  type Step,
  sumLanes,
  take,
} from "../ops/op.ts";

/** The layers that have a product. */
export type ProductLayer = LayerOf<"dense"> | LayerOf<"conv2d">;

/** A layer's kept weights. */
export interface KeptWeights {
  /** Places in the canonical matrix, ascending. */
  readonly places: Uint32Array;
  readonly pattern: SparsePattern;
}

/** Applies a layer to panels. @param call.inputs - [panels, values * 32] */
export function sparseProduct(call: OpCall, layer: ProductLayer, { places, pattern }: KeptWeights): Step {
  const { node, weights, pool } = call;
  const { kernels } = pool;
  const x = call.inputs[0]!;
  const shape = shapeOf(call, layer);
  const w = weights.get(`${layer.name}.weight`)!.data;
  const values = pool.take(places.length);
  for (let e = 0; e < places.length; e++) values[e] = w[places[e]!]!;
  const { channels, height, width } = node.shape;
  const output = take(pool, x.rows, channels * height * width * panelWidth);
  const { scale, bias } = factors(call, layer);
  if (scale) {
    for (let row = 0; row < pattern.rows; row++) {
      for (let e = pattern.starts[row]!; e < pattern.starts[row + 1]!; e++) values[e] = values[e]! * scale[row]!;
    }
  }
  const product = { shape, pattern, values };
  if (places.length === 0) fill(output, bias, isRectified(call));
  else {
    kernels.sparseConvolve!({
      ...{ ...product, images: x.data, out: output.data, relu: isRectified(call) },
      ...(bias ? { bias } : {}),
    });
  }
  return {
    output,
    kept: [values],
    backward(delta, sink) {
      // They would be gradients of the folded weights.
      if (scale) throw new Error(`panels of '${layer.name}' go backward in training alone`);
      const place = sink.place(`${layer.name}.weight`, 0);
      if (place) {
        const slopes = pool.take(places.length);
        kernels.sparseGradients!({ shape, pattern, images: x.data, deltas: delta.data, out: slopes });
        depositAt(place, places, slopes);
        pool.give(slopes);
        sink.written?.(`${layer.name}.weight`, 0);
      }
      const shift = layer.bias === false ? undefined : sink.place(`${layer.name}.bias`, 0);
      if (shift) {
        deposit(shift, channelSums(delta, channels, call));
        sink.written?.(`${layer.name}.bias`, 0);
      }
      const previous = node.needsDelta[0] ? take(pool, x.rows, x.cols) : undefined;
      if (previous) kernels.sparseConvolveBack!({ ...product, deltas: delta.data, out: previous.data });
      pool.give(delta.data);
      return [previous];
    },
    // Neither training nor outputs alone take tangents.
    tangent: () => undefined,
  };
}

/** What a layer without weights gives: its bias at every position of every panel. */
function fill({ data }: Mat, bias: Vec | undefined, isRectified: boolean): void {
  if (!bias) {
    data.fill(0);
    return;
  }
  const position = bias.length * panelWidth;
  bias.forEach((value: number, channel: number) => {
    data.fill(isRectified ? Math.max(0, value) : value, channel * panelWidth, (channel + 1) * panelWidth);
  });
  for (let done = position; done < data.length; done *= 2) data.copyWithin(done, 0, Math.min(done, data.length - done));
}

/** What sums are multiplied by, and what is added: with running statistics those of a batch normalisation that is folded into the layer. */
function factors({ node, weights, mode }: OpCall, layer: ProductLayer): { readonly scale?: Vec; readonly bias?: Vec } {
  if (layer.kind === "conv2d" && mode === "eval") return factorsOf(node, layer, weights);
  return layer.bias === false ? {} : { bias: weights.get(`${layer.name}.bias`)!.data };
}

/** The product as a convolution whose images are panels. */
function shapeOf({ node, inputs }: OpCall, layer: ProductLayer): ConvolutionShape {
  const batch = inputs[0]!.rows;
  if (layer.kind === "dense") {
    const one = { height: 1, width: 1, groups: 1, kernel: [1, 1], stride: 1, padding: 0, dilation: 1 } as const;
    return { batch, channels: layer.in, outputs: layer.out, ...one };
  }
  const { height, width } = node.inputShapes[0]!;
  const { kernel, stride = 1, padding = 0, dilation = 1, groups = 1 } = layer;
  return { batch, height, width, channels: layer.in, outputs: layer.out, groups, kernel, stride, padding, dilation };
}

/** Writes slopes at their places, or one after the other where the place has room for no more. */
function depositAt(place: GradientPlace, places: Uint32Array, slopes: Vec): void {
  const { out, alpha, beta } = place;
  if (out.length === places.length) {
    deposit(place, slopes);
    return;
  }
  for (let e = 0; e < places.length; e++) {
    const i = places[e]!;
    out[i] = alpha * slopes[e]! + (beta === 0 ? 0 : out[i]!);
  }
}

/** Sums over examples and positions. */
function channelSums(delta: Mat, channels: number, { pool }: OpCall): Float64Array {
  const byLane = new Float64Array(channels * panelWidth);
  pool.kernels.columnSums(reshaped(delta, channels * panelWidth), byLane);
  return sumLanes(byLane, panelWidth);
}
