/**
 * A convolution (W, b) and the batch normalisation (gamma, beta, mean m, variance v) after it, in eval form, are one convolution:
 *   s = gamma / sqrt(v + epsilon),  W~ = s W,  b~ = beta + s (b - m)
 * Gradients of W~ and b~ (D, e) give those of what they are made of:
 *   dW = s D,  db = s e,  dbeta = e,  dgamma = (sum over a row of W D + (b - m) e) / sqrt(v + epsilon)
 * and changes of these give changes of W~ and b~:
 *   dW~ = s dW + dgamma W / sqrt(v + epsilon),  db~ = s db + dbeta + dgamma (b - m) / sqrt(v + epsilon)
 * Without a batch normalisation s = 1 and b~ = b.
 */
import { dtypeOf, type Mat, type Vec } from "@secateur/core";
import type { Node } from "../graph/graph.ts";
import type { LayerOf } from "../graph/layer-spec.ts";
import { type Direction, deposit, depositRows, type GradientSink, type Weights } from "./op.ts";

/** A convolution as it is applied: folded weights in canonical order and the way between gradients. */
export interface Folded {
  /** W~ [out, in / groups * kh * kw], canonical. */
  readonly w: Vec;
  /** b~ [out]; undefined when there is nothing to add. */
  readonly bias: Vec | undefined;
  /** Whether a segment's gradient of anything is wanted. */
  wants(sink: GradientSink, segment: number): boolean;
  /** Writes the gradients of a segment. @param D - [out, ...] canonical @param e - [out], sums of deltas, taken only where needed */
  write(sink: GradientSink, segment: number, gradients: { D: Vec; e: () => Vec }): void;
  /** Changes of W~ and b~; undefined = none. */
  change(direction: Direction): { w: Vec | undefined; bias: Vec | undefined };
}

/** Folds a node's batch normalisation, if it has one and `isFolding`, into its convolution. */
export function fold(node: Node, layer: LayerOf<"conv2d">, weights: Weights, isFolding: boolean): Folded {
  const norm = isFolding ? node.norm : undefined;
  const W = weights.get(`${layer.name}.weight`)!;
  const own = layer.bias === false ? undefined : weights.get(`${layer.name}.bias`)!.data;
  const names = { weight: `${layer.name}.weight`, bias: `${layer.name}.bias` };
  if (!norm) return unfolded(names, W, own);
  const get = (name: string): Vec => weights.get(`${norm.name}.${name}`)!.data;
  const [gamma, beta, mean, variance] = [get("weight"), get("bias"), get("running_mean"), get("running_var")];
  const inverse = Float64Array.from(variance, (v) => 1 / Math.sqrt(v + (norm.epsilon ?? 1e-5)));
  const scale = inverse.map((root, o) => gamma[o]! * root);
  const centre = inverse.map((_, o) => (own?.[o] ?? 0) - mean[o]!);
  const length = W.cols;
  const scaled = (source: Vec, factors: Float64Array): Vec => {
    const out = source.slice();
    for (let i = 0; i < out.length; i++) out[i] = factors[Math.floor(i / length)]! * source[i]!;
    return out;
  };
  const params = [names.weight, ...(own ? [names.bias] : []), `${norm.name}.weight`, `${norm.name}.bias`];
  return {
    w: scaled(W.data, scale),
    bias: like(W.data, beta.length, (o) => beta[o]! + scale[o]! * centre[o]!),
    wants: (sink, segment) => params.some((param) => sink.place(param, segment)),
    write(sink, segment, { D, e }) {
      const put = (param: string, gradient: () => Vec | Float64Array): void => {
        const place = sink.place(param, segment);
        if (!place) return;
        deposit(place, gradient());
        sink.written?.(param, segment);
      };
      put(`${norm.name}.weight`, () => {
        const sums = e();
        return scale.map((_, o) => {
          let sum = centre[o]! * sums[o]!;
          for (let i = o * length; i < (o + 1) * length; i++) sum += W.data[i]! * D[i]!;
          return sum * inverse[o]!;
        });
      });
      put(`${norm.name}.bias`, e);
      if (own) {
        put(names.bias, () => {
          const sums = e();
          return scale.map((s, o) => s * sums[o]!);
        });
      }
      const place = sink.place(names.weight, segment);
      if (!place) return;
      depositRows(place, D, scale);
      sink.written?.(names.weight, segment);
    },
    change(direction) {
      const [dW, db] = [direction(names.weight)?.data, direction(names.bias)?.data];
      const [dGamma, dBeta] = [direction(`${norm.name}.weight`)?.data, direction(`${norm.name}.bias`)?.data];
      const stretch = dGamma && inverse.map((root, o) => dGamma[o]! * root);
      const w = dW ? scaled(dW, scale) : stretch ? W.data.slice().fill(0) : undefined;
      if (w && stretch) for (let i = 0; i < w.length; i++) w[i]! += stretch[Math.floor(i / length)]! * W.data[i]!;
      if (!db && !dGamma && !dBeta) return { w, bias: undefined };
      const bias = like(W.data, beta.length, (o) => {
        return scale[o]! * (db?.[o] ?? 0) + (dBeta?.[o] ?? 0) + (stretch ? stretch[o]! * centre[o]! : 0);
      });
      return { w, bias };
    },
  };
}

/** s and b~ beside W as it is: what kernels take where nothing goes back. */
export function factorsOf(
  node: Node,
  layer: LayerOf<"conv2d">,
  weights: Weights,
): { readonly scale?: Vec; readonly bias?: Vec } {
  const own = layer.bias === false ? undefined : weights.get(`${layer.name}.bias`)!.data;
  const { norm } = node;
  if (!norm) return own ? { bias: own } : {};
  const get = (name: string): Vec => weights.get(`${norm.name}.${name}`)!.data;
  const [gamma, beta, mean, variance] = [get("weight"), get("bias"), get("running_mean"), get("running_var")];
  const scale = like(gamma, gamma.length, (o) => gamma[o]! / Math.sqrt(variance[o]! + (norm.epsilon ?? 1e-5)));
  return { scale, bias: like(gamma, gamma.length, (o) => beta[o]! + scale[o]! * ((own?.[o] ?? 0) - mean[o]!)) };
}

function unfolded(names: { weight: string; bias: string }, W: Mat, own: Vec | undefined): Folded {
  return {
    w: W.data,
    bias: own,
    wants: (sink, segment) => Boolean(sink.place(names.weight, segment) ?? (own && sink.place(names.bias, segment))),
    write(sink, segment, { D, e }) {
      for (const [param, gradient] of [[names.weight, () => D] as const, ...(own ? [[names.bias, e] as const] : [])]) {
        const place = sink.place(param, segment);
        if (!place) continue;
        deposit(place, gradient());
        sink.written?.(param, segment);
      }
    },
    change: (direction) => ({ w: direction(names.weight)?.data, bias: direction(names.bias)?.data }),
  };
}

function like(vector: Vec, length: number, value: (i: number) => number): Vec {
  const out = dtypeOf(vector) === "f64" ? new Float64Array(length) : new Float32Array(length);
  for (let i = 0; i < length; i++) out[i] = value(i);
  return out;
}
