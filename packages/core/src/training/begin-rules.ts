/** The training rules of one training: asks each hook in turn, checks what it did, and keeps theta, masks and weights in step. */
import { keptPlaces } from "../budget/units.ts";
import type { ParamInfo } from "../data/model.ts";
import { clashingRules, ruleFailed } from "../errors.ts";
import type { Mask, Mat } from "../problem/matrix.ts";
import { isPruneError } from "../prune-error.ts";
import type { StateTensor } from "../retraining/retrainer.ts";
import { forkContext, type RunContext } from "../run-context.ts";
import { assertHooks, assertMask, assertRule, assertRulesAgree, watchWeights } from "./check-rule.ts";
import type { Reparameterization, RuleHooks, TrainingRule, TrainingStep } from "./training-rule.ts";

/** What the rules of one training work on. */
export interface RuleSetup {
  readonly rules: readonly TrainingRule[];
  readonly params: readonly ParamInfo[];
  /** The network's weights by parameter; written to. */
  readonly weights: ReadonlyMap<string, Mat>;
  /** Masks that the training starts with; copied. */
  readonly masks: ReadonlyMap<string, Mask>;
  readonly steps: number;
  readonly stepsPerEpoch: number;
  /** For what is drawn before the first step. */
  readonly ctx: RunContext;
  /** Called when a parameter's mask changes: what an optimizer remembers of weights that are pruned has to be forgotten. */
  onMask?(param: string, mask: Mask): void;
}

/** A step that the hooks are asked about. */
export interface StepSpec {
  readonly step: number;
  readonly rate: number;
  readonly gradients: ReadonlyMap<string, Mat>;
}

/** The rules of a training under way. */
export interface RuleRun {
  /** What the optimizer moves, by parameter: theta where a rule reparameterises, else the weights themselves. */
  readonly trained: ReadonlyMap<string, Mat>;
  /** The masks now. */
  readonly masks: ReadonlyMap<string, Mask>;
  /** Places of the entries of `trained` that move, by parameter; none for a dense one, or where theta is laid out in another way than w. */
  readonly kept: ReadonlyMap<string, Uint32Array>;
  /** Penalties and changed gradients, in place. @returns the sum of the penalties */
  beforeStep(at: StepSpec, ctx: RunContext): number;
  /** dL/dtheta where a rule reparameterises, else the given gradient. */
  trainedGradient(param: string, gradient: Mat): Mat;
  /** Weights from theta, then every rule's turn, then its masks. */
  afterStep(at: StepSpec, ctx: RunContext): Promise<void>;
  /** theta, masks and what the rules remember. */
  capture(): readonly StateTensor[];
  /** @throws ERR_TRAINING_RULE when the tensors are not of these rules and parameters */
  restore(tensors: readonly StateTensor[]): void;
}

interface Begun {
  readonly rule: TrainingRule;
  readonly hooks: RuleHooks;
}

interface Theta {
  readonly rule: string;
  readonly map: Reparameterization;
  readonly theta: Mat;
  readonly gradient: Mat;
}

