import { createWasmKernels, type WasmKernels } from "@secateur/backends-wasm";
import { createRng, createRunContext, matrix } from "@secateur/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { logitsOf } from "./derivatives/tape.ts";
import type { NetworkSpec } from "./graph/network-spec.ts";
import { createNetwork } from "./network.ts";
import { withPool } from "./pool.ts";

/** Convolutions with and without a normalisation and a bias, a mean over positions, and dense layers. */
const spec: NetworkSpec = {
  name: "small",
  inputShape: [3, 8, 8],
  classes: 4,
  layers: [
    { kind: "conv2d", name: "c1", in: 3, out: 8, kernel: [3, 3], padding: 1, bias: false },
    { kind: "batch-norm", name: "n1", channels: 8 },
    { kind: "relu" },
    { kind: "conv2d", name: "c2", in: 8, out: 8, kernel: [3, 3], padding: 1, stride: 2 },
    { kind: "relu" },
    { kind: "conv2d", name: "c3", in: 8, out: 8, kernel: [3, 3], padding: 1, groups: 8 },
    { kind: "batch-norm", name: "n3", channels: 8 },
    { kind: "global-average-pool" },
    { kind: "flatten" },
    { kind: "dense", name: "d1", in: 8, out: 6 },
    { kind: "relu" },
    { kind: "dense", name: "d2", in: 6, out: 4 },
  ],
};
const rng = createRng(5);
const input = Float32Array.from({ length: 3 * 192 }, () => rng.normal());

describe("outputs of a network, by weights that come again", () => {
  let kernels: WasmKernels;
  beforeAll(async () => {
    kernels = await createWasmKernels({ threads: 1 });
  });
  afterAll(() => kernels.close());
  const network = createNetwork(spec, { seed: 2 });
  const norm = network.weights.get("n1.running_mean")!.data;
  for (let c = 0; c < 8; c++) norm[c] = c / 8;
  const batch = { size: 3, inputs: { input: { shape: [3, 3, 8, 8], data: input } } };
  const run = async (): Promise<readonly number[]> => {
    const [out] = Object.values(await network.run(batch, createRunContext({ kernels })));
    return [...out!.data];
  };

  test("are those of a pass that folds and keeps nothing, but for rounding", async () => {
    const expected = await withPool(kernels, "f32", async (pool) => [
      ...logitsOf({ network: spec, weights: network.weights, input: matrix(3, 192, input), pool }).data,
    ]);
    for (let round = 0; round < 2; round++) {
      const found = await run();
      // Sums of some 70 products of order 1, in f32, layer by layer.
      for (const [i, value] of found.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5);
    }
  });

  test("change with every tensor, written or changed in place", async () => {
    let before = await run();
    for (const [name, { data }] of network.weights) {
      if (name === "d1.weight" || name === "d1.bias") data.fill(0.1);
      else data[data.length - 1]! += 0.5;
      const after = await run();
      expect([name, after]).not.toEqual([name, before]);
      before = after;
    }
    const w = await network.read("c2.weight");
    await network.write("c2.weight", { ...w, data: w.data.map((x: number) => 2 * x) });
    expect(await run()).not.toEqual(before);
  });
});
