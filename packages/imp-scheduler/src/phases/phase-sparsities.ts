/**
 * How far each phase prunes. IMP prunes the same fraction of the remaining weights in each of J phases,
 * 1 - (1 - s)^(1/J) (Zimmer et al. 2023); without J it is 20 % a phase (Renda et al. 2020; Frankle and Carbin 2019).
 */
import { type ScheduleName, sparsityOutOfRange, sparsitySchedule } from "@secateur/core";
import { badRetrainOption } from "../errors.ts";

/** The fraction of the remaining weights that each of J phases prunes to reach sparsity s: 1 - (1 - s)^(1/J). */
export function phaseFraction(sparsity: number, phases: number): number {
  assertPhases(phases);
  return 1 - (1 - sparsity) ** (1 / phases);
}

/** J of 20 % a phase for sparsity s: ceil(log(1 - s) / log 0.8), at least 1. */
export function usualPhases(sparsity: number): number {
  if (!(sparsity >= 0 && sparsity < 1)) throw sparsityOutOfRange("retrain", sparsity);
  // 1 - 0.8^2 is 0.3599999999999999 in binary: a whole number but for rounding is meant.
  return Math.max(1, Math.ceil(Math.log(1 - sparsity) / Math.log(0.8) - 1e-9));
}

/**
 * The sparsity after every phase, never decreasing, the last one exactly `target`.
 *
 * @param spec.target - in [0, 1)
 * @param spec.phases - J >= 1
 * @param spec.schedule - of core's; default "geometric": the same fraction of the remaining weights a phase
 * @param spec.from - the sparsity the network has already; default 0
 * @throws ERR_OPTION, ERR_SPARSITY_RANGE, ERR_IMPOSSIBLE (from > target)
 */
export function phaseSparsities(spec: {
  target: number;
  phases: number;
  schedule?: ScheduleName;
  from?: number;
}): readonly number[] {
  const { target, phases, schedule = "geometric", from = 0 } = spec;
  assertPhases(phases);
  return sparsitySchedule({ name: schedule, stages: phases, target, from });
}

/** Epochs in all over J phases: floor(epochs / J) each, the last takes the remainder as well. */
export function splitEpochs(epochs: number, phases: number): readonly number[] {
  assertPhases(phases);
  const each = Math.floor(epochs / phases);
  return Array.from({ length: phases }, (_, index) => (index === phases - 1 ? epochs - (phases - 1) * each : each));
}

function assertPhases(phases: number): void {
  if (!Number.isInteger(phases) || phases < 1) {
    throw badRetrainOption("phases", phases, "a whole number of at least 1");
  }
}
