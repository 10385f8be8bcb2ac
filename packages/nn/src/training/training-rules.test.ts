import {
  arrayDataset,
  createRng,
  createRunContext,
  type Dataset,
  matrix,
  type RuleHooks,
  type StateTensor,
  type TrainingRule,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import { mlp } from "../graph/mlp.ts";
import { createNetwork, type Network } from "../network.ts";
import { type TrainOptions, train } from "./train.ts";
import type { TrainingState } from "./training-state.ts";

function clusters(size: number): Dataset {
  const rng = createRng("clusters");
  const labels = Array.from({ length: size }, (_, i) => i % 2);
  const values = Float32Array.from({ length: size * 2 }, (_, i) => rng.normal() + (labels[i >> 1] === 0 ? -1 : 1));
  return arrayDataset({ inputs: matrix(size, 2, values), labels });
}

const data = clusters(32);

function rule(hooks: RuleHooks, name = "tried"): TrainingRule {
  return { name, settings: "{}", begin: () => hooks };
}

async function trained(
  rules: readonly TrainingRule[],
  options: Partial<TrainOptions> = {},
): Promise<{ network: Network; tensors: ReturnType<Network["tensors"]> }> {
  const network = createNetwork(mlp({ sizes: [2, 4, 2] }), { seed: 1, dtype: "f64" });
  await train(network, { data, epochs: 3, batchSize: 8, rules, ...options }, createRunContext({ seed: 3 }));
  return { network, tensors: network.tensors() };
}

/** theta = sign(w) |w|^(1/a), w = theta |theta|^(a - 1), dw/dtheta = a |theta|^(a - 1) (Schwarz et al. 2021). */
function power(a: number): RuleHooks {
  return {
    reparameterize: ({ name, shape }) =>
      name.endsWith("weight")
        ? {
            shape,
            initial: (w) => w.map((value) => Math.sign(value) * Math.abs(value) ** (1 / a)),
            toWeights: (theta, out) => {
              for (let i = 0; i < out.length; i++) out[i] = theta[i]! * Math.abs(theta[i]!) ** (a - 1);
            },
            toGradient: (theta, gradient, out) => {
              for (let i = 0; i < out.length; i++) out[i] = gradient[i]! * a * Math.abs(theta[i]!) ** (a - 1);
            },
          }
        : undefined,
  };
}

describe("training rules", () => {
  test("a penalty of decay / 2 |w|^2 trains as weight decay does", async () => {
    const decay = 0.1;
    const penalty = rule({
      penalty({ params, weights, gradients }) {
        let sum = 0;
        for (const { name, prunable } of params) {
          if (!prunable) continue;
          const [w, g] = [weights.get(name)!.data, gradients.get(name)!.data];
          for (let i = 0; i < w.length; i++) {
            g[i]! += decay * w[i]!;
            sum += (decay / 2) * w[i]! ** 2;
          }
        }
        return sum;
      },
    });
    const { tensors } = await trained([penalty], { weightDecay: 0 });
    const expected = (await trained([], { weightDecay: decay })).tensors;
    tensors.forEach(({ data: found }, t) => {
      // The same sums in another order, in f64, over 12 steps on weights of order 1.
      found.forEach((value, i) => {
        expect(Math.abs(value - expected[t]!.data[i]!)).toBeLessThan(1e-12);
      });
    });
  });

  test("theta = w trains to the same bytes as no rule; theta |theta| follows its own gradient", async () => {
    const same: RuleHooks = {
      reparameterize: ({ shape }) => ({
        shape,
        initial: (w) => w.slice(),
        toWeights: (theta, out) => out.set(theta),
        toGradient: (_theta, gradient, out) => out.set(gradient),
      }),
    };
    expect((await trained([rule(same)])).tensors).toEqual((await trained([])).tensors);

    // One step of plain gradient descent on theta, against the definition.
    const before = createNetwork(mlp({ sizes: [2, 4, 2] }), { seed: 1, dtype: "f64" });
    let gradient = new Float64Array();
    const watch = rule(
      {
        onGradients(at) {
          gradient = Float64Array.from(at.gradients.get("fc1.weight")!.data);
        },
      },
      "watch",
    );
    const options = { epochs: 1, batchSize: 32, momentum: 0, weightDecay: 0, learningRate: () => 0.1 };
    const { network } = await trained([rule(power(2)), watch], options);
    const [w0, w1] = [(await before.read("fc1.weight")).data, (await network.read("fc1.weight")).data];
    w0.forEach((value, i) => {
      const theta = Math.sign(value) * Math.sqrt(Math.abs(value));
      const next = theta - 0.1 * gradient[i]! * 2 * Math.abs(theta);
      // Rounding of f64 in square roots and back.
      expect(Math.abs(w1[i]! - next * Math.abs(next))).toBeLessThan(1e-12);
    });
  });

  test("weights that a mask prunes are 0 and forgotten; weights that it brings back start at 0 without momentum", async () => {
    const seen: { step: number; weight: number }[] = [];
    const mask = (bit: 0 | 1) => Uint8Array.from({ length: 8 }, (_, i) => (i === 3 ? bit : 1));
    const { tensors } = await trained(
      [
        rule({
          afterStep({ step, weights, setMask }) {
            if (step === 4) setMask("fc1.weight", mask(0));
            if (step === 8) setMask("fc1.weight", mask(1));
            seen.push({ step, weight: weights.get("fc1.weight")!.data[3]! });
          },
        }),
      ],
      // Without gradient only remembered momentum could move a weight.
      { learningRate: (step) => (step < 4 || step > 8 ? 0.1 : 0), weightDecay: 0 },
    );
    expect(seen.filter(({ step }) => step < 4).every(({ weight }) => weight !== 0)).toBe(true);
    expect(seen.filter(({ step }) => step >= 4 && step <= 8).every(({ weight }) => weight === 0)).toBe(true);
    expect(tensors.find(({ name }) => name === "fc1.weight")!.data[3]).not.toBe(0);
  });

  test("the report has the masks that rules left", async () => {
    const network = createNetwork(mlp({ sizes: [2, 4, 2] }), { seed: 1 });
    const half = Uint8Array.of(1, 0, 1, 0, 1, 0, 1, 0);
    const report = await train(
      network,
      { data, epochs: 1, rules: [rule({ afterStep: ({ setMask }) => setMask("fc1.weight", half) })] },
      createRunContext(),
    );
    expect(report.masks).toEqual(new Map([["fc1.weight", half]]));
    expect((await network.read("fc1.weight")).data.map((value) => (value === 0 ? 0 : 1))).toEqual(
      Float32Array.from(half),
    );
  });

  test.each([1, 2])(
    "a training stopped after epoch %i goes on to the same bytes: theta, masks, memory and random numbers",
    async (stop) => {
      const options = { optimizer: { kind: "adam" as const } };
      const whole = await trained([rule(power(1.5)), drifting()], options);
      let saved: TrainingState | undefined;
      await trained([rule(power(1.5)), drifting()], {
        ...options,
        onEpoch: (state) => {
          saved = state;
          return state.epoch === stop ? "stop" : "go on";
        },
      });
      const resumed = await trained([rule(power(1.5)), drifting()], { ...options, resume: saved! });
      expect(resumed.tensors).toEqual(whole.tensors);
    },
  );

  test.each([
    [{ penalty: () => Number.NaN }, /'tried': penalty returned NaN/],
    [
      { onGradients: ({ gradients }) => void gradients.get("fc1.bias")!.data.fill(Number.POSITIVE_INFINITY) },
      /'tried': onGradients left Infinity as gradient 0 of 'fc1.bias'/,
    ],
    [{ afterStep: ({ setMask }) => setMask("fc1.weight", new Uint8Array(3)) }, /mask of 3 entries; it has 8 weights/],
    [{ afterStep: ({ setMask }) => setMask("fc1.weight", new Uint8Array(8).fill(2)) }, /a mask with 2 at 0/],
    [{ afterStep: ({ setMask }) => setMask("nothing", new Uint8Array(3)) }, /named 'nothing', which is no parameter/],
    [{ onGradients: ({ setMask }) => setMask("fc1.weight", new Uint8Array(8)) }, /before the step/],
    [{ afterStep: () => Promise.reject(new RangeError("lost")) }, /'tried': afterStep threw 'RangeError: lost'/],
  ] satisfies [RuleHooks, RegExp][])("garbage is refused under the rule's name: %#", async (hooks, message) => {
    await expect(trained([rule(hooks)])).rejects.toThrow(message);
    await expect(trained([rule(hooks)])).rejects.toMatchObject({ code: "ERR_TRAINING_RULE", fault: "input" });
  });

  test("two rules may not train one parameter in other forms, nor share a name", async () => {
    await expect(trained([rule(power(2), "a"), rule(power(3), "b")])).rejects.toThrow(
      "training rules 'a' and 'b' contradict each other: both train 'fc1.weight' in another form",
    );
    await expect(trained([rule({}, "a"), rule({}, "a")])).rejects.toThrow(/contradict each other/);
  });
});

/** Prunes a random weight of the first layer a step and remembers how many it has pruned. */
function drifting(): TrainingRule {
  return {
    name: "drifting",
    settings: "{}",
    begin() {
      let pruned = 0;
      return {
        afterStep({ masks, setMask, ctx }) {
          const mask = masks.get("fc1.weight")?.slice() ?? new Uint8Array(8).fill(1);
          const place = ctx.rng.integer(8);
          if (mask[place] === 1 && pruned < 5) {
            mask[place] = 0;
            pruned++;
            setMask("fc1.weight", mask);
          }
        },
        state: (): readonly StateTensor[] => [{ name: "pruned", shape: [1], data: Float32Array.of(pruned) }],
        restore(state) {
          pruned = state.find(({ name }) => name === "pruned")!.data[0]!;
        },
      };
    },
  };
}
