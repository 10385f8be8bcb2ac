/** Forward through a chain of dense layers and ReLU for one batch: y = x W' + b; y = max(x, 0). */
import { dtypeOf, type Kernels, type Mat, matrix, type Vec } from "@secateur/core";
import type { DenseSpec } from "../graph/layer-spec.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import type { Weights } from "../ops/op.ts";

/** The input of every layer and the logits; lives in kernel memory until `release`. */
export interface DenseActivations {
  /** inputs[l] [batch, features] is what layer l was given. */
  readonly inputs: readonly Mat[];
  /** [batch, classes] */
  readonly logits: Mat;
  release(): void;
}

/** Whether a network is a plain chain of dense layers and ReLU. */
export function isDenseChain({ layers }: NetworkSpec): boolean {
  return layers.every(({ kind, inputs }) => !inputs && (kind === "dense" || kind === "relu" || kind === "log-softmax"));
}

/** Runs the network on `input` [batch, features] (kept, not copied, as the first layer's input). */
export function denseForward(network: NetworkSpec, weights: Weights, input: Mat, kernels: Kernels): DenseActivations {
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
  if (layer.bias !== false) kernels.addRow(y, weights.get(`${layer.name}.bias`)!.data);
}
