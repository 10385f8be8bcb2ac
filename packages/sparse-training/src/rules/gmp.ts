/**
 * Gradual magnitude pruning while a network trains (Zhu and Gupta 2017, equation 1): after every d epochs of n the weights of
 * smallest magnitude over the whole network go, until the sparsity is
 *   s_t = s_f + (s_i - s_f) (1 - t / N)^3,   t = 1 .. N,   N = floor(n / d) - 1,
 * so that at least d epochs are left to recover. What is pruned stays pruned, and the optimizer forgets it.
 * Departure: the paper counts steps and prunes layer by layer; here it is epochs, and one list over all layers, as ZIB-IOL/BIMP does it.
 */
import { checkNumber, keptCount, sparsitySchedule, type TrainingRule } from "@secateur/core";
import { tooShort } from "../errors.ts";
import { largestOverall } from "../masks/global-masks.ts";
import { prunableParams, sizeOf } from "../masks/prunable.ts";
import { setMasks } from "../masks/set-masks.ts";

/** Options of {@link gmp}. */
export interface GmpOptions {
  /** s_f, the fraction of prunable weights that is removed at the end, in [0, 1). */
  readonly sparsity: number;
  /** s_i, the sparsity that the schedule starts from, in [0, sparsity]; default 0. */
  readonly from?: number | undefined;
  /** d, epochs between prunings, >= 1; default 1. */
  readonly interval?: number | undefined;
}

/**
 * The rule. Between prunings a step costs nothing; a pruning costs one selection over all prunable weights.
 *
 * @throws ERR_OPTION; when training begins ERR_IMPOSSIBLE for fewer than 2 d epochs or nothing to prune
 * @example
 * await train(network, { data, epochs: 10, rules: [gmp({ sparsity: 0.9 })] }, createRunContext());
 */
export function gmp(options: GmpOptions): TrainingRule {
  const { sparsity, from = 0, interval = 1 } = options;
  checkNumber("gmp", "sparsity", sparsity, { least: 0, most: 1, below: true });
  checkNumber("gmp", "from", from, { least: 0, most: sparsity });
  checkNumber("gmp", "interval", interval, { least: 1, whole: true });
  return {
    name: "gmp",
    masks: "prunes",
    settings: JSON.stringify({ sparsity, from, interval }),
    begin(setup) {
      const { steps, stepsPerEpoch } = setup;
      const params = prunableParams("gmp", setup);
      const epochs = Math.round(steps / stepsPerEpoch);
      const prunings = Math.floor(epochs / interval) - 1;
      if (prunings < 1) throw tooShort({ rule: "gmp", interval, needs: 2 * interval, found: epochs, unit: "epochs" });
      const sparsities = sparsitySchedule({ name: "poly", stages: prunings + 1, target: sparsity, from });
      return {
        afterStep(at) {
          const { step, weights, masks, ctx } = at;
          const t = step / (interval * stepsPerEpoch);
          if (!Number.isInteger(t) || t > prunings) return;
          const keep = keptCount(sizeOf(params), sparsities[t]!);
          setMasks("gmp", largestOverall({ params, weights, masks, keep, kernels: ctx.kernels }), at);
        },
      };
    },
  };
}
