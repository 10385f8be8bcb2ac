/** From settings to what runs: phases with their rates. */
import {
  type DenseTraining,
  type EntryOf,
  optionProperties,
  type Phase,
  parseOptions,
  type Schedule,
} from "@secateur/core";
import { peakRate } from "@secateur/imp-scheduler";
import { badRetrainSetting } from "../../errors.ts";
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

/** The schedule of an entry with those of the settings that are its options. @throws ERR_OPTION */
export async function makeSchedule(entry: EntryOf<"schedule">, settings: CompleteSettings): Promise<Schedule> {
  const own = Object.keys(optionProperties(entry.options));
  const options = Object.fromEntries(Object.entries(settings).filter(([key]) => own.includes(key)));
  return entry.create(await parseOptions(entry.name, entry.options, options));
}

/** Every step has a rate of its own, which takes 8 bytes. */
const mostSteps = 20_000_000;

/**
 * The phases of a run.
 *
 * @param spec.from - sparsity of the network as it comes in
 * @throws ERR_OPTION, ERR_IMPOSSIBLE, ERR_SPARSITY_RANGE
 */
export function planPhases(spec: {
  schedule: Schedule;
  settings: CompleteSettings;
  sparsity: number;
  from: number;
  stepsPerEpoch: number;
}): readonly Phase[] {
  const { schedule, settings, sparsity: target, stepsPerEpoch } = spec;
  if (settings.epochs * stepsPerEpoch > mostSteps) {
    throw badRetrainSetting({
      ...{ where: "retrain", key: "epochs", found: `${settings.epochs} epochs of ${stepsPerEpoch} steps` },
      allowed: `at most ${mostSteps} steps in all; take fewer epochs, or larger batches`,
    });
  }
  const dense = denseTraining(settings, stepsPerEpoch);
  return schedule.phases({
    ...{ target, from: Math.min(spec.from, target), epochs: settings.epochs, stepsPerEpoch, dense },
    // One training of the dense one's kind.
    rate: learningRateOf({ schedule: settings.dense.schedule, learningRate: peakRate(dense) }),
  });
}
