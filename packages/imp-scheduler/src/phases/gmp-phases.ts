/**
 * Gradual magnitude pruning during one training of n epochs (Zhu and Gupta 2017): every d epochs prune to
 *   s_f - (s_f - s_i) (1 - t / N)^3,  t = 1 .. N,  N = floor(n / d) - 1,
 * so that the last pruning leaves at least d epochs to recover. One rate runs through the whole training, and the optimizer's
 * memory with it; that of pruned weights is erased. With another solver than magnitude it is that solver's gradual pruning.
 */

import type { Phase } from "@secateur/core";
import { badRetrainOption, impossiblePhases } from "../errors.ts";

/** s_f - (s_f - s_i) (1 - t / N)^3, for t = 0 .. N: `from` s_i, `target` s_f, `step` t, `steps` N. */
export function cubicSparsity(spec: { from: number; target: number; step: number; steps: number }): number {
  const { from, target, step, steps } = spec;
  return step >= steps ? target : target - (target - from) * (1 - step / steps) ** 3;
}

/**
 * The phases of GMP.
 *
 * @param spec.target - s_f, the sparsity at the end, in [0, 1)
 * @param spec.epochs - n, of the whole training
 * @param spec.interval - d >= 1, epochs between prunings, at most n / 2
 * @param spec.rate - of a step of the whole training, counted from 0
 * @param spec.from - s_i, the sparsity at the start; default 0
 * @throws ERR_OPTION, ERR_IMPOSSIBLE
 */
export function gmpPhases(spec: {
  target: number;
  epochs: number;
  interval: number;
  rate: (step: number, steps: number) => number;
  from?: number;
}): readonly Phase[] {
  const { target, epochs, interval, rate, from = 0 } = spec;
  if (!Number.isInteger(interval) || interval < 1) {
    throw badRetrainOption("interval", interval, "a whole number of at least 1");
  }
  if (2 * interval > epochs) {
    throw impossiblePhases(
      `prunings every ${interval} epochs need at least ${2 * interval} epochs, and there are ${epochs}; lower the interval`,
    );
  }
  if (from > target) throw impossiblePhases(`it would start at sparsity ${from} and end at ${target}`);
  const prunings = Math.floor(epochs / interval) - 1;
  return Array.from({ length: prunings + 1 }, (_, t): Phase => {
    const own = t === prunings ? epochs - prunings * interval : interval;
    return {
      sparsity: cubicSparsity({ from, target, step: t, steps: prunings }),
      epochs: own,
      keepsMomentum: true,
      rates(steps) {
        const perEpoch = own === 0 ? 0 : steps / own;
        const before = t * interval * perEpoch;
        return Float64Array.from({ length: steps }, (_s, step) => rate(before + step, epochs * perEpoch));
      },
    };
  });
}
