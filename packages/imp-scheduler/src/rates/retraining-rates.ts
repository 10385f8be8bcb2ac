/**
 * Learning rates of retraining after pruning, as pure functions of the step. Zimmer, Spiegel, Pokutta: How I Learned to
 * Stop Worrying and Love Retraining (ICLR 2023, arXiv 2111.00843), section 3, as their public code has them. T_rt steps; the dense
 * training had T steps with rates eta_t, the largest eta_max, the smallest after its warm-up eta_min:
 *   FT   eta_min (Han et al. 2015)            LRW  the last T_rt of the eta_t (Renda et al. 2020)
 * and after a warm-up 0 -> eta over the first W = floor(T_rt / 10) steps, for j = 0 .. T_rem - 1, T_rem = T_rt - W:
 *   SLR  eta at step floor(j T / T_rem), those of the dense warm-up replaced by eta_max (Le and Hua 2021)
 *   CLR  eta_min + (eta_max - eta_min) (1 + cos(pi j / T_rem)) / 2 (Le and Hua 2021)
 *   LLR  eta_max (1 - j / T_rem)              ALLR the same from the smaller peak of `adaptivePeak`
 * The warm-up is half a cosine, eta (1 - cos(pi t / W)) / 2: its first rate is 0.
 */

import type { DenseTraining } from "@secateur/core";
import { ratesUnknown, rewindTooFar } from "../errors.ts";
import { leastRate, peakRate } from "./dense-training.ts";

/** The schedules by name. */
export type RetrainingName = "ft" | "lrw" | "slr" | "clr" | "llr" | "allr";

/** All names, in the order of the paper. */
export const retrainingNames: readonly RetrainingName[] = ["ft", "lrw", "slr", "clr", "llr", "allr"];

/** What decides the rates of one retraining. */
export interface RetrainingSpec {
  readonly schedule: RetrainingName;
  /** T_rt, a whole number >= 0. */
  readonly steps: number;
  readonly dense: DenseTraining;
  /** Of allr: where it starts after the warm-up, see `adaptivePeak`; default eta_max, which makes it llr. */
  readonly peak?: number;
}

/**
 * The rate of a step.
 *
 * @param step - whole, 0 .. steps - 1
 * @throws ERR_IMPOSSIBLE for lrw over more steps than the dense training had, or a dense training without steps
 */
export function retrainingRate(spec: RetrainingSpec, step: number): number {
  return rateFunction(spec)(step);
}

/** All rates of a retraining, [steps]: to print, to plot or to train with. @throws as {@link retrainingRate} */
export function retrainingRates(spec: RetrainingSpec): Float64Array {
  if (spec.steps === 0) return new Float64Array(0);
  const rate = rateFunction(spec);
  return Float64Array.from({ length: spec.steps }, (_, step) => rate(step));
}

/** Steps of the warm-up of a schedule that has one. */
export function warmUpSteps(steps: number): number {
  return Math.floor(0.1 * steps);
}

function rateFunction(spec: RetrainingSpec): (step: number) => number {
  const { schedule, steps, dense } = spec;
  const T = dense.rates.length;
  if (T === 0) throw ratesUnknown(schedule);
  const most = peakRate(dense);
  switch (schedule) {
    case "ft": {
      const least = leastRate(dense);
      return () => least;
    }
    case "lrw":
      if (steps > T) throw rewindTooFar(`${steps} steps`, T);
      return (step) => dense.rates[T - steps + step]!;
    case "slr":
      return warmedUp(steps, most, (j, rest) => stretched(dense, most, Math.floor((j * T) / rest)));
    case "clr": {
      const least = leastRate(dense);
      return warmedUp(steps, most, (j, rest) => least + ((most - least) * (1 + Math.cos((Math.PI * j) / rest))) / 2);
    }
    case "llr":
    case "allr": {
      const start = schedule === "llr" ? most : (spec.peak ?? most);
      return warmedUp(steps, start, (j, rest) => start * (1 - j / rest));
    }
    default:
      return schedule satisfies never;
  }
}

function stretched({ rates, warmUpSteps: warm = 0 }: DenseTraining, peak: number, step: number): number {
  return step < warm ? peak : rates[step]!;
}

function warmedUp(
  steps: number,
  peak: number,
  afterwards: (j: number, rest: number) => number,
): (step: number) => number {
  const warm = warmUpSteps(steps);
  return (step) => {
    if (step < warm) return (peak * (1 - Math.cos((Math.PI * step) / warm))) / 2;
    return afterwards(step - warm, steps - warm);
  };
}