/** Starts the rules, with the masks that they begin with. @throws ERR_TRAINING_RULE */
export function beginRules(setup: RuleSetup): RuleRun {
  const { rules, params, weights, steps, stepsPerEpoch, masks: given } = setup;
  for (const rule of rules) assertRule(rule);
  assertRulesAgree(rules);
  const begun = rules.map((rule): Begun => {
    const hooks = guarded(rule, "begin", () => rule.begin({ params, weights, masks: given, steps, stepsPerEpoch }));
    assertHooks(rule, hooks);
    return { rule, hooks };
  });
  const masks = new Map([...given].map(([name, mask]) => [name, mask.slice()]));
  /** Which rule changes the masks of a parameter. */
  const maskers = new Map<string, string>();
  const takeMask = (spec: { rule: TrainingRule; hook: string; param: string; mask: Mask }): void => {
    const { rule, param, mask } = spec;
    assertMask({ ...spec, size: weights.get(param)?.data.length });
    const other = maskers.get(param);
    if (other !== undefined && other !== rule.name) {
      throw clashingRules({ rules: [other, rule.name], over: `both change the mask of '${param}'` });
    }
    const start = given.get(param);
    const back = start ? mask.findIndex((bit, i) => bit > start[i]!) : -1;
    if (back >= 0) {
      const found = `brings back weight ${back} of '${param}', which this training keeps pruned from its start`;
      throw ruleFailed({
        ...{ rule: rule.name, hook: spec.hook, found },
        allowed: "keep within the masks of the setup, or train without them",
      });
    }
    maskers.set(param, rule.name);
    masks.set(param, mask.slice());
  };
  for (const { rule, hooks } of begun) {
    const asked = forkContext(setup.ctx, `rule ${rule.name} start`);
    for (const [param, mask] of guarded(rule, "initialMasks", () => hooks.initialMasks?.(asked)) ?? []) {
      takeMask({ rule, hook: "initialMasks", param, mask });
      applyMask(weights.get(param)!, mask);
    }
  }
  const thetas = reparameterized(begun, params, weights);
  for (const rule of rules.filter((one) => one.masks === "regrows")) {
    for (const { name: param, rows, cols, prunable } of params) {
      const theta = prunable ? thetas.get(param) : undefined;
      if (theta) assertGrows(theta, { rule, param, size: rows * cols });
    }
  }
  const trained = new Map([...weights].map(([name, w]) => [name, thetas.get(name)?.theta ?? w]));
  const kept = new Map<string, Uint32Array>();
  const applyTo = (name: string): void => {
    const mask = masks.get(name)!;
    const w = weights.get(name)!;
    const sameLayout = trained.get(name)!.data.length === w.data.length;
    applyMask(w, mask);
    if (!sameLayout) return;
    applyMask(trained.get(name)!, mask);
    kept.set(name, keptPlaces(mask));
  };
  for (const name of masks.keys()) applyTo(name);
  for (const [name, { theta, map }] of thetas) map.toWeights(theta.data, weights.get(name)!.data);
  for (const name of masks.keys()) applyMask(weights.get(name)!, masks.get(name)!);

  const watch = watchWeights(weights);
  const stepFor = (
    spec: StepSpec & { rule: TrainingRule; ctx: RunContext; setMask: TrainingStep["setMask"] },
  ): TrainingStep => {
    const { rule, ctx, ...rest } = spec;
    return {
      ...rest,
      steps,
      stepsPerEpoch,
      params,
      weights,
      masks,
      ctx: forkContext(ctx, `rule ${rule.name} step ${spec.step}`),
    };
  };

  return {
    trained,
    masks,
    kept,
    beforeStep(at, ctx) {
      let total = 0;
      if (begun.some(({ hooks }) => hooks.penalty ?? hooks.onGradients)) watch.remember();
      for (const { rule, hooks } of begun) {
        if (!hooks.penalty) continue;
        const value = guarded(rule, "penalty", () =>
          hooks.penalty!(stepFor({ ...at, rule, ctx, setMask: tooEarly(rule) })),
        );
        if (!Number.isFinite(value)) {
          throw ruleFailed({
            rule: rule.name,
            hook: "penalty",
            found: `returned ${String(value)}`,
            allowed: "a penalty must be a finite number",
          });
        }
        assertFiniteGradients(rule, "penalty", at.gradients);
        watch.assertSame({ rule, hook: "penalty" });
        total += value;
      }
      for (const { rule, hooks } of begun) {
        if (!hooks.onGradients) continue;
        guarded(rule, "onGradients", () => hooks.onGradients!(stepFor({ ...at, rule, ctx, setMask: tooEarly(rule) })));
        assertFiniteGradients(rule, "onGradients", at.gradients);
        watch.assertSame({ rule, hook: "onGradients" });
      }
      return total;
    },
    trainedGradient(param, gradient) {
      const theta = thetas.get(param);
      if (!theta) return gradient;
      theta.map.toGradient(theta.theta.data, gradient.data, theta.gradient.data);
      return theta.gradient;
    },
    async afterStep(at, ctx) {
      for (const [name, { theta, map, rule }] of thetas) {
        const w = weights.get(name)!;
        map.toWeights(theta.data, w.data);
        if (!w.data.every(Number.isFinite)) {
          throw ruleFailed({
            rule: rule,
            hook: "reparameterize",
            found: `made weights of '${name}' that are not finite`,
            allowed: "lower the learning rate, or mend toWeights",
          });
        }
        const mask = masks.get(name);
        if (mask) applyMask(w, mask);
      }
      for (const { rule, hooks } of begun) {
        if (!hooks.afterStep) continue;
        watch.remember();
        const setMask = (param: string, mask: Mask): void => {
          const before = masks.get(param);
          takeMask({ rule, hook: "setMask", param, mask });
          const theta = thetas.get(param);
          if (theta && before?.some((bit, i) => bit < mask[i]!)) assertGrows(theta, { rule, param, size: mask.length });
          watch.assertSame({ rule, hook: "afterStep", names: [param] });
          applyTo(param);
          watch.remember([param]);
          setup.onMask?.(param, mask);
        };
        await guarded(rule, "afterStep", () => hooks.afterStep!(stepFor({ ...at, rule, ctx, setMask })));
        watch.assertSame({ rule, hook: "afterStep" });
      }
    },
    capture: () => [
      ...[...thetas].map(([name, { theta, map }]) => tensor(`theta/${name}`, map.shape, theta.data)),
      ...(rules.length === 0 ? [] : [...masks].map(([name, mask]) => tensor(`mask/${name}`, [mask.length], mask))),
      ...begun.flatMap(({ rule, hooks }) =>
        (hooks.state?.() ?? []).map(({ name, shape, data }) => tensor(`rule.${rule.name}/${name}`, shape, data)),
      ),
    ],
    restore(tensors) {
      const found = new Map(tensors.map((one) => [one.name, one]));
      for (const [name, { theta }] of thetas) {
        const saved = found.get(`theta/${name}`);
        if (saved?.data.length !== theta.data.length) {
          throw stateMissing(`theta/${name}`, saved?.data.length, theta.data.length);
        }
        theta.data.set(saved.data);
      }
      if (rules.length === 0) return;
      for (const { name, data } of tensors) {
        const param = name.startsWith("mask/") ? name.slice("mask/".length) : undefined;
        if (param === undefined) continue;
        if (weights.get(param)?.data.length !== data.length) {
          throw stateMissing(name, data.length, weights.get(param)?.data.length ?? 0);
        }
        masks.set(param, Uint8Array.from(data));
        applyTo(param);
      }
      for (const { rule, hooks } of begun) {
        const prefix = `rule.${rule.name}/`;
        const own = tensors.filter(({ name }) => name.startsWith(prefix));
        guarded(rule, "restore", () =>
          hooks.restore?.(own.map((one) => ({ ...one, name: one.name.slice(prefix.length) }))),
        );
      }
    },
  };
}

