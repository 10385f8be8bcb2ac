import { arrayDataset, createRng, createRunContext, matrix, type RunEvent, referenceKernels } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { createNetwork, type LayerSpec, mlp, type Network, reestimateBatchNorm } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import type { Session } from "../../session.ts";
import { batchNormFor, remeasuring } from "./batch-norm.ts";

const layers: readonly LayerSpec[] = [
  { kind: "conv2d", name: "conv", in: 1, out: 4, kernel: [3, 3], padding: 1, bias: false },
  { kind: "batch-norm", name: "bn", channels: 4 },
  { kind: "relu" },
  { kind: "global-average-pool" },
  { kind: "dense", name: "fc", in: 4, out: 2, bias: true },
];
const side = 8;
const normed = (): Network =>
  createNetwork({ name: "normed", inputShape: [1, side, side], classes: 2, layers }, { seed: 2 });
const plain = createNetwork(mlp({ sizes: [4, 2] }));

/** Bright images, so that black borders change the statistics. */
function bright(): DatasetSplits {
  const rng = createRng("bright");
  const size = 64;
  const inputs = matrix(
    size,
    side * side,
    Float32Array.from({ length: size * side * side }, () => 3 + rng.normal()),
  );
  const labels = Uint32Array.from({ length: size }, (_, i) => i % 2);
  const train = arrayDataset({ inputs, labels, classes: 2, inputShape: [1, side, side] });
  return { name: "bright", train, test: train, normalisation: { divisor: 1, mean: [0], std: [1] } };
}

function sessionOf(events: RunEvent[] = []): Session {
  const onEvent = (event: RunEvent): void => {
    events.push(event);
  };
  return {
    kernels: referenceKernels,
    kernelChoice: "reference",
    seed: 0,
    signal: new AbortController().signal,
    onEvent,
    context: () => createRunContext({ onEvent }),
  };
}

const statistics = ({ weights }: Network): readonly number[] => [
  ...weights.get("bn.running_mean")!.data,
  ...weights.get("bn.running_var")!.data,
];

describe("what is done about batch normalisation", () => {
  test("is to measure before and after where there is any, unless something else is asked for", () => {
    expect(batchNormFor(normed(), {})).toEqual({ when: "both" });
    expect(batchNormFor(normed(), { when: "never" })).toEqual({ when: "never" });
    expect(batchNormFor(normed(), { flip: true })).toEqual({ when: "both", flip: true });
    expect(batchNormFor(plain, {})).toBeUndefined();
    expect(batchNormFor(plain, { when: "never" })).toBeUndefined();
  });

  test("refuses flags that would change nothing", () => {
    for (const [network, asked, flag] of [
      [plain, { when: "after" }, "--reestimate-batch-norm"],
      [plain, { cropPadding: 2 }, "--crop-padding"],
      [normed(), { when: "never", flip: true }, "--flip"],
    ] as const) {
      expect(() => batchNormFor(network, asked)).toThrow(new RegExp(`${flag} would change nothing`));
    }
  });
});

test("measures at the times asked for", async () => {
  const data = bright();
  for (const [when, isBefore, isWithin] of [
    ["never", false, false],
    ["before", true, false],
    ["after", false, true],
    ["both", true, true],
  ] as const) {
    const network = normed();
    const untouched = statistics(network);
    const { before, recalibrate, after } = remeasuring({ network, data, settings: { when }, session: sessionOf() });
    expect(await before()).toBe(isBefore);
    expect(statistics(network).join() !== untouched.join()).toBe(isBefore);
    expect(recalibrate !== undefined).toBe(isWithin);
    const earlier = statistics(network);
    // Other weights, as after pruning, have other statistics.
    network.weights.get("conv.weight")!.data.fill(0.1);
    await after();
    expect(statistics(network).join() !== earlier.join()).toBe(isWithin);
  }
});

