import { describeModel, tinyData } from "@secateur/conformance";
import { arrayDataset, createRng, type Dataset, matrix, regression, tensorDataset } from "@secateur/core";
import { test } from "vitest";
import { mlp } from "./graph/mlp.ts";
import type { NetworkSpec } from "./graph/network-spec.ts";
import { createNetwork } from "./network.ts";

/** Twelve random images of 6 x 5 in two channels. */
function images(): Dataset {
  const rng = createRng("images");
  const inputs = matrix(
    12,
    60,
    Float32Array.from({ length: 720 }, () => rng.normal()),
  );
  const labels = Uint32Array.from({ length: 12 }, () => rng.integer(3));
  return arrayDataset({ inputs, labels, classes: 3, inputShape: [2, 6, 5] });
}

/** Convolutions, normalisation and a shortcut, smooth enough for differences. */
const convolutional: NetworkSpec = {
  name: "small convolutional network",
  inputShape: [2, 6, 5],
  classes: 3,
  layers: [
    { kind: "conv2d", name: "first", in: 2, out: 4, kernel: [3, 3], stride: 1, padding: 1, bias: false },
    { kind: "batch-norm", name: "norm", channels: 4 },
    { kind: "gelu" },
    { kind: "conv2d", name: "depthwise", in: 4, out: 4, kernel: [3, 3], stride: 2, padding: 1, groups: 4, bias: true },
    { kind: "silu" },
    { kind: "global-average-pool" },
    { kind: "dense", name: "last", in: 4, out: 3, bias: true },
  ],
};

await describeModel({
  test,
  name: "a dense network in f64",
  create: () => createNetwork(mlp({ sizes: [4, 5, 3] }), { seed: 1, dtype: "f64" }),
  data: tinyData(),
  // ReLU has kinks: none of these examples lies on one.
  tolerance: 1e-5,
});
await describeModel({
  test,
  name: "a dense network in f32",
  create: () => createNetwork(mlp({ sizes: [4, 5, 3] }), { seed: 1 }),
  data: tinyData(),
  tolerance: 0.02,
});
const { inputs } = await tinyData().batch(Uint32Array.from({ length: tinyData().size }, (_, i) => i));
await describeModel({
  test,
  name: "a dense network in a regression of three numbers",
  create: () => createNetwork(mlp({ sizes: [4, 5, 3] }), { seed: 1, dtype: "f64" }),
  data: tensorDataset({
    inputs,
    targets: {
      values: {
        shape: [tinyData().size, 3],
        data: Float32Array.from({ length: 3 * tinyData().size }, (_, i) => Math.cos(i)),
      },
    },
  }),
  task: regression(),
});
await describeModel({
  test,
  name: "a convolutional network in f64",
  create: () => createNetwork(convolutional, { seed: 1, dtype: "f64" }),
  data: images(),
});
