/**
 * Dynamic sparse training: a network that is sparse from its first step on, whose masks move. Every `interval` steps, up to
 * T = until * steps, each layer drops a fraction f_t of its kept weights and grows as many:
 *   cosine:   f_t = f / 2 (1 + cos(pi t / T))       (RigL, Evci et al. 2020, section 3)
 *   constant: f_t = f                               (SET, Mocanu et al. 2018)
 * floor(f_t k_l) of the k_l weights of layer l go by the criterion of `drop`, see drop-and-grow.ts, and come back by the largest |gradient| (RigL) or at
 * random (SET). The first masks are random, with the counts of `distribution`, see layer-counts.ts; the number of kept weights never changes.
 * Departures: SET gives new weights random values; here they start at 0, as in RigL. SET grows after every epoch but the last.
 */
import { checkNumber, type TrainingRule } from "@secateur/core";
import { tooShort } from "../errors.ts";
import { type DropCriterion, dropAndGrow, dropCriteria } from "../masks/drop-and-grow.ts";
import type { Distribution } from "../masks/layer-counts.ts";
import { checkChoice, keptOf, regrowableParams } from "../masks/prunable.ts";
import { randomMasks } from "../masks/random-masks.ts";

/** Options of {@link rigl} and {@link set}. */
export interface DynamicSparsityOptions {
  /** Fraction of the prunable weights that is 0 during all of training, in [0, 1). */
  readonly sparsity: number;
  /** How the kept weights are spread over layers; default "erk". */
  readonly distribution?: Distribution | undefined;
  /** Steps between updates, >= 1; default: 100 for rigl, an epoch for set. */
  readonly interval?: number | undefined;
  /** f, the fraction of a layer's kept weights that moves in an update, in (0, 1]; default 0.3. */
  readonly fraction?: number | undefined;
  /** How f changes; default: "cosine" for rigl, "constant" for set. */
  readonly decay?: "cosine" | "constant" | undefined;
  /** The part of training with updates, in (0, 1]; default: 0.75 for rigl, 1 for set. */
  readonly until?: number | undefined;
  /** What is dropped first; default: "magnitude" for rigl, "set" for set. */
  readonly drop?: DropCriterion | undefined;
  /** What comes back; default: "gradient" for rigl, "random" for set. */
  readonly grow?: "gradient" | "random" | undefined;
  /** lambda of the criterion mest, >= 0; default 1. */
  readonly lambda?: number | undefined;
}

/**
 * RigL: what comes back has the largest gradient. A step costs what a masked step costs; an update two selections a layer.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for no update at all, nothing to prune, or masks that must stay
 * @example
 * await train(network, { data, epochs: 10, rules: [rigl({ sparsity: 0.9 })] }, createRunContext());
 */
export function rigl(options: DynamicSparsityOptions): TrainingRule {
  return dynamicSparsity("rigl", options, riglDefaults);
}

/**
 * SET: weights come back at random. Cost and errors as of {@link rigl}.
 *
 * @example
 * await train(network, { data, epochs: 10, rules: [set({ sparsity: 0.9 })] }, createRunContext());
 */
export function set(options: DynamicSparsityOptions): TrainingRule {
  return dynamicSparsity("set", options, setDefaults);
}

/** What {@link rigl} and {@link set} differ in. */
type Defaults = Required<Pick<DynamicSparsityOptions, "decay" | "until" | "drop" | "grow">> & {
  readonly interval?: number;
};

const riglDefaults: Defaults = { interval: 100, decay: "cosine", until: 0.75, drop: "magnitude", grow: "gradient" };
const setDefaults: Defaults = { decay: "constant", until: 1, drop: "set", grow: "random" };

function dynamicSparsity(rule: "rigl" | "set", options: DynamicSparsityOptions, defaults: Defaults): TrainingRule {
  const { sparsity, distribution = "erk", fraction = 0.3, lambda = 1, interval = defaults.interval } = options;
  const { decay = defaults.decay!, until = defaults.until!, drop = defaults.drop!, grow = defaults.grow! } = options;
  checkNumber(rule, "sparsity", sparsity, { least: 0, most: 1, below: true });
  if (interval !== undefined) checkNumber(rule, "interval", interval, { least: 1, whole: true });
  checkNumber(rule, "fraction", fraction, { least: 0, most: 1, above: true });
  checkNumber(rule, "until", until, { least: 0, most: 1, above: true });
  checkNumber(rule, "lambda", lambda, { least: 0 });
  checkChoice(rule, "distribution", distribution, ["erk", "uniform"]);
  checkChoice(rule, "decay", decay, ["cosine", "constant"]);
  checkChoice(rule, "drop", drop, dropCriteria);
  checkChoice(rule, "grow", grow, ["gradient", "random"]);
  return {
    name: rule,
    masks: "regrows",
    settings: JSON.stringify({ sparsity, distribution, interval, fraction, decay, until, drop, grow, lambda }),
    begin(setup) {
      const { steps, stepsPerEpoch } = setup;
      const every = interval ?? stepsPerEpoch;
      const params = regrowableParams(rule, setup);
      const end = until * steps;
      // An update at the very end would leave weights at 0 that never trained.
      const isUpdate = (step: number): boolean => step % every === 0 && step <= end && step < steps;
      if (!isUpdate(every)) {
        const needs = Math.max(every + 1, Math.ceil(every / until));
        throw tooShort({ rule, interval: every, needs, found: steps, unit: "steps" });
      }
      return {
        initialMasks: (ctx) => randomMasks({ rule, params, sparsity, distribution, ctx }),
        afterStep({ step, weights, gradients, masks, setMask, ctx }) {
          if (!isUpdate(step)) return;
          const moved = decay === "constant" ? fraction : (fraction / 2) * (1 + Math.cos((Math.PI * step) / end));
          for (const { name } of params) {
            const mask = masks.get(name)!;
            const random = ctx.rng.fork(name);
            const own = gradients.get(name)!.data;
            const count = Math.floor(moved * keptOf(mask));
            if (count === 0) continue;
            const growScore = grow === "random" ? () => random.next() : (i: number) => Math.abs(own[i]!);
            const layer = { mask, count, weights: weights.get(name)!.data, gradients: own };
            setMask(name, dropAndGrow({ ...layer, drop, lambda, growScore, kernels: ctx.kernels }));
          }
        },
      };
    },
  };
}
