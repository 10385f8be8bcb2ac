/** What schedules of retraining know of the training that made the dense network. */
import type { DenseTraining } from "@secateur/core";
import { ratesUnknown } from "../errors.ts";

/** The largest rate, eta_max. */
export function peakRate({ rates }: DenseTraining): number {
  let peak = 0;
  for (let step = 0; step < rates.length; step++) peak = Math.max(peak, rates[step]!);
  return peak;
}

/** The smallest rate after the warm-up, eta_min. @throws ERR_IMPOSSIBLE when there are no steps after it */
export function leastRate({ rates, warmUpSteps = 0 }: DenseTraining): number {
  if (rates.length <= warmUpSteps) throw ratesUnknown("the smallest rate");
  let least = Number.POSITIVE_INFINITY;
  for (let step = warmUpSteps; step < rates.length; step++) least = Math.min(least, rates[step]!);
  return least;
}
