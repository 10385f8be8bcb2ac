/** From settings to what runs: phases with their rates. */

import {
  bimpPhases,
  type DenseTraining,
  gmpPhases,
  gradualPhases,
  impPhases,
  type Phase,
  peakRate,
  phaseSparsities,
} from "@secateur/imp-scheduler";
import type { CompleteSettings } from "./complete-settings.ts";
import { learningRateOf } from "./training-settings.ts";

/** The rates of the dense training as if it had taken as many steps an epoch as the retraining takes. */
export function denseTraining(settings: CompleteSettings, stepsPerEpoch: number): DenseTraining {
  const { schedule, epochs, learningRate } = settings.dense;
  const steps = epochs * stepsPerEpoch;
  const rate = learningRateOf({ schedule, learningRate });
  const rates = Float64Array.from({ length: steps }, (_, step) => rate(step, steps));
  // Another highest rate than the dense training's scales all of them.
  const scale = settings.learningRate === undefined ? 1 : settings.learningRate / peakRate({ rates, epochs });
  return {
    rates: rates.map((value) => value * scale),
    epochs,
    warmUpSteps: schedule === "one-cycle" ? Math.floor(0.1 * steps) : 0,
  };
}

/**
 * The phases of a run.
 *
 * @param spec.from - sparsity of the network as it comes in
 * @throws ERR_OPTION, ERR_IMPOSSIBLE, ERR_SPARSITY_RANGE
 */
export function planPhases(spec: {
  settings: CompleteSettings;
  sparsity: number;
  from: number;
  stepsPerEpoch: number;
}): readonly Phase[] {
  const { settings, sparsity: target, stepsPerEpoch } = spec;
  const { schedule, epochs, interval = 1, budget = 0 } = settings;
  const phases = typeof settings.phases === "number" ? settings.phases : 1;
  const from = Math.min(spec.from, target);
  const dense = denseTraining(settings, stepsPerEpoch);
  const peak = peakRate(dense);
  switch (schedule) {
    case "gmp":
      // One training of the dense one's kind.
      return gmpPhases({
        target,
        epochs,
        interval,
        from,
        rate: learningRateOf({ schedule: settings.dense.schedule, learningRate: peak }),
      });
    case "gradual":
      return gradualPhases({
        target,
        epochs,
        interval,
        prunings: phases,
        peak,
        from: Math.max(from, Math.min(0.5, target)),
      });
    case "bimp":
      return bimpPhases({
        ...{ target, epochs, budget, interval, peak },
        amplitude: settings.amplitude ?? "constant",
      });
    default: {
      const phaseSchedule = settings.phaseSchedule ?? "geometric";
      const sparsities = settings.sparsities ?? phaseSparsities({ target, phases, schedule: phaseSchedule, from });
      return impPhases({ sparsities, epochs, schedule, dense });
    }
  }
}
