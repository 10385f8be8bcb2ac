/** Layers of MobileNetV2 (mbv2), ResNet20 (r20) and ResNet50 (r50) that are timed alone: name (in -> out @ side), outputs, inputs, side, kernel size. */
import type { PackGraph } from "@secateur/runtime/pack";

export const shapes = [
  ["mbv2 96->24@56", 24, 96, 56, 1],
  ["mbv2 144->32@28", 32, 144, 28, 1],
  ["mbv2 64->384@14", 384, 64, 14, 1],
  ["mbv2 384->64@14", 64, 384, 14, 1],
  ["mbv2 160->960@7", 960, 160, 7, 1],
  ["r20 16@32", 16, 16, 32, 3],
  ["r20 64@8", 64, 64, 8, 3],
  ["r50 64@56", 64, 64, 56, 3],
  ["r50 128@28", 128, 128, 28, 3],
  ["r50 256@14", 256, 256, 14, 3],
  ["r50 1x1 256->64@56", 64, 256, 56, 1],
  ["r50 1x1 1024->256@14", 256, 1024, 14, 1],
] as const;

export const sparsities = [0.5, 0.7, 0.8, 0.9, 0.95] as const;

/** One layer: a convolution with as much padding as keeps the side. */
export interface LayerSpec {
  readonly outputs: number;
  readonly inputs: number;
  readonly side: number;
  readonly size: number;
  readonly sparsity: number;
}

/** Random weights [outputs, inputs, size, size] under a random mask, the same every time. */
export function layerWeights({ outputs, inputs, size, sparsity }: LayerSpec): Float32Array {
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Float32Array.from({ length: outputs * inputs * size * size }, () =>
    random() < sparsity ? 0 : random() - 0.5,
  );
}

/** The layer `copies` times side by side on one input, of which the last is the graph's output. */
export function layerGraph(
  spec: LayerSpec & { readonly kernel: "dense" | "sparse"; readonly copies?: number },
): PackGraph {
  const { outputs, inputs, side, size, kernel, copies = 1 } = spec;
  const pad = (size - 1) / 2;
  const attributes = { pads: [pad, pad, pad, pad] };
  const convs = Array.from({ length: copies }, (_, i) => ({
    ...{ op: "Conv", name: `conv ${i}`, inputs: ["r"], tensors: ["w"], output: `y ${i}`, attributes, kernel },
  }));
  return {
    inputs: [{ name: "x", dims: [1, inputs, side, side] }],
    outputs: [{ name: `y ${copies - 1}`, dims: [1, outputs, side, side] }],
    operators: [
      // Takes the caller's numbers into planes, which is no part of a layer inside a network.
      { op: "Relu", name: "relu", inputs: ["x"], tensors: [], output: "r", attributes: {} },
      ...convs,
    ],
    tensors: new Map([["w", { dims: [outputs, inputs, size, size], data: layerWeights(spec) }]]),
  };
}
