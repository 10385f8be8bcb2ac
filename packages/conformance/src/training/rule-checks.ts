/** What every training rule has to hold. */
import {
  createRunContext,
  isPruneError,
  type Mat,
  type RuleHooks,
  type TrainingRule,
  type TrainingStep,
} from "@secateur/core";
import { ensure, ensureClose, ensureFinite, ensureSameBytes } from "../assertions.ts";
import { type Check, type RegisterTest, registerChecks } from "../check.ts";
import { ensureProduct } from "../product.ts";
import { type TinyEnd, tinyEpochs, tinyParams, tinyStepsPerEpoch, tinyTraining, tinyWeights } from "./tiny-training.ts";

/** A rule, and what cannot be checked of it. */
export interface TrainingRuleSpec {
  /** Makes the rule, afresh at every call, with settings under which a training of 8 epochs of 3 steps is long enough. */
  readonly create: () => TrainingRule;
  /** For the names of the tests; default "the training rule". */
  readonly name?: string;
  /** Whether `toGradient` is not the derivative of `toWeights` on purpose, as for gates with straight-through gradients. Default false. */
  readonly straightThrough?: boolean;
}

/** Registers the checks as tests. @example describeTrainingRule({ test, create: () => gmp({ sparsity: 0.5 }) }) */
export function describeTrainingRule(spec: TrainingRuleSpec & { readonly test: RegisterTest }): void {
  registerChecks(spec.test, spec.name ?? "the training rule", trainingRuleChecks(spec));
}

/** The checks, each rejecting with what was found. */
export function trainingRuleChecks(spec: TrainingRuleSpec): readonly Check[] {
  const { create } = spec;
  return [
    {
      name: "has a name, and settings that are JSON and the same every time",
      async run() {
        const [rule, again] = [create(), create()];
        ensureProduct("training-rule", rule);
        ensure(rule.name !== "", () => "the name is empty");
        JSON.parse(rule.settings);
        ensure(rule.settings === again.settings, () => `settings: ${rule.settings}, then ${again.settings}`);
      },
    },
    {
      name: "acts by hooks that there are",
      async run() {
        const hooks = begun(create());
        const acting = ["initialMasks", "reparameterize", "penalty", "onGradients", "afterStep"] as const;
        ensure(
          acting.some((name) => typeof hooks[name] === "function"),
          () => `begin returned none of ${acting.join(", ")}, so that it changes nothing`,
        );
        // Refuses what is never called.
        await tinyTraining({ rule: create() });
      },
    },
    {
      name: "leaves finite weights, exactly 0 where its masks are 0",
      async run() {
        const { weights, masks } = await tinyTraining({ rule: create() });
        for (const [name, { data }] of weights) {
          ensureFinite(data, name);
          const mask = masks.get(name);
          const odd = mask ? data.findIndex((value, i) => mask[i] === 0 && value !== 0) : -1;
          ensure(odd < 0, () => `${name}: ${data[odd]} at ${odd}, where the mask is 0`);
        }
      },
    },
    {
      name: "leaves pruned what the training keeps pruned, or refuses to begin",
      async run() {
        const start = Uint8Array.from({ length: 24 }, (_, i) => i % 2);
        const training = tinyTraining({ rule: create(), masks: new Map([["first.weight", start]]) });
        const end = await training.catch((error: unknown) => {
          // What a rule says of such a training by itself is its right; that it broke it is told by core.
          if (isPruneError(error) && error.code !== "ERR_TRAINING_RULE") return undefined;
          throw error;
        });
        const { data } = end?.weights.get("first.weight") ?? { data: [] };
        const back = start.findIndex((bit, i) => bit === 0 && (data[i] ?? 0) !== 0);
        ensure(back < 0, () => `weight ${back} of first.weight came back`);
      },
    },
    {
      name: "changes nothing but gradients and masks",
      async run() {
        await tinyTraining({ rule: watched(create()) });
      },
    },
    {
      name: "gives the same bytes from the same seed, also when one value serves two trainings",
      async run() {
        const rule = create();
        const first = await tinyTraining({ rule });
        ensureSameEnd(await tinyTraining({ rule: create() }), first, "a second rule");
        ensureSameEnd(await tinyTraining({ rule }), first, "the same rule again");
      },
    },
    {
      name: "goes on from the state after any epoch to the same bytes",
      async run() {
        const whole = await tinyTraining({ rule: create() });
        for (const resume of whole.states) {
          const end = await tinyTraining({ rule: create(), resume });
          ensureSameEnd(end, whole, `resumed after epoch ${resume.epoch}`);
        }
      },
    },
    {
      name: "adds the gradient of its penalty to that of the loss",
      async run() {
        const hooks = begun(create());
        if (!hooks.penalty) return;
        const weights = tinyWeights();
        // What the loss gave is there already, and must still be in it.
        const gradients = zeros(weights);
        for (const { data } of gradients.values()) data.set(data.map((_: number, i: number) => Math.sin(i + 1)));
        hooks.penalty(stepAt(weights, gradients));
        for (const [name, { data }] of weights) {
          const found = Array.from(gradients.get(name)!.data, (value, i) => value - Math.sin(i + 1));
          const expected = Array.from(data, (value, i) =>
            slope((x) => {
              data[i] = x;
              const result = begun(create()).penalty!(stepAt(weights, zeros(weights)));
              data[i] = value;
              return result;
            }, value),
          );
          // Central differences in f64: truncation and rounding stay below 1e-6 of the largest entry for smooth penalties.
          ensureClose(found, expected, {
            what: `the gradient of the penalty in ${name}`,
            tolerance: 1e-5,
            scale: largest(expected),
          });
        }
      },
    },
    {
      name: "reparameterises so that w = f(initial(w)), and gives the gradient of f",
      async run() {
        const hooks = begun(create());
        const weights = tinyWeights();
        for (const param of tinyParams) {
          const map = hooks.reparameterize?.(param);
          if (!map) continue;
          const { data: w } = weights.get(param.name)!;
          const theta = map.initial(w);
          const back = new Float64Array(w.length);
          map.toWeights(theta, back);
          ensureClose(back, w, { what: `${param.name} from its own theta`, tolerance: 1e-12 });
          if (spec.straightThrough) continue;
          const gradient = Float64Array.from(w, (_, i) => Math.sin(i + 1));
          const found = new Float64Array(theta.length);
          map.toGradient(theta, gradient, found);
          const expected = Array.from(theta, (value, i) =>
            slope((x) => {
              const moved = Float64Array.from(theta);
              moved[i] = x;
              map.toWeights(moved, back);
              return back.reduce((sum, entry, j) => sum + entry * gradient[j]!, 0);
            }, value),
          );
          ensureClose(found, expected, {
            what: `the gradient of theta of ${param.name}`,
            tolerance: 1e-5,
            scale: largest(expected),
          });
        }
      },
    },
  ];
}

