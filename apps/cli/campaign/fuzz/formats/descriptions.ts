import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRunContext } from "@secateur/core";
import { createNetwork, tensorSpecs } from "@secateur/nn";
import { describedArchitecture, readRecipe } from "@secateur/run/node";
import type { FuzzFormat } from "../fuzz-format.ts";
import { oneOf } from "../mutate-bytes.ts";
import { mutateJson } from "../mutate-json.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

const recipes: readonly object[] = [
  {
    ...{ recipe: 1, model: "net.safetensors", data: "npy:X.npy,Y.npy", arch: "mlp:6-5-3", solver: "chita", seed: 0 },
    ...{ sparsity: 0.9, options: { pool: 3 }, plan: { stages: 4, ridge: "auto", examples: 100 }, keepDense: ["first"] },
  },
  {
    ...{ recipe: 1, data: "mnist", kernels: "wasm", task: "classification" },
    retrain: { schedule: "llr", epochs: 3, phases: 2, dense: { schedule: "one-cycle", learningRate: 0.1, epochs: 5 } },
    allocation: { method: "erk", exclude: ["fc1*"], limits: { "fc2.weight": 0.5 } },
    layers: { inputs: "sequential", allocation: "auto", examples: 64, pattern: { keep: 2, of: 4 } },
    batchNorm: { when: "both", cropPadding: 4, flip: true },
  },
];

/** Recipes with anything in any place, with and without comments. */
export function recipe(): FuzzFormat {
  const folder = mkdtempSync(join(tmpdir(), "secateur-fuzz-"));
  const path = join(folder, "net.recipe.json");
  return {
    name: "recipe",
    corpus: recipes.map((value) => encode(`// by hand\n${JSON.stringify(value, null, 1)},`.replace(/,$/, "\n"))),
    mutate: (rng) => encode(mutateJson(rng, oneOf(rng, recipes))),
    async read(bytes) {
      writeFileSync(path, bytes);
      await readRecipe(path, folder);
      return bytes.length;
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

const networks: readonly object[] = [
  {
    ...{ name: "net", inputShape: [1, 6, 6], classes: 3 },
    layers: [
      { kind: "conv2d", name: "a", in: 1, out: 4, kernel: [3, 3], stride: 1, padding: 1, dilation: 1, groups: 1 },
      { kind: "batch-norm", name: "bn", channels: 4 },
      { kind: "relu", name: "r" },
      { kind: "max-pool", size: 2, stride: 2 },
      { kind: "add", inputs: ["bn", "r"], name: "s" },
      { kind: "global-average-pool" },
      { kind: "dense", name: "fc", in: 4, out: 3, bias: true },
    ],
  },
  { inputShape: [6], classes: 2, layers: [{ kind: "dense", name: "fc", in: 6, out: 2 }], map: { linear: "fc" } },
  { arch: "mlp:6-5-3", map: { "1": "fc1" } },
  // Names are looked for among plugins, too.
  { arch: "unknown" },
];

/** Numbers of a network that is made and run: others are only judged. */
const MAX_NUMBERS = 50_000;

/** Networks as data with anything in any place; small ones are made and run. */
export function networkDescription(): FuzzFormat {
  const folder = mkdtempSync(join(tmpdir(), "secateur-fuzz-"));
  const size = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);
  return {
    name: "network",
    corpus: networks.map((value) => encode(JSON.stringify(value))),
    mutate: (rng) => encode(mutateJson(rng, oneOf(rng, networks))),
    async read(bytes) {
      const { spec } = await describedArchitecture(new TextDecoder().decode(bytes), { from: folder });
      if (spec === undefined) return bytes.length;
      const numbers = tensorSpecs(spec).reduce((sum, { shape }) => sum + size(shape), size(spec.inputShape));
      if (!(numbers <= MAX_NUMBERS)) return bytes.length;
      const network = createNetwork(spec, { seed: 1 });
      const input = { shape: [1, ...spec.inputShape], data: new Float32Array(size(spec.inputShape)) };
      await network.run({ size: 1, inputs: { input } }, createRunContext());
      return Math.max(bytes.length, 4 * numbers);
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
