/**
 * Forward and backward through the layers for one batch.
 *
 * Forward: dense y = x W' + b; relu y = max(x, 0). Backward of the mean-free loss sum_i L_i (gradients per example, not
 * averaged): delta = dL/dy [batch, out] of a dense layer gives dL/dx = delta W, and the weight gradient of example i is
 * the outer product delta_i' x_i, which is never formed here: callers receive (delta, x).
 */
import { dtypeOf, type Kernels, type Mat, matrix, type Vec } from "@secateur/core";
import type { DenseSpec, NetworkSpec } from "./network-spec.ts";

/** Canonical weight matrices by parameter name: [out, in], and [out, 1] for a bias. */
export type Weights = ReadonlyMap<string, Mat>;

/** The input of every layer and the logits; lives in kernel memory until `release`. */
export interface Activations {
  /** inputs[l] [batch, features] is what layer l was given. */
  readonly inputs: readonly Mat[];
  /** [batch, classes] */
  readonly logits: Mat;
  release(): void;
}

/** Runs the network on `input` [batch, features] (kept, not copied, as the first layer's input). */
export function forward(network: NetworkSpec, weights: Weights, input: Mat, kernels: Kernels): Activations {
  const owned: Vec[] = [];
  const inputs: Mat[] = [];
  let x = input;
  for (const layer of network.layers) {
    inputs.push(x);
    if (layer.kind === "log-softmax") continue;
    const cols = layer.kind === "dense" ? layer.out : x.cols;
    const y = matrix(x.rows, cols, kernels.alloc(x.rows * cols, dtypeOf(x.data)));
    owned.push(y.data);
    if (layer.kind === "dense") dense(layer, weights, x, y, kernels);
    else kernels.relu(x.data, y.data);
    x = y;
  }
  return {
    inputs,
    logits: x,
    release() {
      for (const vector of owned) kernels.free(vector);
    },
  };
}

function dense(layer: DenseSpec, weights: Weights, x: Mat, y: Mat, kernels: Kernels): void {
  kernels.gemm({ a: x, b: weights.get(`${layer.name}.weight`)!, transposeB: true, out: y });
  if (layer.bias) kernels.addRow(y, weights.get(`${layer.name}.bias`)!.data);
}

/**
 * Walks the layers from the last to the first and hands every dense layer its per-example factors.
 *
 * @param spec.delta - [batch, classes], dL/dlogits; overwritten
 * @param spec.visit - called with a layer, its delta [batch, out] and its input [batch, in]; both are valid during the call only
 */
export function backward(spec: {
  network: NetworkSpec;
  weights: Weights;
  activations: Activations;
  delta: Mat;
  kernels: Kernels;
  visit: (layer: DenseSpec, delta: Mat, input: Mat) => void;
}): void {
  const { network, weights, activations, kernels, visit } = spec;
  const firstDense = network.layers.findIndex((layer) => layer.kind === "dense");
  let delta = spec.delta;
  for (let l = network.layers.length - 1; l >= firstDense; l--) {
    const layer = network.layers[l]!;
    const input = activations.inputs[l]!;
    if (layer.kind === "dense") {
      visit(layer, delta, input);
      if (l === firstDense) break;
      const previous = matrix(delta.rows, layer.in, kernels.alloc(delta.rows * layer.in, dtypeOf(delta.data)));
      kernels.gemm({ a: delta, b: weights.get(`${layer.name}.weight`)!, out: previous });
      if (delta !== spec.delta) kernels.free(delta.data);
      delta = previous;
    } else if (layer.kind === "relu") {
      // The layer's output is positive exactly where its input is.
      kernels.reluBackward(input.data, delta.data, delta.data);
    }
  }
  if (delta !== spec.delta) kernels.free(delta.data);
}
