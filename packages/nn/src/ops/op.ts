/** What a layer does with a batch: forward, and from what it remembers of that, backward and along tangents. */
import type { Mat, Vec } from "@secateur/core";
import type { Node } from "../graph/graph.ts";
import type { LayerSpec } from "../graph/layer-spec.ts";
import type { Pool } from "../pool.ts";

/** Canonical matrices by tensor name: [out, in * kh * kw], and [length, 1] for vectors. */
export type Weights = ReadonlyMap<string, Mat>;

/**
 * Who takes weight gradients. Examples of a pass are cut into segments of `group` consecutive ones; a segment's gradient is the
 * sum over its examples.
 */
export interface GradientSink {
  readonly group: number;
  /** Where a segment's gradient of a parameter goes (flat, canonical); undefined when it is not wanted. */
  place(param: string, segment: number): GradientPlace | undefined;
  /** Called after a place has been written. */
  written?(param: string, segment: number): void;
  /** Is shown what a layer took and the slope of the loss at its output, before its gradients are taken; valid during the call only. */
  visit?(node: Node, inputs: readonly Mat[], delta: Mat): void;
  /** Takes a dense layer's factors instead, deltas [batch, out] and inputs [batch, in]; both are valid during the call only. */
  factors?(layer: Extract<LayerSpec, { kind: "dense" }>, delta: Mat, input: Mat): boolean;
}

/** out = alpha * gradient + beta * out; a product over kept weights may be given a place for the entries of those alone. */
export interface GradientPlace {
  readonly out: Vec;
  readonly alpha: number;
  readonly beta: 0 | 1;
}

/** One forward application of a layer. Values are [batch, height * width * channels]. */
export interface OpCall {
  readonly node: Node;
  readonly inputs: readonly Mat[];
  readonly weights: Weights;
  readonly pool: Pool;
  /** "train": statistics of the batch, dropout at work. */
  readonly mode: "eval" | "train";
  /** Receives the statistics of a batch normalisation, variance unbiased. */
  readonly onStatistics?: (layer: string, mean: Float64Array, variance: Float64Array) => void;
  /** For dropout. */
  readonly random?: () => number;
  /** Whether the pass is for its outputs alone, by weights that come again: what kernels make of them is kept. Default false. */
  readonly reuse?: boolean;
  /** Examples that lie side by side for each channel, so that values are [batch / lanes, positions * channels * lanes]; default 1. */
  readonly lanes?: number;
}

/** A change of parameters, canonical; undefined where a parameter stays. */
export type Direction = (param: string) => Mat | undefined;

/** A layer applied. */
export interface Step {
  /** [batch, features]; its vector is of the pool unless it is one of the inputs'. */
  readonly output: Mat;
  /** Vectors of the pool that the step keeps besides its output. */
  readonly kept: readonly Vec[];
  /**
   * @param delta - dL/doutput, owned: it is returned as one of the results or given back
   * @returns dL/dinput for every input that needs it, owned by the caller
   */
  backward(delta: Mat, sink: GradientSink): readonly (Mat | undefined)[];
  /** The change of the output for changes of inputs (kept as they are; undefined = none) and parameters; undefined = none. */
  tangent(inputs: readonly (Mat | undefined)[], direction: Direction): Mat | undefined;
}

/** Whether a convolution applies the ReLU behind it, or of a ReLU: whether the convolution has applied it. */
export function isRectified({ node, mode }: OpCall): boolean {
  return node.rectified === "always" || (node.rectified === "eval" && mode === "eval");
}

/** A matrix of the pool. */
export function take(pool: Pool, rows: number, cols: number): Mat {
  return { rows, cols, data: pool.take(rows * cols) };
}

/** The same numbers as [rows, cols]. */
export function reshaped({ data }: Mat, cols: number): Mat {
  return { rows: data.length / cols, cols, data };
}

/** Rows [from, to). */
export function rowsOf({ cols, data }: Mat, from: number, to: number): Mat {
  return { rows: to - from, cols, data: data.subarray(from * cols, to * cols) };
}

/** Visits every segment of a batch that wants the gradient of a parameter. */
export function eachSegment(
  sink: GradientSink,
  batch: number,
  param: string,
  write: (place: GradientPlace, from: number, to: number) => void,
): void {
  for (let from = 0, s = 0; from < batch; from += sink.group, s++) {
    const place = sink.place(param, s);
    if (!place) continue;
    write(place, from, Math.min(from + sink.group, batch));
    sink.written?.(param, s);
  }
}

/** Writes a gradient where it belongs. */
export function deposit({ out, alpha, beta }: GradientPlace, gradient: Vec | Float64Array): void {
  if (beta === 0) for (let i = 0; i < out.length; i++) out[i] = alpha * gradient[i]!;
  else for (let i = 0; i < out.length; i++) out[i] = out[i]! + alpha * gradient[i]!;
}

/** The sums of runs of `lanes` numbers, in order. */
export function sumLanes(byLane: Float64Array, lanes: number): Float64Array {
  if (lanes === 1) return byLane;
  const sums = new Float64Array(byLane.length / lanes);
  for (let c = 0, i = 0; c < sums.length; c++) {
    let sum = 0;
    for (const end = i + lanes; i < end; i++) sum += byLane[i]!;
    sums[c] = sum;
  }
  return sums;
}

/** Writes a gradient [rows, ...], each row times its scale, where it belongs. */
export function depositRows({ out, alpha, beta }: GradientPlace, gradient: Vec, scales: Float64Array): void {
  const length = gradient.length / scales.length;
  for (let r = 0, i = 0; r < scales.length; r++) {
    const factor = alpha * scales[r]!;
    if (beta === 0) for (const end = i + length; i < end; i++) out[i] = factor * gradient[i]!;
    else for (const end = i + length; i < end; i++) out[i] = out[i]! + factor * gradient[i]!;
  }
}
