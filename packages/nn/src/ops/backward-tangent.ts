/**
 * The tangent of a layer's backward pass, for products with the Hessian (Pearlmutter 1994). A layer y = f(x, w) takes delta = dL/dy back to
 * dL/dx = f_x' delta and dL/dw = f_w' delta. Along changes t of x, v of w and e of delta these change by
 *   R{dL/dx} = f_x' e + R{f_x'} delta,   R{dL/dw} = f_w' e + R{f_w'} delta.
 * Where f is (piecewise) linear in x and has no weights, R{f_x'} = 0, and the layer's own backward pass of e is all there is. The others:
 *   dense, convolution  y = W x:      R{dL/dx} = W'e + V'delta,   R{dL/dW} = e x' + delta t'
 *   batch normalisation (running statistics, s = gamma r, h = (x - m) r):  R{dL/dx} = s e + dgamma r delta,   R{dL/dgamma} = sum e h + delta t r
 *   layer normalisation: the product rule on dL/dx = r (z - mean(z) - h mean(h z)), z = gamma delta, with R{r} = -r^2 mean(h t)
 *   silu, gelu:  R{dL/dx} = f'(x) e + f''(x) t delta
 */
import { type Mat, matrix, type Vec } from "@secateur/core";
import type { Node } from "../graph/graph.ts";
import type { LayerOf } from "../graph/layer-spec.ts";
import { positionsOf } from "../graph/value-shape.ts";
import type { Pool } from "../pool.ts";
import { type Direction, type GradientSink, reshaped, type Step, take, type Weights } from "./op.ts";

/** A layer on the way back. Nothing is written to but what `target` gives, which is added to; `change` is used up. */
export interface BackwardTangent {
  readonly node: Node;
  readonly step: Step;
  readonly inputs: readonly Mat[];
  /** t; undefined = no change. */
  readonly tangents: readonly (Mat | undefined)[];
  readonly weights: Weights;
  readonly direction: Direction;
  readonly delta: Mat;
  /** e */
  readonly change: Mat;
  /** Where R{dL/dw} of a parameter is added to, flat and canonical; undefined where it is not wanted. */
  target(param: string): Vec | undefined;
  readonly pool: Pool;
}

/** Adds R{dL/dw}; returns R{dL/dx} for every input that needs it. Eval mode, without folding. */
export function backwardTangent(call: BackwardTangent): readonly (Mat | undefined)[] {
  const { layer } = call.node;
  switch (layer.kind) {
    case "dense":
      return [dense(call, layer)];
    case "conv2d":
      return [convolution(call, layer)];
    case "batch-norm":
      return [batchNorm(call, layer)];
    case "layer-norm":
      return [layerNorm(call, layer)];
    case "silu":
    case "gelu":
      return [smooth(call, layer.kind)];
    default:
      return call.step.backward(call.change, nowhere);
  }
}

/** Takes no gradient of weights. */
export const nowhere: GradientSink = { group: Number.MAX_SAFE_INTEGER, place: () => undefined };

function dense(call: BackwardTangent, layer: LayerOf<"dense">): Mat | undefined {
  const { node, inputs, tangents, weights, direction, delta, change, target, pool } = call;
  const { kernels } = pool;
  const [x, t] = [inputs[0]!, tangents[0]];
  const [weight, bias] = [target(`${layer.name}.weight`), target(`${layer.name}.bias`)];
  if (weight) {
    const out = matrix(layer.out, layer.in, weight);
    kernels.gemm({ a: change, transposeA: true, b: x, out, beta: 1 });
    if (t) kernels.gemm({ a: delta, transposeA: true, b: t, out, beta: 1 });
  }
  if (bias) addColumnSums(change, bias, pool);
  if (!node.needsDelta[0]) return undefined;
  const previous = take(pool, delta.rows, layer.in);
  kernels.gemm({ a: change, b: weights.get(`${layer.name}.weight`)!, out: previous });
  const v = direction(`${layer.name}.weight`);
  if (v) kernels.gemm({ a: delta, b: v, out: previous, beta: 1 });
  return previous;
}

function convolution(call: BackwardTangent, layer: LayerOf<"conv2d">): Mat | undefined {
  const { node, inputs, tangents, weights, direction, delta, change, target, pool } = call;
  const { kernels } = pool;
  const { stride = 1, padding = 0, dilation = 1, groups = 1, kernel, in: channels, out: outputs } = layer;
  const { height, width } = node.inputShapes[0]!;
  const [x, t] = [inputs[0]!, tangents[0]];
  const shape = { batch: x.rows, height, width, channels, outputs, groups, kernel, stride, padding, dilation };
  const [weight, bias] = [target(`${layer.name}.weight`), target(`${layer.name}.bias`)];
  if (weight) {
    const out = take(pool, 1, weight.length);
    for (const [images, deltas] of [[x, change] as const, ...(t ? [[t, delta] as const] : [])]) {
      kernels.convolutionGradients({ shape, images: images.data, deltas: deltas.data, group: x.rows, out });
      kernels.axpy(1, out.data, weight);
    }
  }
  if (bias) addColumnSums(matrix(x.rows * positionsOf(node.shape), outputs, change.data), bias, pool);
  if (!node.needsDelta[0]) return undefined;
  const previous = take(pool, x.rows, x.cols);
  const w = weights.get(`${layer.name}.weight`)!.data;
  kernels.convolveBack({ shape, deltas: change.data, weights: w, out: previous.data });
  const v = direction(`${layer.name}.weight`)?.data;
  if (v) {
    const more = take(pool, x.rows, x.cols);
    kernels.convolveBack({ shape, deltas: delta.data, weights: v, out: more.data });
    kernels.axpy(1, more.data, previous.data);
  }
  return previous;
}

