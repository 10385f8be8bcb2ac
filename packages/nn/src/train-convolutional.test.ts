import {
  arrayDataset,
  createRng,
  createRunContext,
  type Dataset,
  inputRows,
  matrix,
  type RunContext,
} from "@secateur/core";
import { expect, test } from "vitest";
import type { NetworkSpec } from "./graph/network-spec.ts";
import { createNetwork, type Network } from "./network.ts";
import { augment } from "./training/augmentation.ts";
import { reestimateBatchNorm } from "./training/batch-norm-statistics.ts";
import { type TrainOptions, train } from "./training/train.ts";
import type { TrainingState } from "./training/training-state.ts";

const spec: NetworkSpec = {
  name: "tiny",
  inputShape: [1, 6, 6],
  classes: 2,
  layers: [
    { kind: "conv2d", name: "c", in: 1, out: 4, kernel: [3, 3], padding: 1, bias: false },
    { kind: "batch-norm", name: "n", channels: 4 },
    { kind: "relu" },
    { kind: "dropout", rate: 0.1 },
    { kind: "global-average-pool" },
    { kind: "dense", name: "fc", in: 4, out: 2, bias: true },
  ],
};

/** Stripes along or across: a convolution tells them apart, the mean of all pixels does not. */
function stripes(size: number): Dataset {
  const rng = createRng("stripes");
  const labels = Array.from({ length: size }, (_, i) => i % 2);
  const inputs = matrix(size, 36);
  for (let i = 0; i < size; i++) {
    for (let p = 0; p < 36; p++) {
      const place = labels[i] === 0 ? Math.floor(p / 6) : p % 6;
      inputs.data[i * 36 + p] = (place % 2 === 0 ? 1 : -1) + 0.5 * rng.normal();
    }
  }
  return arrayDataset({ inputs, labels, classes: 2, inputShape: [1, 6, 6] });
}

const context = (): RunContext => createRunContext({ seed: 2 });
const bytes = (network: Network): string => JSON.stringify(network.tensors().map(({ data }) => [...data]));

test.each([
  { optimizer: { kind: "sgd", nesterov: true } },
  { optimizer: { kind: "adam" }, learningRate: () => 0.02 },
  { optimizer: { kind: "adamw" }, learningRate: () => 0.02, labelSmoothing: 0.1 },
] satisfies Partial<TrainOptions>[])(
  "learns stripes with %j, and resumed between epochs gives the same bytes",
  async (options) => {
    const data = stripes(128);
    const settings: TrainOptions = {
      data,
      epochs: 4,
      batchSize: 16,
      augmentation: { cropPadding: 1, flip: true },
      ...options,
    };
    const states: TrainingState[] = [];
    const whole = createNetwork(spec, { seed: 1 });
    const report = await train(whole, { ...settings, onEpoch: (state) => void states.push(state) }, context());
    expect(report.epochs.at(-1)!.loss).toBeLessThan(report.epochs[0]!.loss);
    // Noise of half a stripe's height over 36 pixels: an image is told by chance only a few times in a thousand.
    expect((await whole.evaluate(data, context())).accuracy).toBeGreaterThan(95);
    const resumed = createNetwork(spec, { seed: 9 });
    await train(resumed, { ...settings, resume: states[1]! }, context());
    expect(bytes(resumed)).toBe(bytes(whole));
  },
);

test("a state of another optimizer is refused with the tensor it lacks", async () => {
  const states: TrainingState[] = [];
  const settings = { data: stripes(16), epochs: 1 };
  const network = createNetwork(spec);
  await train(network, { ...settings, onEpoch: (state) => void states.push(state) }, context());
  const other = { ...settings, optimizer: { kind: "adam" } as const, resume: states[0]! };
  await expect(train(network, other, context())).rejects.toMatchObject({ code: "ERR_TRAINING_STATE" });
});

test("masked weights stay zero under adam, with their moments", async () => {
  const network = createNetwork(spec, { seed: 1 });
  const mask = Uint8Array.from({ length: 36 }, (_, i) => i % 2);
  const states: TrainingState[] = [];
  const options: TrainOptions = {
    data: stripes(32),
    epochs: 2,
    optimizer: { kind: "adam" },
    masks: new Map([["c.weight", mask]]),
    onEpoch: (state) => void states.push(state),
  };
  await train(network, options, context());
  for (const name of ["c.weight", "optimizer.mean/c.weight", "optimizer.square/c.weight"]) {
    const { data } = states[1]!.tensors.find((tensor) => tensor.name === name)!;
    data.forEach((value, i) => {
      expect(value === 0, `${name} ${i}`).toBe(mask[i] === 0);
    });
  }
});

test("re-estimated statistics are those of the data, and repeat to the same bytes", async () => {
  const data = stripes(64);
  const network = createNetwork(spec, { seed: 1 });
  expect(await reestimateBatchNorm(network, data, context(), { batchSize: 64 })).toBe(1);
  const first = bytes(network);
  // One batch: mean and unbiased variance of the convolution's output, worked with plain loops.
  const w = network.weights.get("c.weight")!.data;
  const inputs = inputRows(await data.batch(Uint32Array.from({ length: 64 }, (_, i) => i)));
  const values: number[] = [];
  for (let n = 0; n < 64; n++) {
    for (let y = 0; y < 6; y++) {
      for (let x = 0; x < 6; x++) {
        let sum = 0;
        for (let ky = 0; ky < 3; ky++) {
          for (let kx = 0; kx < 3; kx++) {
            const [row, column] = [y + ky - 1, x + kx - 1];
            if (row >= 0 && row < 6 && column >= 0 && column < 6) {
              sum += w[ky * 3 + kx]! * inputs.data[n * 36 + row * 6 + column]!;
            }
          }
        }
        values.push(sum);
      }
    }
  }
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1);
  expect(network.weights.get("n.running_mean")!.data[0]).toBeCloseTo(mean, 5); // f32
  expect(network.weights.get("n.running_var")!.data[0]).toBeCloseTo(variance, 4);
  await reestimateBatchNorm(network, data, context(), { batchSize: 64 });
  expect(bytes(network)).toBe(first);
});

test("augmented images are windows of the padded image, mirrored or not", () => {
  const image = matrix(1, 8, Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8)); // two channels of 2 x 2
  const seen = new Set<string>();
  const rng = createRng("crops");
  for (let i = 0; i < 300; i++) {
    seen.add(
      [...augment(image, { shape: [2, 2, 2] }, { cropPadding: 1, flip: true, border: [-1, -2] }, rng).data].join(),
    );
  }
  const expected = new Set<string>();
  for (const flip of [false, true]) {
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        const out = Array.from({ length: 8 }, (_, p) => {
          const [c, y, x] = [p >> 2, ((p >> 1) & 1) + dy, (flip ? 1 - (p & 1) : p & 1) + dx];
          return y >= 0 && y < 2 && x >= 0 && x < 2 ? image.data[c * 4 + y * 2 + x]! : [-1, -2][c]!;
        });
        expected.add(out.join());
      }
    }
  }
  expect([...seen].sort()).toEqual([...expected].sort()); // 300 draws miss one of 18 with probability 18 (17/18)^300 < 1e-6
});
