import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRng } from "@secateur/core";
import {
  decodeOnnx,
  decodeSafetensors,
  encodeNpy,
  encodeOnnx,
  encodeSafetensors,
  type NamedTensor,
  type NewOnnxModel,
} from "@secateur/formats";
import { createNetwork, type NetworkSpec } from "@secateur/nn";
import { expect, test } from "vitest";
import { call, temporaryFolder } from "./testing.test-support.ts";

const images: NetworkSpec = {
  name: "small",
  inputShape: [2, 6, 6],
  classes: 3,
  layers: [
    { kind: "conv2d", name: "c1", in: 2, out: 4, kernel: [3, 3], padding: 1 },
    { kind: "relu", name: "r1" },
    { kind: "conv2d", name: "c2", in: 4, out: 4, kernel: [3, 3], padding: 1, groups: 4 },
    { kind: "batch-norm", name: "b2", channels: 4 },
    { kind: "add", inputs: ["r1", "b2"] },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 4, out: 3 },
    { kind: "log-softmax" },
  ],
};

/** A checkpoint that describes itself, with channel 1 of the sum zero in all its tensors. */
async function maskedModel(folder: string, isMasked = true): Promise<string> {
  const tensors = createNetwork(images, { seed: 3 }).tensors();
  const named = tensors.map(({ name, shape, data }): NamedTensor => {
    const own = Float32Array.from(data);
    const inner = own.length / shape[0]!;
    if (isMasked && shape[0] === 4) own.fill(0, inner, 2 * inner);
    return { name, shape, dtype: "f32", data: own };
  });
  const path = join(folder, "net.safetensors");
  const metadata = { "secateur.architecture": JSON.stringify(images) };
  await writeFile(path, encodeSafetensors({ tensors: named, metadata }));
  return path;
}

test("a checkpoint is cut to a smaller one that describes itself, to ONNX and to TensorFlow.js", async () => {
  const folder = await temporaryFolder();
  const model = await maskedModel(folder);
  const small = join(folder, "small.safetensors");
  const { code, stdout } = await call(["cut", model, "--out", small, "--json"]);
  expect(code).toBe(0);
  const document = JSON.parse(stdout) as Record<string, unknown>;
  // 4 x 2 x 9 + 4, 4 x 9 + 4, 4 x 4 of the normalisation, 3 x 4 + 3; a quarter of all but the last bias goes.
  expect(document).toMatchObject({
    cut: 1,
    groups: 4,
    parameters: { before: 76 + 40 + 16 + 15, after: 57 + 30 + 12 + 12 },
  });
  // The result is a network like any other, in which nothing more can be cut.
  const again = await call(["cut", small, "--out", join(folder, "again.onnx")]);
  expect(again.code).toBe(2);
  expect(again.stderr).toContain("ERR_NOTHING_TO_CUT");
  expect(existsSync(join(folder, "again.onnx"))).toBe(false);
  expect((await call(["cut", model, "--out", join(folder, "tf", "model.json")])).code).toBe(0);
  // Three of four channels are no multiple of two, so that none goes.
  const even = await call(["cut", model, "--multiple-of", "2", "--out", join(folder, "even.onnx")]);
  expect(even.stderr).toContain("ERR_NOTHING_TO_CUT");
  const onnx = join(folder, "small.onnx");
  expect((await call(["cut", model, "--out", onnx])).code).toBe(0);
  const { graph } = decodeOnnx(await readFile(onnx), onnx);
  expect(graph.initializers.find(({ name }) => name === "c2.weight")!.shape).toEqual([3, 1, 3, 3]);
});

test("an ONNX model that was read stays itself but for what is cut", async () => {
  const folder = await temporaryFolder();
  const model = await maskedModel(folder);
  const whole = join(folder, "whole.onnx");
  expect((await call(["convert", model, "--out", whole])).code).toBe(0);
  const small = join(folder, "small.onnx");
  expect((await call(["cut", whole, "--out", small])).code).toBe(0);
  const [before, after] = await Promise.all([whole, small].map(async (path) => decodeOnnx(await readFile(path), path)));
  expect(after!.graph.nodes.map(({ op }) => op)).toEqual(before!.graph.nodes.map(({ op }) => op));
  expect(after!.graph.nodes.find(({ attributes }) => attributes["group"] === 3)).toBeDefined();
  expect(after!.metadata).toEqual(before!.metadata);
  expect(after!.opsets).toEqual(before!.opsets);
});

test("weights that are no numbers are refused, and an operator that is not known is named with the file", async () => {
  const folder = await temporaryFolder();
  const model = await maskedModel(folder);
  const whole = join(folder, "whole.onnx");
  await call(["convert", model, "--out", whole]);
  const { graph, opsets } = decodeOnnx(await readFile(whole), whole);
  const write = async (name: string, change: Partial<NewOnnxModel["graph"]>): Promise<string> => {
    const path = join(folder, name);
    const changed = { ...graph, ...change } as NewOnnxModel["graph"];
    const nodes = changed.nodes.map((node) => ({ ...node, floats: ["epsilon"] }));
    await writeFile(
      path,
      encodeOnnx({ opsets: { ...opsets, "com.example": 1 }, metadata: {}, graph: { ...changed, nodes } }),
    );
    return path;
  };
  const [first, ...others] = graph.initializers as NewOnnxModel["graph"]["initializers"];
  const broken = { ...first!, data: (first!.data as Float32Array).map((x, i) => (i === 0 ? Number.NaN : x)) };
  const nan = await write("nan.onnx", { initializers: [broken, ...others] as NewOnnxModel["graph"]["initializers"] });
  const found = await call(["cut", nan, "--out", join(folder, "x.onnx")]);
  expect([found.code, found.stderr]).toEqual([2, expect.stringContaining("ERR_NOT_FINITE")]);
  const nodes = graph.nodes.map((node) =>
    node.op === "Relu" ? { ...node, op: "Unheard", domain: "com.example" } : node,
  );
  const unknown = await write("unknown.onnx", { nodes });
  const { code, stderr } = await call(["cut", unknown, "--out", join(folder, "x.onnx")]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/unknown\.onnx.*Unheard.*ERR_OPERATOR/);
});

