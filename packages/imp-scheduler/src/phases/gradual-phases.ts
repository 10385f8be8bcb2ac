/**
 * The gradual schedule of the CHITA paper (Benbaki et al. 2023, appendix; as in its public code): 7 prunings at epochs 0, 12,
 * .., 72 of 100, to the sparsities of core's "poly" from 0.5; between them the rate falls along half a cosine from 0.1 to
 * 1e-5, restarted at every pruning, the last one over 28 epochs. The optimizer starts anew at every pruning.
 */

import type { Phase } from "@secateur/core";
import { badRetrainOption, impossiblePhases } from "../errors.ts";
import { cosineRate } from "../rates/restarted-cosine.ts";
import { phaseSparsities } from "./phase-sparsities.ts";

/**
 * The phases of the gradual schedule.
 *
 * @param spec.target - in [0, 1)
 * @param spec.epochs - in all; default 100
 * @param spec.interval - epochs between prunings, >= 1; default 12
 * @param spec.prunings - >= 1; default 7. The last phase takes the epochs that are left.
 * @param spec.from - sparsity of the first pruning; default 0.5, or the target if that is lower
 * @param spec.peak - rate at a restart, > 0; default 0.1
 * @param spec.least - rate before the next; default 1e-4 of the peak
 * @throws ERR_OPTION, ERR_SPARSITY_RANGE, ERR_IMPOSSIBLE
 */
export function gradualPhases(spec: {
  target: number;
  epochs?: number;
  interval?: number;
  prunings?: number;
  from?: number;
  peak?: number;
  least?: number;
}): readonly Phase[] {
  const { target, epochs = 100, interval = 12, prunings = 7, from = Math.min(0.5, target), peak = 0.1 } = spec;
  const { least = 1e-4 * peak } = spec;
  if (!Number.isInteger(interval) || interval < 1) {
    throw badRetrainOption("interval", interval, "a whole number of at least 1");
  }
  const last = epochs - (prunings - 1) * interval;
  if (last < 1) {
    throw impossiblePhases(
      `${prunings} prunings every ${interval} epochs need more than ${(prunings - 1) * interval} epochs, and there are ${epochs}; lower the interval or the number of phases`,
    );
  }
  const sparsities = phaseSparsities({ target, phases: prunings, schedule: "poly", from });
  return sparsities.map((sparsity, index) => ({
    sparsity,
    epochs: index === prunings - 1 ? last : interval,
    rates: (steps) => Float64Array.from({ length: steps }, (_, step) => cosineRate({ steps, peak, least }, step)),
  }));
}
