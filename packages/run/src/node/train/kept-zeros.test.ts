import { arrayDataset, createRng, createRunContext, matrix } from "@secateur/core";
import { createNetwork, type NetworkSpec, train } from "@secateur/nn";
import { expect, test } from "vitest";
import { masksOf } from "./kept-zeros.ts";

const spec: NetworkSpec = {
  name: "small",
  inputShape: [1, 4, 4],
  classes: 2,
  layers: [
    { kind: "conv2d", name: "c1", in: 1, out: 3, kernel: [3, 3], padding: 1, bias: true },
    { kind: "batch-norm", name: "b1", channels: 3 },
    { kind: "conv2d", name: "c2", in: 3, out: 3, kernel: [3, 3], padding: 1, bias: true },
    { kind: "relu", name: "r" },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 3, out: 2 },
    { kind: "log-softmax" },
  ],
};

test("what pruning took of a channel stays away in training: its weights, its bias, scale and shift of its normalisation", async () => {
  const network = createNetwork(spec, { seed: 5 });
  const of = (name: string): Float32Array => network.weights.get(name)!.data as Float32Array;
  const gone = ["c1.weight", "c1.bias", "b1.weight", "b1.bias"];
  for (const name of gone)
    of(name)
      .subarray(of(name).length / 3, (2 * of(name).length) / 3)
      .fill(0);
  // A bias that happens to be 0, and one behind whose row nothing is left but itself, are trained.
  of("c2.bias").fill(0);
  of("fc.weight").subarray(3, 6).fill(0);
  of("fc.bias")[1] = 0.1;
  const masks = masksOf(network);
  expect([...masks.get("c2.bias")!]).toEqual([1, 1, 1]);
  expect([...masks.get("fc.bias")!]).toEqual([1, 1]);
  const rng = createRng(2);
  const inputs = matrix(
    12,
    16,
    Float32Array.from({ length: 12 * 16 }, () => rng.normal()),
  );
  const data = arrayDataset({ inputs, inputShape: [1, 4, 4], labels: Array.from({ length: 12 }, (_, i) => i % 2) });
  await train(network, { data, epochs: 2, batchSize: 4, masks }, createRunContext());
  for (const name of gone) {
    const all = of(name);
    const third = all.length / 3;
    const isZero = (from: number): boolean => all.subarray(from, from + third).every((x) => x === 0);
    expect([isZero(0), isZero(third), isZero(2 * third)], name).toEqual([false, true, false]);
  }
  expect(of("c2.bias").every((x) => x !== 0)).toBe(true);
});

test("scale and shift that are both 0 behind a row that is there train: a residual branch may begin with them", () => {
  const network = createNetwork(spec, { seed: 5 });
  for (const name of ["b1.weight", "b1.bias"]) network.weights.get(name)!.data.fill(0);
  network.weights.get("c1.weight")!.data.fill(0, 0, 9);
  const masks = masksOf(network);
  for (const name of ["b1.weight", "b1.bias"]) expect([...masks.get(name)!], name).toEqual([0, 1, 1]);
});
