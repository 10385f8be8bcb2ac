import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRunContext, type RunEvent, referenceKernels, tensorDataset } from "@secateur/core";
import { activations } from "@secateur/fisher";
import { decodeOnnx, encodeNpy, encodeOnnx, outlineOnnx } from "@secateur/formats";
import { createGraphModel } from "@secateur/graph";
import { pruneLayers, sparseGpt } from "@secateur/solvers-layerwise";
import { afterAll, describe, expect, test } from "vitest";
import { statedInMetadata } from "../preprocessing/preprocessing.ts";
import type { PruneOutputs } from "../prune/prune-outputs.ts";
import type { PruneSettings } from "../prune/prune-settings.ts";
import { openLargeOnnx } from "./large-onnx.ts";
import { pruneLarge } from "./prune-large.ts";

const folder = mkdtempSync(join(tmpdir(), "large-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A table of 3 x 4, a gap, two matrices [4, 6] and [6, 5] of which many entries are alike, and a tail that belongs to nothing. */
const numbers = Float32Array.from({ length: 12 + 3 + 24 + 30 + 2 }, (_, i) =>
  i < 30 ? Math.sin(7 * i) : ((i * 5) % 7) - 3,
);
const distant = [
  { name: "table", shape: [3, 4], at: 0, size: 12 },
  { name: "first", shape: [4, 6], at: 15, size: 24 },
  { name: "second", shape: [6, 5], at: 39, size: 30 },
].map(({ name, shape, at, size }) => {
  return { name, shape, dtype: "f32", distant: { location: "net.data", offset: 4 * at, length: 4 * size } } as const;
});
const node = (op: string, inputs: readonly string[], output: string) => ({
  ...{ name: output, op, domain: "", inputs, outputs: [output], attributes: {} },
});
const plain = {
  opsets: { "": 17 },
  metadata: {},
  graph: {
    ...{ name: "g", initializers: [], distant },
    nodes: [
      node("Gather", ["table", "x"], "e"),
      node("MatMul", ["e", "first"], "h"),
      node("MatMul", ["h", "second"], "y"),
    ],
    inputs: [{ name: "x", dtype: "i64", shape: ["batch"] }],
    outputs: [{ name: "y", dtype: "f32", shape: ["batch", 5] }],
  },
} satisfies Parameters<typeof encodeOnnx>[0];
const bytes = encodeOnnx(plain);

async function open(name: string, data: Float32Array = numbers) {
  mkdirSync(join(folder, name), { recursive: true });
  const path = join(folder, name, "net.onnx");
  writeFileSync(path, bytes);
  writeFileSync(join(folder, name, "net.data"), new Uint8Array(data.buffer));
  return (await openLargeOnnx(path, 100))!;
}

const found = { entry: { name: "magnitude" }, packageName: "@secateur/solvers-magnitude", version: "1.0.0" };
const usual = {
  ...{ found, options: {}, limits: {}, keepDense: [], plan: {}, sparsity: 0.7, seed: 0 },
  ...{ inputs: {}, batchNorm: {}, curvatureOptions: {} },
};

function run(
  large: Awaited<ReturnType<typeof open>>,
  out: string,
  changed: object = {},
  signal: AbortSignal = new AbortController().signal,
  overwrite = false,
) {
  const outputs: PruneOutputs = {
    ...{
      out: join(folder, out, "net.onnx"),
      recipe: join(folder, out, "net.recipe.json"),
      state: join(folder, "none"),
    },
    ...{ form: "onnx", opset: undefined, report: undefined, overwrite },
  };
  mkdirSync(join(folder, out), { recursive: true });
  const session = { kernels: referenceKernels, kernelChoice: "reference", seed: 0, signal, context: createRunContext };
  const events: RunEvent[] = [];
  const settings = { ...usual, ...changed } as unknown as PruneSettings;
  const spec = {
    settings,
    outputs,
    session: { ...session, onEvent: (event: RunEvent) => events.push(event) },
    cwd: folder,
  };
  return pruneLarge(spec as never, large);
}

const written = (out: string): Float32Array =>
  new Float32Array(new Uint8Array(readFileSync(join(folder, out, "net.data"))).buffer);

describe("a model whose weights stay in their file", () => {
  test("keeps the largest magnitudes of all layers, ties in order, and every other byte", async () => {
    const large = await open("plain");
    const document = await run(large, "plain-out");
    const places = [...numbers.keys()].filter((i) => i >= 15 && i < 69);
    const order = [...places].sort((a, b) => Math.abs(numbers[b]!) - Math.abs(numbers[a]!) || a - b);
    const kept = new Set(order.slice(0, 16));
    expect(Math.abs(numbers[order[15]!]!)).toBe(Math.abs(numbers[order[16]!]!));
    expect([...written("plain-out")]).toEqual([...numbers].map((x, i) => (places.includes(i) && !kept.has(i) ? 0 : x)));
    expect(readFileSync(join(folder, "plain-out", "net.onnx"))).toEqual(Buffer.from(bytes));
    expect(document).toMatchObject({ prunable: 54, nonzeros: 16, sparsity: 1 - 16 / 54, solver: "magnitude" });
    expect(document.unprunable).toEqual([{ weight: "table", reason: "embedding" }]);
    const removed = places.filter((i) => !kept.has(i)).reduce((sum, i) => sum + numbers[i]! ** 2 / 2, 0);
    // Sums of some forty squares of f32 numbers.
    expect(Math.abs(document.objective / removed - 1)).toBeLessThan(1e-6);
  });

  test("keeps what its model card says in its metadata and in the recipe, and removes compressed copies of what it writes over", async () => {
    const large = await open("card");
    const at = (name: string, file: string): string => join(folder, name, file);
    writeFileSync(
      at("card", "preprocessor_config.json"),
      JSON.stringify({
        image_processor_type: "ViTImageProcessor",
        do_resize: false,
        image_mean: [0.5],
        image_std: [0.25],
      }),
    );
    writeFileSync(at("card", "config.json"), JSON.stringify({ id2label: { 0: "cat", 1: "dog" } }));
    await run(large, "card-out");
    const stale = ["net.onnx.gz", "net.data.br"];
    for (const name of stale) writeFileSync(at("card-out", name), "old");
    rmSync(at("card-out", "net.onnx"));
    rmSync(at("card-out", "net.data"));
    rmSync(at("card-out", "net.recipe.json"));
    await expect(run(large, "card-out")).rejects.toThrow(/net\.(onnx\.gz|data\.br)/);
    await run(large, "card-out", {}, undefined, true);
    expect(readdirSync(join(folder, "card-out")).sort()).toEqual(["net.data", "net.onnx", "net.recipe.json"]);
    const file = readFileSync(at("card-out", "net.onnx"));
    expect(file.subarray(0, bytes.length)).toEqual(Buffer.from(bytes));
    const { model } = await outlineOnnx(at("card-out", "net.onnx"));
    const stated = statedInMetadata(model.metadata);
    expect(stated).toMatchObject({ labels: ["cat", "dog"], preprocessing: { of: "pixels", mean: [0.5], std: [0.25] } });
    const recipe = JSON.parse(readFileSync(at("card-out", "net.recipe.json"), "utf8"));
    expect(recipe.preprocess).toMatchObject({ of: "pixels", mean: [0.5], std: [0.25] });
  });

  test("leaves what is to stay dense", async () => {
    await run(await open("dense"), "dense-out", { keepDense: ["first"], sparsity: 0.5 });
    const after = written("dense-out");
    expect([...after.subarray(0, 39)]).toEqual([...numbers.subarray(0, 39)]);
    expect(after.subarray(39, 69).filter((x) => x !== 0).length).toBeLessThanOrEqual(15);
  });

  test("whose weights lie over the same bytes is refused before anything is copied", async () => {
    const large = await open("shared");
    const shared = { ...large, overlapping: new Set(["second"]) };
    await expect(run(shared, "shared-out")).rejects.toThrow(/'second', which shares its bytes/);
    expect(readdirSync(join(folder, "shared-out"))).toEqual([]);
    const path = join(folder, "over", "net.onnx");
    mkdirSync(join(folder, "over"));
    const over = distant.map((tensor) =>
      tensor.name === "second" ? { ...tensor, distant: { ...tensor.distant, offset: 4 * 38 } } : tensor,
    );
    writeFileSync(path, encodeOnnx({ ...plain, graph: { ...plain.graph, distant: over } }));
    writeFileSync(join(folder, "over", "net.data"), new Uint8Array(numbers.buffer));
    expect([...(await openLargeOnnx(path, 100))!.overlapping].sort()).toEqual(["first", "second"]);
  });

  test("with data that do not fit is refused before anything is copied, and an interrupted copy leaves nothing", async () => {
    const data = join(folder, "wide.npy");
    writeFileSync(data, encodeNpy({ shape: [2, 3], data: new Float32Array(6) }));
    const layers = { found: { ...found, entry: { name: "wanda" } }, layers: {}, data: `npy:${data}` };
    await expect(run(await open("unfit"), "unfit-out", layers)).rejects.toThrow(/input 'x'/);
    expect(readdirSync(join(folder, "unfit-out"))).toEqual([]);
    const controller = new AbortController();
    const stopped = run(await open("stopped"), "stopped-out", {}, controller.signal);
    controller.abort();
    await expect(stopped).rejects.toThrow(/interrupted/);
    expect(readdirSync(join(folder, "stopped-out"))).toEqual([]);
  });

  test("is pruned layer by layer to what it is pruned to in memory, and its layers are read from what was written", async () => {
    const ids = Float32Array.from({ length: 12 }, (_, i) => i % 3);
    const data = join(folder, "ids.npy");
    writeFileSync(data, encodeNpy({ shape: [12, 1], data: ids }));
    const solver = sparseGpt();
    const layers = { examples: 12, damping: 0.05 };
    const changed = {
      found: { ...found, entry: { name: "sparsegpt" } },
      solver,
      layers,
      data: `npy:${data}`,
      sparsity: 0.5,
    };
    const document = await run(await open("layers"), "layers-out", changed);

    const { graph, opsets } = decodeOnnx(bytes, "net.onnx", (place, { length }) => {
      return new Uint8Array(numbers.buffer.slice(place.offset, place.offset + length));
    });
    const model = createGraphModel({ graph, opsets });
    await pruneLayers(
      {
        ...{ model, data: tensorDataset({ inputs: { x: { shape: [12], data: ids } } }), solver, sparsity: 0.5 },
        ...{ curvature: activations({ damping: 0.05 }), examples: 12, allocation: "uniform", match: "own" },
        offsets: "none",
      },
      createRunContext(),
    );
    const wanted = numbers.slice();
    wanted.set(model.stored("first").data, 15);
    wanted.set(model.stored("second").data, 39);
    expect([...written("layers-out")]).toEqual([...wanted]);
    expect(document).toMatchObject({ prunable: 54, nonzeros: 27, sparsity: 0.5, solver: "sparsegpt" });
    expect(document.recipe).toMatchObject({ layers, sparsity: 0.5 });
    expect(readdirSync(join(folder, "layers-out")).sort()).toEqual(["net.data", "net.onnx", "net.recipe.json"]);
  });

  test.each([
    ["without data", {}, /layer by layer without --data/],
    ["from inputs of the dense network", { data: "npy:x.npy", layers: { inputs: "parallel" } }, /--inputs parallel/],
    ["to the dense network's outputs", { data: "npy:x.npy", layers: { match: "dense" } }, /--match dense/],
    ["with a shared budget", { data: "npy:x.npy", layers: { allocation: "owl" } }, /--layer-allocation owl/],
  ])("is not pruned layer by layer %s", async (_what, changed, says) => {
    const large = await open("refused");
    await expect(run(large, "refused-layers", { layers: {}, ...changed })).rejects.toThrow(says);
    expect(readdirSync(join(folder, "refused-layers"))).toEqual([]);
  });

  test.each([
    ["another solver", { found: { ...found, entry: { name: "chita" } } }, /--solver chita takes all weights/],
    ["data", { data: "mnist" }, /measuring with --data/],
    ["cutting", { cut: true }, /--cut takes/],
    ["a task", { task: "classification" }, /--task takes/],
    ["fixed inputs", { inputs: { fix: ["x=1"] } }, /--fix takes/],
    ["retraining", { retrain: {} }, /--retrain/],
    ["a limit", { limits: { flops: 0.5 } }, /a limit on other things/],
    ["no sparsity", { sparsity: undefined }, /without a --sparsity/],
  ])("is refused for %s, and nothing is written", async (_what, changed, says) => {
    const large = await open("refused");
    await expect(run(large, "refused-out", changed)).rejects.toThrow(says);
    expect(readdirSync(join(folder, "refused-out"))).toEqual([]);
  });

  test("does not write over its own data, and leaves nothing of a run that fails", async () => {
    const large = await open("same");
    rmSync(join(folder, "same", "net.onnx"));
    await expect(run(large, "same")).rejects.toThrow(/another folder/);
    const broken = numbers.slice();
    broken[20] = Number.NaN;
    await expect(run(await open("nan", broken), "nan-out")).rejects.toThrow(
      /'first': weight 5 is infinite or no number/,
    );
    expect(existsSync(join(folder, "nan-out", "net.data"))).toBe(false);
  });
});
