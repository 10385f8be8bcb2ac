import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRunContext } from "@secateur/core";
import { decodeOnnx, encodeOnnx } from "@secateur/formats";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import { load } from "@secateur/runtime";
import { packGraph } from "@secateur/runtime/pack";
import { afterAll, beforeAll, expect, test } from "vitest";
import { onnxOfNetwork } from "../export/onnx-of-network.ts";
import { tfjsOfNetwork } from "../export/tfjs-of-network.ts";
import { openPackable } from "./open-packable.ts";

const spec: NetworkSpec = {
  name: "small",
  inputShape: [2, 6, 6],
  classes: 3,
  layers: [
    { kind: "conv2d", name: "conv", in: 2, out: 8, kernel: [3, 3], padding: 1, bias: true },
    { kind: "batch-norm", name: "norm", channels: 8 },
    { kind: "relu" },
    { kind: "max-pool", size: 2 },
    { kind: "flatten" },
    { kind: "dense", name: "fc", in: 72, out: 3 },
  ],
};
const network = createNetwork(spec, { seed: 3 });
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "secateur-packable-"));
  for (const [name, bytes] of tfjsOfNetwork(network)) await writeFile(join(folder, name), bytes);
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

test("a TensorFlow.js model is packed: the same numbers, from images with channels last", async () => {
  const path = join(folder, "model.json");
  const packable = await openPackable({ path, arch: undefined, onEvent: () => undefined });
  expect(Object.keys(packable.stock)).toEqual(["onnx", "tfjs"]);
  expect(decodeOnnx(packable.stock.onnx!(), "net").graph.inputs[0]!.name).toBe("input");
  expect((await packable.stock.tfjs!()).kind).toBe("layers");
  const session = await load((await packGraph(packable.graph, { values: "f32" })).bytes);
  const images = Float32Array.from({ length: 72 }, (_, i) => Math.sin(3 * i));
  const turned = images.map((_, i) => images[(i % 2) * 36 + Math.floor(i / 2)]!);
  const [found] = Object.values(await session.run({ input: { data: turned, dims: [1, 6, 6, 2] } }));
  const batch = { size: 1, inputs: { input: { shape: [1, 2, 6, 6], data: images } } };
  const logits = (await network.run(batch, createRunContext()))["output"]!.data;
  // Sums of at most 72 products of numbers around one, in f32 and in another order.
  for (const [c, value] of found!.data.entries()) expect(value).toBeCloseTo(logits[c]!, 5);
});

test("a TensorFlow.js model refuses --arch", async () => {
  const path = join(folder, "model.json");
  const open = (arch: string | undefined) => openPackable({ path, arch, onEvent: () => undefined });
  await expect(open("mlpnet")).rejects.toThrow(/--arch.*is a TensorFlow.js model, which says what its layers are/);
});

test("an ONNX graph is packed as what it is, whatever network its metadata say that it came of", async () => {
  const path = join(folder, "net.onnx");
  const metadata = { "secateur.architecture": "mlpnet", labels: "a b c" };
  await writeFile(path, encodeOnnx({ ...onnxOfNetwork(network), metadata }));
  const packable = await openPackable({ path, arch: undefined, onEvent: () => undefined });
  expect(packable.metadata).toMatchObject({ labels: "a b c" });
  expect(packable.metadata).not.toHaveProperty("secateur.architecture");
});
