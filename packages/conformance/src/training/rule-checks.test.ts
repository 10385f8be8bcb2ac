import type { RuleHooks, TrainingRule, TrainingSetup } from "@secateur/core";
import { test } from "vitest";
import { runChecks } from "../check.ts";
import { testPlanted } from "../planted.test-support.ts";
import { trainingRuleChecks } from "./rule-checks.ts";

function rule(begin: (setup: TrainingSetup) => RuleHooks): { create: () => TrainingRule } {
  return { create: () => ({ name: "planted", settings: "{}", begin }) };
}

/** Prunes one weight an epoch, drawn at random, and has a penalty and theta = w / 2. */
function sound(setup?: TrainingSetup): RuleHooks {
  let pruned: number[] = [];
  return {
    penalty({ weights, gradients }) {
      let sum = 0;
      for (const [name, { data }] of weights) {
        for (let i = 0; i < data.length; i++) {
          sum += 0.01 * data[i]! ** 4;
          gradients.get(name)!.data[i]! += 0.04 * data[i]! ** 3;
        }
      }
      return sum;
    },
    reparameterize: ({ name, shape }) =>
      name === "second.weight"
        ? {
            shape,
            initial: (w) => w.map((value) => value / 2),
            toWeights: (theta, out) => out.set(theta.map((value) => 2 * value)),
            toGradient: (_theta, gradient, out) => out.set(gradient.map((value) => 2 * value)),
          }
        : undefined,
    afterStep({ step, stepsPerEpoch, setMask, ctx }) {
      if (step % stepsPerEpoch !== 0) return;
      pruned.push(ctx.rng.integer(24));
      const start = setup?.masks.get("first.weight");
      setMask(
        "first.weight",
        maskOf(pruned).map((bit, i) => bit * (start?.[i] ?? 1)),
      );
    },
    state: () => [{ name: "pruned", shape: [pruned.length], data: Float64Array.from(pruned) }],
    restore(state) {
      pruned = [...state[0]!.data];
    },
  };
}

const maskOf = (pruned: readonly number[]): Uint8Array =>
  Uint8Array.from({ length: 24 }, (_, i) => (pruned.includes(i) ? 0 : 1));

test("a sound rule passes", async () => {
  for (const { name, error } of await runChecks(trainingRuleChecks(rule(sound)))) {
    if (error) throw new Error(name, { cause: error });
  }
});

const broken = (change: Partial<RuleHooks>) => () => trainingRuleChecks(rule(() => ({ ...sound(), ...change })));
let shared = 0;

testPlanted([
  [
    "first masks of another length",
    broken({ initialMasks: () => new Map([["first.weight", new Uint8Array(3)]]) }),
    /finite weights/,
  ],
  [
    "a mask that brings weights back which the training keeps pruned",
    broken({ afterStep: ({ setMask }) => setMask("first.weight", new Uint8Array(24).fill(1)) }),
    /keeps pruned/,
  ],
  ["a penalty that is NaN", broken({ penalty: () => Number.NaN }), /finite weights/],
  [
    "a mask of another size",
    broken({ afterStep: ({ setMask }) => setMask("first.weight", new Uint8Array(5)) }),
    /finite weights/,
  ],
  [
    "a penalty without its gradient",
    broken({ penalty: ({ weights }) => weights.get("first.bias")!.data[0]! ** 2 }),
    /gradient of its penalty/,
  ],
  [
    "a penalty that puts its gradient in place of that of the loss",
    broken({
      penalty({ weights, gradients }) {
        for (const [name, { data }] of gradients) data.set(weights.get(name)!.data);
        let sum = 0;
        for (const { data } of weights.values()) for (const value of data) sum += 0.5 * value * value;
        return sum;
      },
    }),
    /to that of the loss/,
  ],
  [
    "a misspelt hook",
    () => trainingRuleChecks(rule(() => ({ ...sound(), onStep: () => undefined }) as RuleHooks)),
    /hooks that there are/,
  ],
  ["no hook at all", () => trainingRuleChecks(rule(() => ({}))), /hooks that there are/],
  [
    "no settings",
    () => trainingRuleChecks({ create: () => ({ name: "planted", begin: sound }) as unknown as TrainingRule }),
    /settings that are JSON/,
  ],
  [
    "a gradient of theta that is too small",
    broken({
      reparameterize: (param) => {
        const map = sound().reparameterize!(param);
        return map && { ...map, toGradient: (_theta, gradient, out) => out.set(gradient) };
      },
    }),
    /gives the gradient of f/,
  ],
  [
    "theta that does not lead back",
    broken({
      reparameterize: (param) => {
        const map = sound().reparameterize!(param);
        return map && { ...map, initial: (w) => w.slice() };
      },
    }),
    /w = f\(initial\(w\)\)/,
  ],
  [
    "weights that are written to",
    broken({ afterStep: ({ weights }) => void weights.get("first.bias")!.data.fill(1) }),
    /nothing but gradients and masks/,
  ],
  ["what it remembers is not saved", broken({ restore: () => undefined }), /goes on from the state/],
  [
    "random numbers of its own",
    broken({ onGradients: ({ gradients }) => void gradients.get("first.bias")!.data.fill(Math.random()) }),
    /same bytes from the same seed/,
  ],
  [
    "a memory outside the training",
    broken({ onGradients: ({ gradients }) => void gradients.get("first.bias")!.data.fill(shared++) }),
    /same bytes from the same seed/,
  ],
  [
    "settings that are no JSON",
    () => trainingRuleChecks({ create: () => ({ name: "a", settings: "{", begin: sound }) }),
    /settings that are JSON/,
  ],
]);
