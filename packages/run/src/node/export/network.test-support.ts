import { arrayDataset, createRng, type Dataset, matrix } from "@secateur/core";
import type { ImageLayout, LayerSpec, NetworkSpec } from "@secateur/nn";

/** Random examples of a network's shape. */
export function examples({ inputShape, classes }: NetworkSpec, count: number): Dataset {
  const rng = createRng(5);
  const size = inputShape.reduce((product, extent) => product * extent, 1);
  const data = Float32Array.from({ length: count * size }, () => rng.normal());
  return arrayDataset({
    inputs: matrix(count, size, data),
    inputShape,
    labels: Array.from({ length: count }, (_, i) => i % classes),
    classes,
  });
}

const layers: readonly LayerSpec[] = [
  { kind: "conv2d", name: "a", in: 2, out: 4, kernel: [3, 3], padding: 1, groups: 2 },
  { kind: "batch-norm", name: "b", channels: 4 },
  { kind: "silu", name: "c" },
  { kind: "conv2d", name: "d", in: 4, out: 4, kernel: [3, 3], padding: 2, dilation: 2, bias: false },
  { kind: "gelu", name: "e" },
  { kind: "concat", name: "f", inputs: ["c", "e"] },
  { kind: "average-pool", size: 3, stride: 1, padding: 1 },
  { kind: "relu6" },
  { kind: "max-pool", size: 3, stride: 2, padding: 1 },
  { kind: "dropout", rate: 0.5 },
  { kind: "flatten" },
  { kind: "layer-norm", name: "g", features: 48 },
  { kind: "dense", name: "h", in: 48, out: 3, bias: true },
  { kind: "log-softmax" },
];

/** A network of every kind of layer, with images kept either way. */
export const everyLayer: readonly NetworkSpec[] = (["nchw", "nhwc"] satisfies ImageLayout[]).map((layout) => ({
  name: "all",
  inputShape: layout === "nchw" ? [2, 4, 6] : [4, 6, 2],
  layout,
  classes: 3,
  layers,
}));