test("with retraining measures beforehand where the loss falls by it, after each pruning, and leaves what is measured as it trains to that", async () => {
  const data = bright();
  const settings = batchNormFor(normed(), {}, { isRetrained: true });
  expect(settings).toEqual({ when: "auto" });
  expect(batchNormFor(normed(), { when: "after" }, { isRetrained: true })).toEqual({ when: "after" });
  expect(batchNormFor(plain, { flip: true }, { isRetrained: true })).toBeUndefined();
  for (const isOff of [false, true]) {
    const network = normed();
    await reestimateBatchNorm(network, data.train, createRunContext());
    // Features far from where they are thought to be drown every difference between images.
    if (isOff) network.weights.get("bn.running_var")!.data.fill(1e-6);
    const { loss } = await network.evaluate(data.train, createRunContext());
    const before = statistics(network);
    const measurements = remeasuring({ network, data, settings, session: sessionOf(), isTrained: true });
    expect(await measurements.before()).toBe(isOff);
    expect(statistics(network).join() !== before.join()).toBe(isOff);
    const { loss: lossNow } = await network.evaluate(data.train, createRunContext());
    expect(lossNow < 0.95 * loss).toBe(isOff);
    // Other weights, as after pruning, are judged with statistics of their own.
    network.weights.get("conv.weight")!.data.fill(0.1);
    const dense = statistics(network);
    await measurements.recalibrate!(createRunContext());
    expect(statistics(network)).not.toEqual(dense);
    const now = statistics(network);
    network.weights.get("conv.weight")!.data.fill(0.2);
    await measurements.after();
    expect(statistics(network)).toEqual(now);
  }
});

test("chooses the random changes of images under whose statistics training images have the lower loss, and says so", async () => {
  const data = bright();
  const usual = { cropPadding: 1, flip: true, border: [0] };
  for (const bias of [-4, 4]) {
    // A head that wants all features small, or all large; black borders widen the spread that features are divided by.
    const make = (): Network => {
      const network = normed();
      network.weights.get("fc.bias")!.data.set([bias, 0]);
      return network;
    };
    const outcomes = await Promise.all(
      [{}, usual].map(async (augmentation) => {
        const network = make();
        await reestimateBatchNorm(network, data.train, createRunContext(), { augmentation });
        const { loss } = await network.evaluate(data.train, createRunContext());
        return { loss, statistics: statistics(network), word: augmentation === usual ? "cropped" : "unchanged" };
      }),
    );
    const [better] = outcomes.sort((a, b) => a.loss - b.loss);
    const network = make();
    const events: RunEvent[] = [];
    await remeasuring({ network, data, settings: { when: "before" }, session: sessionOf(events) }).before();
    // Same images, same generator: bit for bit.
    expect(statistics(network)).toEqual(better!.statistics);
    const note = events.find((event) => event.type === "note" && event.code === "batch-norm");
    expect(note).toMatchObject({ message: expect.stringContaining(better!.word) });
  }
});

test("chooses without labels what keeps the outputs of the network as it came", async () => {
  const labelled = bright();
  const { targets: _, ...train } = labelled.train;
  const data = { ...labelled, train, test: train };
  // The statistics that it comes with are those of unchanged images, or of changed ones.
  for (const [augmentation, word] of [
    [{}, "unchanged"],
    [{ cropPadding: 1, flip: true, border: [0] }, "cropped"],
  ] as const) {
    const network = normed();
    await reestimateBatchNorm(network, train, createRunContext({ seed: 3 }), { augmentation });
    const events: RunEvent[] = [];
    await remeasuring({ network, data, settings: { when: "before" }, session: sessionOf(events) }).before();
    const note = events.find((event) => event.type === "note" && event.code === "batch-norm");
    expect(note).toMatchObject({ message: expect.stringContaining(word) });
  }
});

test("measures weights once only, with the same images, and again whatever changed in them", async () => {
  const data = bright();
  let reads = 0;
  const train = {
    ...data.train,
    batch: (indices: Uint32Array) => {
      reads++;
      return data.train.batch(indices);
    },
  };
  const network = normed();
  const ctx = createRunContext();
  const { recalibrate } = remeasuring({
    network,
    data: { ...data, train },
    settings: { when: "both" },
    session: sessionOf(),
  });
  const weights = network.weights.get("conv.weight")!.data;
  const [original, changed] = [weights.slice(), weights.map((value) => value / 2)];
  await recalibrate!(ctx);
  const [first, one] = [statistics(network), reads];
  weights.set(changed);
  await recalibrate!(ctx);
  expect(statistics(network)).not.toEqual(first);
  expect(reads).toBe(2 * one);
  weights.set(original);
  // Whatever generator the caller has: the images are those of the run.
  await recalibrate!({ ...ctx, rng: createRng("another") });
  expect(statistics(network)).toEqual(first);
  expect(reads).toBe(2 * one);
  // A bias has statistics of its own, a kept weight too.
  network.weights.get("bn.bias")!.data[0]! += 1;
  await recalibrate!(ctx);
  expect(reads).toBe(3 * one);
});