function reparameterized(
  begun: readonly Begun[],
  params: readonly ParamInfo[],
  weights: ReadonlyMap<string, Mat>,
): ReadonlyMap<string, Theta> {
  const thetas = new Map<string, Theta>();
  for (const { rule, hooks } of begun) {
    for (const param of params) {
      const map = guarded(rule, "reparameterize", () => hooks.reparameterize?.(param));
      if (!map) continue;
      const other = thetas.get(param.name);
      if (other)
        throw clashingRules({ rules: [other.rule, rule.name], over: `both train '${param.name}' in another form` });
      const w = weights.get(param.name)!;
      const data = map.initial(w.data);
      const size = map.shape.reduce((product, extent) => product * extent, 1);
      if (data.length !== size) {
        throw ruleFailed({
          rule: rule.name,
          hook: "reparameterize",
          found: `made ${data.length} numbers for '${param.name}', whose shape [${map.shape.join(", ")}] has ${size}`,
          allowed: "initial and shape must agree",
        });
      }
      const theta: Mat = { rows: 1, cols: size, data };
      thetas.set(param.name, { rule: rule.name, map, theta, gradient: { ...theta, data: data.slice().fill(0) } });
    }
  }
  return thetas;
}

/** Weights that are brought back start at 0, which theta must be able to say, and must be able to leave it. */
function assertGrows({ map, theta, rule }: Theta, by: { rule: TrainingRule; param: string; size: number }): void {
  const clash = (why: string): Error => {
    const over = `'${rule}' trains '${by.param}' ${why}, where '${by.rule.name}' brings weights back`;
    return clashingRules({ rules: [rule, by.rule.name], over });
  };
  if (theta.data.length !== by.size) throw clash("by numbers that stand for no single weight");
  const zero = theta.data.slice().fill(0);
  const slope = zero.slice();
  map.toGradient(zero, zero.slice().fill(1), slope);
  if (slope.every((value) => value === 0)) throw clash("in a form that has no slope at 0");
}

function tooEarly(rule: TrainingRule): TrainingStep["setMask"] {
  return () => {
    throw ruleFailed({
      rule: rule.name,
      hook: "setMask",
      found: "was called before the step",
      allowed: "masks change in afterStep",
    });
  };
}

function assertFiniteGradients(rule: TrainingRule, hook: string, gradients: ReadonlyMap<string, Mat>): void {
  for (const [name, { data }] of gradients) {
    const odd = data.findIndex((value) => !Number.isFinite(value));
    if (odd >= 0) {
      const found = `left ${String(data[odd])} as gradient ${odd} of '${name}'`;
      throw ruleFailed({ rule: rule.name, hook, found, allowed: "gradients must stay finite" });
    }
  }
}

/** Runs a hook; what it throws that is no error of ours is reported under the rule's name. */
function guarded<T>(rule: TrainingRule, hook: string, call: () => T): T {
  const named = (error: unknown): unknown =>
    isPruneError(error)
      ? error
      : ruleFailed({
          rule: rule.name,
          hook,
          found: `threw '${String(error)}'`,
          allowed: "mend the rule",
          cause: error,
        });
  try {
    const result = call();
    if (!(result instanceof Promise)) return result;
    return result.catch((error: unknown) => {
      throw named(error);
    }) as T;
  } catch (error) {
    throw named(error);
  }
}

function stateMissing(tensor: string, found: number | undefined, expected: number): Error {
  const what = found === undefined ? "is missing" : `has ${found} entries`;
  return ruleFailed({
    rule: "all",
    hook: "restore",
    found: `was given a state in which '${tensor}' ${what}, where ${expected} belong`,
    allowed: "resume with the network and the rules it was saved with",
  });
}

function tensor(name: string, shape: readonly number[], data: ArrayLike<number>): StateTensor {
  return { name, shape, data: data instanceof Float64Array ? data.slice() : Float32Array.from(data) };
}

/** Zeros what the mask leaves out, in place. */
export function applyMask(target: Mat, mask: Mask): void {
  for (let i = 0; i < mask.length; i++) if (mask[i] === 0) target.data[i] = 0;
}
