import { createRunContext } from "@secateur/core";
import { decodeOnnx, encodeOnnx } from "@secateur/formats";
import { createGraphModel } from "@secateur/graph";
import { architecture, architectureNames, createNetwork, type NetworkSpec } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { withOpset } from "./encode-model.ts";
import { everyLayer, examples } from "./network.test-support.ts";
import { onnxOfNetwork } from "./onnx-of-network.ts";

async function outputsOf(spec: NetworkSpec): Promise<{ own: Float64Array; exported: Float64Array }> {
  const network = createNetwork(spec, { seed: 2 });
  const model = decodeOnnx(encodeOnnx(withOpset(onnxOfNetwork(network), { metadata: {} })), "exported.onnx");
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
    for (const spec of everyLayer) ensureSame(await outputsOf(spec));
  });
});
