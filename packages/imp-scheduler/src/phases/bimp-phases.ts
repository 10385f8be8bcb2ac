/**
 * Budgeted IMP (Zimmer et al. 2023, section 4): of n epochs in all the first `budget` train the dense network with a rate
 * falling linearly to 0, the others are m = floor((n - budget) / interval) cycles of pruning and retraining, cycle t = 0 .. m - 1
 * to the sparsity 1 - (1 - s)^((t + 1) / m). The last cycle takes the epochs that are left over.
 */

import type { Phase } from "@secateur/core";
import { badRetrainOption, impossiblePhases } from "../errors.ts";
import { adaptivePeak } from "../rates/adaptive-peak.ts";
import { type Amplitude, cyclePeak, linearRate, triangularRate } from "../rates/budgeted-rates.ts";
import { phaseSparsities } from "./phase-sparsities.ts";

/**
 * The phases of BIMP, the dense training first (none with a budget of 0).
 *
 * @param spec.target - the sparsity at the end, in [0, 1)
 * @param spec.epochs - n, all epochs
 * @param spec.budget - epochs of the dense training, >= 0
 * @param spec.interval - epochs of a cycle, >= 1
 * @param spec.peak - eta_max > 0
 * @param spec.amplitude - of the cycles; default "constant"
 * @throws ERR_OPTION, ERR_IMPOSSIBLE when there is no room for a cycle
 */
export function bimpPhases(spec: {
  target: number;
  epochs: number;
  budget: number;
  interval: number;
  peak: number;
  amplitude?: Amplitude;
}): readonly Phase[] {
  const { target, epochs, budget, interval, peak, amplitude = "constant" } = spec;
  if (!Number.isInteger(budget) || budget < 0) {
    throw badRetrainOption("budget", budget, "a whole number of at least 0");
  }
  if (!Number.isInteger(interval) || interval < 1) {
    throw badRetrainOption("interval", interval, "a whole number of at least 1");
  }
  const cycles = Math.floor((epochs - budget) / interval);
  if (cycles < 1) {
    throw impossiblePhases(
      `${epochs} epochs with a budget of ${budget} leave ${epochs - budget}, and a cycle takes ${interval}; give more epochs, or a lower budget or interval`,
    );
  }
  const sparsities = phaseSparsities({ target, phases: cycles });
  const all = sparsities.map((sparsity, cycle): Phase => {
    const own = cycle === cycles - 1 ? epochs - budget - (cycles - 1) * interval : interval;
    return {
      sparsity,
      epochs: own,
      rates(steps, pruned) {
        const most =
          amplitude === "adaptive"
            ? adaptivePeak({ ...pruned, peak, epochs: own, denseEpochs: Math.max(budget, own) })
            : cyclePeak({ peak, cycle, cycles, amplitude });
        return Float64Array.from({ length: steps }, (_, step) => triangularRate({ steps, peak: most }, step));
      },
    };
  });
  const dense: Phase = {
    sparsity: 0,
    epochs: budget,
    rates: (steps) => Float64Array.from({ length: steps }, (_, step) => linearRate({ steps, peak }, step)),
  };
  return budget === 0 ? all : [dense, ...all];
}
