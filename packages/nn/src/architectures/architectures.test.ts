import { arrayDataset, createRunContext, matrix } from "@secateur/core";
import { describe, expect, test } from "vitest";
import type { LayerSpec } from "../graph/layer-spec.ts";
import { macsPerExample } from "../graph/macs.ts";
import { assertNetwork } from "../graph/mlp.ts";
import { paramSpecs, tensorSpecs } from "../graph/param-specs.ts";
import { createNetwork } from "../network.ts";
import { architecture } from "./architectures.ts";

const size = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);
const count = (name: string): number => paramSpecs(architecture(name)).reduce((sum, { shape }) => sum + size(shape), 0);

describe("built-in convolutional networks", () => {
  test.each([
    ["lenet5", 61_706], // LeCun et al. 1998 with full connections
    ["resnet20a", 269_722], // He et al. 2016, table 6: 0.27 M
    ["resnet56a", 853_018], // 0.85 M
    ["mobilenetv1", 4_231_976], // Howard et al. 2017: 4.2 M
  ])("%s has %i parameters", (name, parameters) => {
    expect(count(name)).toBe(parameters);
  });

  test("ResNet20 has the papers' names, weights and multiply-adds", () => {
    const spec = architecture("resnet20");
    const names = tensorSpecs(spec).map(({ name }) => name);
    for (const name of [
      "conv1.weight",
      "bn1.running_var",
      "layer2.0.downsample.0.weight",
      "layer3.2.bn2.bias",
      "fc.bias",
    ]) {
      expect(names).toContain(name);
    }
    const prunable = createNetwork(spec)
      .params()
      .filter((param) => param.prunable);
    expect(prunable.reduce((sum, { rows, cols }) => sum + rows * cols, 0)).toBe(270_896);
    expect(macsPerExample(spec)).toBe(40_813_184);
  });

  test.each(["lenet5", "resnet20", "resnet20a", "vgg11"])("%s runs, the same bytes every time", async (name) => {
    const spec = architecture(name);
    const features = size(spec.inputShape);
    const inputs = matrix(
      2,
      features,
      Float32Array.from({ length: 2 * features }, (_, i) => Math.sin(i)),
    );
    const data = arrayDataset({ inputs, labels: [0, 1], inputShape: spec.inputShape, classes: 10, name: "waves" });
    const run = () => createNetwork(spec, { seed: 3 }).evaluate(data, createRunContext());
    const first = await run();
    expect(Number.isFinite(first.loss)).toBe(true);
    expect(await run()).toEqual(first);
  });
});

test.each<[LayerSpec[], RegExp]>([
  [
    [{ kind: "conv2d", name: "c", in: 3, out: 4, kernel: [3, 3], groups: 2 }],
    /3 channels and is given 2|groups must divide/,
  ],
  [[{ kind: "conv2d", name: "c", in: 2, out: 4, kernel: [9, 9] }], /windows larger than its input of \[2, 4, 4\]/],
  [[{ kind: "conv2d", name: "c", in: 2, out: 4, kernel: [3, 3], stride: 0 }], /whole number of at least 1/],
  [[{ kind: "batch-norm", name: "n", channels: 3 }], /normalises 3 channels and is given 2/],
  [[{ kind: "max-pool", size: 2, padding: 2 }], /pads by 2/],
  [
    [
      { kind: "relu", name: "a" },
      { kind: "global-average-pool", name: "g" },
      { kind: "add", inputs: ["a", "g"] },
    ],
    /shapes must agree/,
  ],
  [[{ kind: "relu", inputs: ["nobody"] }], /takes 'nobody', which is no layer before it/],
  [
    [
      { kind: "relu", name: "a" },
      { kind: "relu", name: "a" },
    ],
    /two layers are named 'a'/,
  ],
  [[{ kind: "subsample-and-pad", stride: 2, channels: 5 }], /as many more before as after/],
  [[{ kind: "relu" }, { kind: "dense", name: "d", in: 32, out: 2, bias: true }], /put a flatten before it/],
  [[{ kind: "dropout", rate: 1 }], /rate 1/],
])("refuses %j", (layers, message) => {
  expect(() => assertNetwork({ name: "bad", inputShape: [2, 4, 4], classes: 2, layers })).toThrow(message);
});