function batchNorm(call: BackwardTangent, layer: LayerOf<"batch-norm">): Mat {
  const { inputs, tangents, weights, direction, delta, change, target } = call;
  const { channels, epsilon = 1e-5, name } = layer;
  const get = (key: string): Vec => weights.get(`${name}.${key}`)!.data;
  const [gamma, mean, variance] = [get("weight"), get("running_mean"), get("running_var")];
  const r = Float64Array.from(variance, (value) => 1 / Math.sqrt(value + epsilon));
  const dGamma = direction(`${name}.weight`)?.data;
  const [toGamma, toBeta] = [target(`${name}.weight`), target(`${name}.bias`)];
  const [x, t] = [inputs[0]!.data, tangents[0]?.data];
  for (let i = 0; i < x.length; i++) {
    const c = i % channels;
    const [d, e] = [delta.data[i]!, change.data[i]!];
    if (toGamma) toGamma[c] = toGamma[c]! + r[c]! * (e * (x[i]! - mean[c]!) + d * (t ? t[i]! : 0));
    if (toBeta) toBeta[c] = toBeta[c]! + e;
    change.data[i] = r[c]! * (gamma[c]! * e + (dGamma ? dGamma[c]! : 0) * d);
  }
  return change;
}

/** Row by row, with h, r and z as above: R{h} = r (t - mean(t) - h mean(h t)), R{r} = -r^2 mean(h t), R{z} = gamma e + dgamma delta. */
function layerNorm(call: BackwardTangent, layer: LayerOf<"layer-norm">): Mat {
  const { inputs, tangents, weights, direction, delta, change, target } = call;
  const { name, epsilon = 1e-5 } = layer;
  const { rows, cols, data: x } = inputs[0]!;
  const gamma = weights.get(`${name}.weight`)!.data;
  const dGamma = direction(`${name}.weight`)?.data;
  const [toGamma, toBeta] = [target(`${name}.weight`), target(`${name}.bias`)];
  const vector = (): Float64Array => new Float64Array(cols);
  const [h, dh, z, dz] = [vector(), vector(), vector(), vector()];
  const mean = (value: (j: number) => number): number => {
    let sum = 0;
    for (let j = 0; j < cols; j++) sum += value(j);
    return sum / cols;
  };
  for (let n = 0; n < rows; n++) {
    const at = n * cols;
    const t = (j: number): number => tangents[0]?.data[at + j] ?? 0;
    const centre = mean((j) => x[at + j]!);
    const r = 1 / Math.sqrt(mean((j) => (x[at + j]! - centre) ** 2) + epsilon);
    for (let j = 0; j < cols; j++) h[j] = (x[at + j]! - centre) * r;
    const [meanT, meanHT] = [mean(t), mean((j) => h[j]! * t(j))];
    for (let j = 0; j < cols; j++) {
      const [d, e] = [delta.data[at + j]!, change.data[at + j]!];
      dh[j] = r * (t(j) - meanT - h[j]! * meanHT);
      z[j] = gamma[j]! * d;
      dz[j] = gamma[j]! * e + (dGamma ? dGamma[j]! : 0) * d;
      if (toGamma) toGamma[j] = toGamma[j]! + e * h[j]! + d * dh[j]!;
      if (toBeta) toBeta[j] = toBeta[j]! + e;
    }
    const [meanZ, meanHZ, meanDz] = [mean((j) => z[j]!), mean((j) => h[j]! * z[j]!), mean((j) => dz[j]!)];
    const meanOfProduct = mean((j) => dh[j]! * z[j]! + h[j]! * dz[j]!);
    const dr = -r * r * meanHT;
    for (let j = 0; j < cols; j++) {
      const old = z[j]! - meanZ - h[j]! * meanHZ;
      change.data[at + j] = dr * old + r * (dz[j]! - meanDz - dh[j]! * meanHZ - h[j]! * meanOfProduct);
    }
  }
  return change;
}

function smooth(call: BackwardTangent, kind: "silu" | "gelu"): Mat | undefined {
  const { step, inputs, tangents, delta, change } = call;
  const [previous] = step.backward(change, nowhere);
  const t = tangents[0];
  if (previous && t) {
    for (let i = 0; i < t.data.length; i++) {
      const bend = secondDerivative[kind](inputs[0]!.data[i]!);
      previous.data[i] = previous.data[i]! + bend * t.data[i]! * delta.data[i]!;
    }
  }
  return previous;
}

const secondDerivative = {
  silu(x: number): number {
    const s = 1 / (1 + Math.exp(-x));
    return s * (1 - s) * (2 + x * (1 - 2 * s));
  },
  gelu: (x: number): number => ((2 - x * x) * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI),
};

function addColumnSums(a: Mat, out: Vec, pool: Pool): void {
  const sums = pool.take(out.length);
  pool.kernels.columnSums(reshaped(a, out.length), sums);
  pool.kernels.axpy(1, sums, out);
}