function begun(rule: TrainingRule): RuleHooks {
  const steps = tinyEpochs * tinyStepsPerEpoch;
  return rule.begin({
    ...{ params: tinyParams, weights: tinyWeights(), masks: new Map() },
    ...{ steps, stepsPerEpoch: tinyStepsPerEpoch },
  });
}

function stepAt(weights: ReadonlyMap<string, Mat>, gradients: ReadonlyMap<string, Mat>): TrainingStep {
  const steps = tinyEpochs * tinyStepsPerEpoch;
  const ctx = createRunContext();
  const setMask = (): void => {
    throw new Error("setMask was called outside afterStep");
  };
  return {
    ...{ step: 0, steps, stepsPerEpoch: tinyStepsPerEpoch, rate: 0.1, params: tinyParams },
    weights,
    gradients,
    masks: new Map(),
    setMask,
    ctx,
  };
}

function zeros(weights: ReadonlyMap<string, Mat>): ReadonlyMap<string, Mat> {
  return new Map([...weights].map(([name, w]) => [name, { ...w, data: new Float64Array(w.data.length) }]));
}

function slope(f: (x: number) => number, x: number): number {
  const h = 1e-5 * Math.max(1, Math.abs(x));
  return (f(x + h) - f(x - h)) / (2 * h);
}

function largest(values: readonly number[]): number {
  return Math.max(1e-6, ...values.map(Math.abs));
}

function ensureSameEnd(found: TinyEnd, expected: TinyEnd, what: string): void {
  for (const [name, { data }] of expected.weights)
    ensureSameBytes(found.weights.get(name)!.data, data, `${what}: ${name}`);
  for (const [name, mask] of expected.masks) {
    ensureSameBytes(found.masks.get(name) ?? new Uint8Array(), mask, `${what}: the mask of ${name}`);
  }
}

/** The rule with every hook's effect on the weights, and of `afterStep` on the gradients, compared with nothing. */
function watched(rule: TrainingRule): TrainingRule {
  const same = (what: string, arrays: ReadonlyMap<string, Mat>) => {
    const before = new Map([...arrays].map(([name, { data }]) => [name, data.slice()]));
    return () => {
      for (const [name, { data }] of arrays) ensureSameBytes(data, before.get(name)!, `${what} changed ${name}`);
    };
  };
  return {
    ...rule,
    begin(training) {
      const hooks = rule.begin(training);
      return {
        ...hooks,
        ...(hooks.penalty
          ? { penalty: (at: TrainingStep) => checkedCall("penalty", at, () => hooks.penalty!(at)) }
          : {}),
        ...(hooks.onGradients
          ? { onGradients: (at: TrainingStep) => checkedCall("onGradients", at, () => hooks.onGradients!(at)) }
          : {}),
        ...(hooks.afterStep
          ? {
              async afterStep(at: TrainingStep) {
                const check = same("afterStep, before it set a mask,", at.weights);
                const gradients = same("afterStep's gradients", at.gradients);
                let touched = false;
                await hooks.afterStep!({
                  ...at,
                  setMask(param, mask) {
                    if (!touched) check();
                    touched = true;
                    at.setMask(param, mask);
                  },
                });
                if (!touched) check();
                gradients();
              },
            }
          : {}),
      };
      function checkedCall<T>(what: string, at: TrainingStep, call: () => T): T {
        const check = same(what, at.weights);
        const result = call();
        check();
        return result;
      }
    },
  };
}
