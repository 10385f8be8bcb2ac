import { arrayDataset, createRng, createRunContext, type Dataset, matrix } from "@secateur/core";
import { decodeOnnx, encodeOnnx } from "@secateur/formats";
import { createGraphModel } from "@secateur/graph";
import { architecture, architectureNames, createNetwork, type LayerSpec, type NetworkSpec } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { onnxOfNetwork } from "./onnx-of-network.ts";

/** Random examples of a network's shape. */
function examples({ inputShape, classes }: NetworkSpec, count: number): Dataset {
  const rng = createRng(5);
  const size = inputShape.reduce((product, extent) => product * extent, 1);
  const inputs = matrix(
    count,
    size,
    Float32Array.from({ length: count * size }, () => rng.normal()),
  );
  return arrayDataset({ inputs, inputShape, labels: Array.from({ length: count }, (_, i) => i % classes), classes });
}

async function outputsOf(spec: NetworkSpec): Promise<{ own: Float64Array; exported: Float64Array }> {
  const network = createNetwork(spec, { seed: 2 });
  const model = decodeOnnx(encodeOnnx(onnxOfNetwork(network)), "exported.onnx");
  const graph = createGraphModel({ graph: model.graph, opsets: model.opsets });
  const batch = await examples(spec, 2).batch(Uint32Array.of(0, 1));
  const ctx = createRunContext();
  const [own] = Object.values(await network.run!(batch, ctx));
  const [exported] = Object.values(await graph.run!(batch, ctx));
  return { own: Float64Array.from(own!.data), exported: Float64Array.from(exported!.data) };
}

/** f32 sums in other orders: some 1e-6 of the largest output of every layer. */
function ensureSame({ own, exported }: { own: Float64Array; exported: Float64Array }): void {
  expect(exported.length).toBe(own.length);
  const scale = Math.max(...own.map(Math.abs));
  const worst = Math.max(...own.map((value, i) => Math.abs(value - exported[i]!)));
  expect(worst).toBeLessThan(2e-5 * scale);
}

describe("a network as an ONNX model computes what it computes:", () => {
  // The deeper ResNets and the larger networks are made of the same layers.
  const small = architectureNames.filter((name) => !/^resnet(3|4|5)|mobilenet|vgg/.test(name));
  test.each(small)("%s", async (name) => {
    ensureSame(await outputsOf(architecture(name)));
  });

  test("every kind of layer, with images kept either way", async () => {
    const layers: readonly LayerSpec[] = [
      { kind: "conv2d", name: "a", in: 2, out: 4, kernel: [3, 3], padding: 1, groups: 2 },
      { kind: "batch-norm", name: "b", channels: 4 },
      { kind: "silu", name: "c" },
      { kind: "conv2d", name: "d", in: 4, out: 4, kernel: [3, 3], padding: 2, dilation: 2, bias: false },
      { kind: "gelu", name: "e" },
      { kind: "concat", name: "f", inputs: ["c", "e"] },
      { kind: "average-pool", size: 3, stride: 1, padding: 1 },
      { kind: "relu6" },
      { kind: "max-pool", size: 2 },
      { kind: "dropout", rate: 0.5 },
      { kind: "flatten" },
      { kind: "layer-norm", name: "g", features: 48 },
      { kind: "dense", name: "h", in: 48, out: 3, bias: true },
      { kind: "log-softmax" },
    ];
    for (const layout of ["nchw", "nhwc"] as const) {
      const inputShape = layout === "nchw" ? [2, 4, 6] : [4, 6, 2];
      ensureSame(await outputsOf({ name: "all", inputShape, layout, classes: 3, layers }));
    }
  });
});