test("a whole network, an output that cannot hold it and a model in its own place are refused before anything is written", async () => {
  const folder = await temporaryFolder();
  const model = await maskedModel(folder, false);
  const refusals = [
    [["cut", model, "--out", join(folder, "x.onnx")], "ERR_NOTHING_TO_CUT"],
    [["cut", model], "--out"],
    [["cut", model, "--out", model], "--out"],
    [["cut", join(folder, "none.onnx"), "--out", join(folder, "x.onnx")], "none.onnx"],
    [["cut", model, "--input-shape", "input=1,2,6,6", "--out", join(folder, "x.onnx")], "--input-shape"],
  ] as const;
  for (const [argv, word] of refusals) {
    const { code, stderr } = await call(argv);
    expect(code).toBe(2);
    expect(stderr).toContain(word);
  }
  expect(existsSync(join(folder, "x.onnx"))).toBe(false);
});

test("prune --units channels --cut writes a network of fewer channels, whose accuracy is the one that is told", async () => {
  const folder = await temporaryFolder();
  const model = await maskedModel(folder, false);
  const rng = createRng(5);
  const inputs = Float32Array.from({ length: 40 * 72 }, () => rng.normal());
  await writeFile(join(folder, "X.npy"), encodeNpy({ shape: [40, 2, 6, 6], data: inputs }));
  const labels = Float32Array.from({ length: 40 }, (_, i) => i % 3);
  await writeFile(join(folder, "Y.npy"), encodeNpy({ shape: [40], data: labels }));
  const data = ["--data", `npy:${join(folder, "X.npy")},${join(folder, "Y.npy")}`];
  for (const name of ["small.safetensors", "small.onnx"]) {
    const out = join(folder, name);
    const argv = ["prune", model, ...data, "--solver", "magnitude", "--units", "channels", "--sparsity", "0.5"];
    const pruned = await call([...argv, "--cut", "--out", out, "--json"]);
    expect(pruned.code, pruned.stderr).toBe(0);
    const document = JSON.parse(pruned.stdout) as {
      cut: { cut: number; parameters: { after: number } };
      pruned: { loss: number };
      layers: { name: string }[];
    };
    expect(document.cut.cut).toBe(2);
    expect(document.layers.map((layer) => layer.name)).toEqual(["c1.weight+1"]);
    // Half of all but the classifier's biases.
    expect(document.cut.parameters.after).toBe(38 + 20 + 8 + 9);
    const measured = await call(["eval", out, ...data, "--json"]);
    // Graph and network add up in another order, in f32.
    expect((JSON.parse(measured.stdout) as { loss: number }).loss).toBeCloseTo(document.pruned.loss, 4);
  }
  // A cut run is repeated from its recipe.
  const recipe = JSON.parse(await readFile(join(folder, "small.recipe.json"), "utf8")) as { cut: number };
  expect(recipe.cut).toBe(1);
});

test("channels go in rounds with training between, and what is cut at the end is the masked network", async () => {
  const folder = await temporaryFolder();
  const model = await maskedModel(folder, false);
  const rng = createRng(6);
  const images = Float32Array.from({ length: 24 * 72 }, () => rng.normal());
  await writeFile(join(folder, "x.npy"), encodeNpy({ shape: [24, 2, 6, 6], data: images }));
  await writeFile(
    join(folder, "y.npy"),
    encodeNpy({ shape: [24], data: Float32Array.from({ length: 24 }, (_, i) => i % 3) }),
  );
  const out = join(folder, "small.safetensors");
  const masked = join(folder, "masked.safetensors");
  const flags = ["--data", `npy:${join(folder, "x.npy")},${join(folder, "y.npy")}`, "--units", "channels"];
  const rounds = ["--sparsity", "0.5", "--solver", "magnitude", "--retrain", "llr", "--phases", "2"];
  const trained = ["--retrain-epochs", "2", "--dense-training", "cosine:0.05:4", "--json"];
  const all = ["prune", model, ...flags, ...rounds, ...trained];
  const { code, stdout, stderr } = await call([...all, "--cut", "--out", out]);
  expect(stderr, stderr).not.toContain("ERR_");
  expect(code).toBe(0);
  const document = JSON.parse(stdout) as { rounds: unknown[]; cut: { cut: number; difference: number } };
  expect(document.rounds).toHaveLength(2);
  expect(document.cut.cut).toBe(2);
  // The same run without --cut is cut afterwards to the same network: training left nothing of the channels, biases included.
  expect((await call([...all, "--out", masked])).code).toBe(0);
  const later = join(folder, "later.safetensors");
  const cut = await call(["cut", masked, "--out", later, "--json"]);
  expect(JSON.parse(cut.stdout)).toMatchObject({ cut: 2 });
  const tensorsOf = async (path: string) => decodeSafetensors(await readFile(path), path).tensors;
  expect(await tensorsOf(later)).toEqual(await tensorsOf(out));
});
