import { arrayDataset, createRng, createRunContext, type Mask, matrix } from "@secateur/core";
import { createNetwork, mlp, type Network, type TrainingState, type TrainOptions, train } from "@secateur/nn";
import { describe, expect, test } from "vitest";
import { gmp } from "./gmp.ts";

const rng = createRng("gmp");
const inputs = matrix(
  40,
  6,
  Float32Array.from({ length: 240 }, () => rng.normal()),
);
const data = arrayDataset({ inputs, labels: Array.from({ length: 40 }, (_, i) => (inputs.data[6 * i]! > 0 ? 1 : 0)) });
const epochs = 6;

/** 6 * 10 + 10 * 2 = 80 prunable weights. */
const create = () => createNetwork(mlp({ sizes: [6, 10, 2] }), { seed: 4 });

async function trained(
  options: Partial<TrainOptions>,
): Promise<{ network: Network; masks: ReadonlyMap<string, Mask> }> {
  const network = create();
  const { masks } = await train(network, { data, epochs, batchSize: 8, ...options }, createRunContext({ seed: 2 }));
  return { network, masks };
}

const prunableWeights = (tensors: ReturnType<Network["tensors"]>): number[] =>
  tensors.filter(({ name }) => name.endsWith("weight")).flatMap((tensor) => [...tensor.data]);

describe("gmp", () => {
  test("the weights kept after every epoch are those of the cubic schedule, counted by hand", async () => {
    const kept: number[] = [];
    await trained({
      rules: [gmp({ sparsity: 0.9 })],
      onEpoch: ({ tensors }) =>
        void kept.push(
          prunableWeights([...tensors].filter(({ name }) => !name.includes("/"))).filter((w) => w !== 0).length,
        ),
    });
    // N = 6 - 1 prunings; .9 - .9 (1 - t / 5)^3 = .4392 .7056 .8424 .8928 .9 of 80 weights leave 44.86 23.55 12.6 8.57 8.
    expect(kept).toEqual([44, 23, 12, 8, 8, 8]);
  });

  test("what goes is what is smallest over all layers at that moment, and what is gone stays gone", async () => {
    let before: number[] = [];
    let after: number[] = [];
    const watch = (name: string, at: number, see: (weights: number[]) => void) => ({
      ...{ name, settings: "{}" },
      begin: () => ({
        afterStep: ({
          step,
          weights,
          params,
        }: Parameters<NonNullable<ReturnType<ReturnType<typeof gmp>["begin"]>["afterStep"]>>[0]) => {
          if (step === at) see(params.filter((p) => p.prunable).flatMap((p) => [...weights.get(p.name)!.data]));
        },
      }),
    });
    // Rules are asked in order: one looks before gmp prunes at the end of epoch 2, one after.
    const rules = [
      watch("before", 10, (w) => {
        before = w;
      }),
      gmp({ sparsity: 0.9 }),
      watch("after", 10, (w) => {
        after = w;
      }),
    ];
    const { network } = await trained({ rules });
    const order = before.map((w, i) => ({ i, size: Math.abs(w) })).sort((a, b) => b.size - a.size || a.i - b.i);
    const expected = new Set(order.slice(0, 23).map(({ i }) => i));
    expect(after).toEqual(before.map((w, i) => (expected.has(i) ? w : 0)));
    prunableWeights(network.tensors()).forEach((w, i) => {
      if (!expected.has(i)) expect(w).toBe(0);
    });
  });

  test("masks at the end say exactly which weights are left", async () => {
    const { network, masks } = await trained({ rules: [gmp({ sparsity: 0.75, from: 0.5, interval: 2 })] });
    const bits = network.params().flatMap(({ name, prunable }) => (prunable ? [...masks.get(name)!] : []));
    expect(bits.reduce((sum, bit) => sum + bit, 0)).toBe(20);
    expect(prunableWeights(network.tensors()).map((w) => (w === 0 ? 0 : 1))).toEqual(bits);
  });

  test.each([1, 3, 5])("a training stopped after epoch %i goes on to the same bytes", async (stop) => {
    const whole = await trained({ rules: [gmp({ sparsity: 0.9 })] });
    let state: TrainingState | undefined;
    await trained({
      rules: [gmp({ sparsity: 0.9 })],
      onEpoch: (done) => {
        state = done;
        return done.epoch === stop ? "stop" : "go on";
      },
    });
    const resumed = await trained({ rules: [gmp({ sparsity: 0.9 })], resume: state! });
    expect(resumed.network.tensors()).toEqual(whole.network.tensors());
    expect(resumed.masks).toEqual(whole.masks);
  });

  test("impossible settings are refused before training", async () => {
    expect(() => gmp({ sparsity: 1.5 })).toThrow(/sparsity/);
    expect(() => gmp({ sparsity: 0.5, from: 0.7 })).toThrow(/from/);
    expect(() => gmp({ sparsity: 0.5, interval: 0 })).toThrow(/interval/);
    await expect(trained({ rules: [gmp({ sparsity: 0.5, interval: 4 })] })).rejects.toThrow(
      "updates every 4 epochs need at least 8 epochs, and there are 6",
    );
  });
});
