import { arrayDataset, classification, createRng, createRunContext, matrix, subset } from "@secateur/core";
import { createNetwork, mlp, train } from "@secateur/nn";
import { expect, test } from "vitest";
import { completeSettings } from "./complete-settings.ts";
import { findTraining, type RangeTest } from "./find-training.ts";

/** Two clouds, and a network that has learned to tell them apart; of inputs so many times larger. */
async function trained(scale = 1): Promise<RangeTest> {
  const rng = createRng("clouds");
  const size = 240;
  const labels = Uint32Array.from({ length: size }, (_, i) => i % 2);
  const inputs = Float32Array.from({ length: size * 4 }, (_, e) => rng.normal() + (Math.floor(e / 4) % 2));
  const dataOf = (factor: number) =>
    arrayDataset({
      inputs: matrix(
        size,
        4,
        inputs.map((x) => factor * x),
      ),
      labels,
      classes: 2,
    });
  const data = dataOf(scale);
  const places = Uint32Array.from({ length: size }, (_, i) => i);
  const network = createNetwork(mlp({ sizes: [4, 12, 2] }), { seed: 3 });
  const half = subset(data, places.slice(0, size / 2));
  await train(
    network,
    { data: subset(dataOf(1), places.slice(0, size / 2)), epochs: 20, learningRate: () => 0.05 },
    createRunContext(),
  );
  const first = network.weights.get("fc1.weight")!.data;
  for (let j = 0; j < first.length; j++) first[j]! /= scale;
  return {
    ...{ network, params: network.params().flatMap(({ name, prunable }) => (prunable ? [name] : [])), sparsity: 0.5 },
    settings: { schedule: "llr", epochs: 2, batchSize: 8 },
    ...{ train: half, heldOut: subset(data, places.slice(size / 2)), task: classification() },
    normalisation: { divisor: 1, mean: [0], std: [1] },
  };
}

test("takes the highest rate whose loss is near the lowest after a longer trial, and leaves the network as it was", async () => {
  const spec = await trained();
  const before = spec.network.tensors();
  const { learningRate, losses, longer, cropPadding, flip } = await findTraining(spec, createRunContext());
  expect(spec.network.tensors()).toEqual(before);
  // No images, no changes of them.
  expect([cropPadding, flip]).toEqual([0, false]);
  const within = (all: typeof losses, times: number) => {
    const best = Math.min(...all.map(({ loss }) => loss));
    return all.filter(({ loss }) => loss <= times * best).map(({ rate }) => rate);
  };
  expect(losses.length).toBeGreaterThan(1);
  expect(longer.map(({ rate }) => rate)).toEqual(within(losses, 1.1).slice(-3));
  expect(learningRate).toBe(within(longer, 1.03).at(-1));
  // The same seed draws the same examples.
  expect((await findTraining(spec, createRunContext())).longer).toEqual(longer);
});

test("a network of small slopes is trained at rates above the usual one", async () => {
  // The same function of inputs thirty times smaller: good rates of the first layer are a thousand times what they were.
  const { learningRate, losses } = await findTraining(await trained(1 / 30), createRunContext());
  expect(losses.map(({ rate }) => rate)).toContain(0.3);
  expect(learningRate).toBeGreaterThan(0.1);
  expect(losses.length).toBeLessThanOrEqual(9);
});

test("a rate at which training diverges is never taken, and none higher is tried", async () => {
  // The same function of inputs thirty times larger: slopes of the first layer are thirty times what they were, good rates a thousandth.
  const spec = await trained(30);
  const { learningRate, losses } = await findTraining(spec, createRunContext());
  const last = losses.at(-1)!;
  expect(last.loss).toBeGreaterThan(1.5 * Math.min(...losses.map(({ loss }) => loss)));
  expect(last.rate).toBeLessThan(0.1);
  expect(learningRate).toBeLessThan(last.rate);
});

test("where every training diverges the lowest rate is taken, and no other is tried", async () => {
  const spec = await trained();
  // On inputs this large no output is finite, whatever the training.
  const inputs = matrix(20, 4, new Float32Array(80).fill(3e38));
  const heldOut = arrayDataset({ inputs, labels: new Uint32Array(20), classes: 2 });
  const { learningRate, losses } = await findTraining({ ...spec, heldOut }, createRunContext());
  expect(losses.map(({ loss }) => loss)).toEqual([Number.POSITIVE_INFINITY]);
  expect(learningRate).toBe(losses[0]!.rate);
});

test("what the user has set is not tried", async () => {
  const spec = await trained();
  const settings = { ...spec.settings, learningRate: 0.02 };
  const { losses, learningRate } = await findTraining({ ...spec, settings }, createRunContext());
  expect(losses.map(({ rate }) => rate)).toEqual([0.02]);
  expect(learningRate).toBe(0.02);
  expect(completeSettings({ settings, record: undefined, sparsity: 0.5 }).learningRate).toBe(0.02);
});
