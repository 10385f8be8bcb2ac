/**
 * Gradual pruning with zero-cost neuroregeneration (GraNet, Liu et al. 2021, algorithm 1). Every `interval` steps, t = 1 .. N up to T = until * steps:
 *   1. the smallest magnitudes over the whole network go, until the sparsity is s_f + (s_i - s_f) (1 - t / N)^3;
 *   2. in every layer the smallest floor(r_t k_l) of its k_l kept weights go, r_t = r / 2 (1 + cos(pi t / N)), and as many come back at 0 by the largest |gradient|.
 * A weight that goes and comes back in one update keeps its value and its momentum, as in rigl.
 * s_i = 0 trains from dense to sparse; s_i = .5 with random first masks of the ERK counts is the sparse-to-sparse form (GraNet-ST).
 */
import { checkNumber, keptCount, sparsitySchedule, type TrainingRule } from "@secateur/core";
import { tooShort } from "../errors.ts";
import { dropAndGrow } from "../masks/drop-and-grow.ts";
import { largestOverall } from "../masks/global-masks.ts";
import { keptOf, regrowableParams, sizeOf } from "../masks/prunable.ts";
import { randomMasks } from "../masks/random-masks.ts";
import { setMasks } from "../masks/set-masks.ts";

/** Options of {@link granet} and {@link granetSt}. */
export interface GranetOptions {
  /** s_f, the fraction of prunable weights that is 0 at the end, in [0, 1). */
  readonly sparsity: number;
  /** s_i, the sparsity of the first step, in [0, sparsity]; default 0 for granet, 0.5 (or the target, where that is lower) for granet-st. */
  readonly from?: number | undefined;
  /** Steps between updates, >= 1; default 100 (the paper's networks of 160 epochs: 1000). */
  readonly interval?: number | undefined;
  /** r, the fraction of a layer's kept weights that is regenerated in an update, in [0, 1]; default 0.5. */
  readonly regrow?: number | undefined;
  /** The part of training with updates, in (0, 1]; default 110 / 160, as in the paper. */
  readonly until?: number | undefined;
}

/**
 * The rule from dense to sparse. An update costs one selection over all weights and two a layer.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for no update at all, nothing to prune, or masks that must stay
 * @example
 * await train(network, { data, epochs: 10, rules: [granet({ sparsity: 0.9 })] }, createRunContext());
 */
export function granet(options: GranetOptions): TrainingRule {
  return gradualRegeneration("granet", options, 0);
}

/**
 * The rule from sparse to sparser. Cost and errors as of {@link granet}.
 *
 * @example
 * await train(network, { data, epochs: 10, rules: [granetSt({ sparsity: 0.9 })] }, createRunContext());
 */
export function granetSt(options: GranetOptions): TrainingRule {
  return gradualRegeneration("granet-st", options, Math.min(0.5, options.sparsity));
}

function gradualRegeneration(rule: string, options: GranetOptions, usualFrom: number): TrainingRule {
  const { sparsity, from = usualFrom, interval = 100, regrow = 0.5, until = 110 / 160 } = options;
  checkNumber(rule, "sparsity", sparsity, { least: 0, most: 1, below: true });
  checkNumber(rule, "from", from, { least: 0, most: sparsity });
  checkNumber(rule, "interval", interval, { least: 1, whole: true });
  checkNumber(rule, "regrow", regrow, { least: 0, most: 1 });
  checkNumber(rule, "until", until, { least: 0, most: 1, above: true });
  return {
    name: rule,
    masks: "regrows",
    settings: JSON.stringify({ sparsity, from, interval, regrow, until }),
    begin(setup) {
      const params = regrowableParams(rule, setup);
      const size = sizeOf(params);
      // The last step is left to train what has come back.
      const updates = Math.floor(Math.min(until * setup.steps, setup.steps - 1) / interval);
      if (updates < 1) {
        const needs = Math.max(interval + 1, Math.ceil(interval / until));
        throw tooShort({ rule, interval, needs, found: setup.steps, unit: "steps" });
      }
      const sparsities = sparsitySchedule({ name: "poly", stages: updates + 1, target: sparsity, from });
      return {
        ...(from > 0
          ? { initialMasks: (ctx) => randomMasks({ rule, params, sparsity: from, distribution: "erk", ctx }) }
          : {}),
        afterStep(at) {
          const { step, weights, gradients, masks } = at;
          const { kernels } = at.ctx;
          const t = step / interval;
          if (!Number.isInteger(t) || t > updates) return;
          const keep = keptCount(size, sparsities[t]!);
          const pruned = largestOverall({ params, weights, masks, keep, kernels });
          const part = (regrow / 2) * (1 + Math.cos((Math.PI * t) / updates));
          const regrown = [...pruned].map(([name, mask]) => {
            const own = gradients.get(name)!.data;
            const layer = { mask, count: Math.floor(part * keptOf(mask)), weights: weights.get(name)!.data };
            const growScore = (i: number): number => Math.abs(own[i]!);
            const change = { ...layer, gradients: own, drop: "magnitude" as const, lambda: 0, growScore, kernels };
            return [name, dropAndGrow(change)] as const;
          });
          setMasks(rule, new Map(regrown), at);
        },
      };
    },
  };
}
