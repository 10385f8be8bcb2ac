/** The schedules of retraining: which phases a target becomes, and at what rates each is trained. */
import type { Schedule, ScheduleName } from "@secateur/core";
import type { Amplitude } from "../rates/budgeted-rates.ts";
import { peakRate } from "../rates/dense-training.ts";
import type { RetrainingName } from "../rates/retraining-rates.ts";
import { bimpPhases } from "./bimp-phases.ts";
import { gmpPhases } from "./gmp-phases.ts";
import { gradualPhases } from "./gradual-phases.ts";
import { impPhases } from "./imp-phases.ts";
import { phaseSparsities, usualPhases } from "./phase-sparsities.ts";

/** Of ft, lrw, slr, clr, llr and allr; what is left out: one phase. */
export interface ImpOptions {
  /** Rounds, each pruning the same fraction of what is left; "auto": 20 % a round. */
  readonly phases?: number | "auto" | undefined;
  /** The sparsity after each round, never decreasing, in place of `phases`. */
  readonly sparsities?: readonly number[] | undefined;
  /** How the sparsity grows over the phases; default "geometric". */
  readonly phaseSchedule?: ScheduleName | undefined;
}

/** Of gmp. */
export interface GmpOptions {
  /** Epochs between prunings; default a tenth of all. */
  readonly interval?: number | undefined;
}

/** Of gradual. */
export interface GradualOptions {
  /** Prunings; default 7. */
  readonly phases?: number | undefined;
  /** Epochs between them; default 12 % of all. */
  readonly interval?: number | undefined;
}

/** Of bimp. */
export interface BimpOptions {
  /** Epochs of dense training first; default half of all. */
  readonly budget?: number | undefined;
  /** Epochs of a cycle; default a fifth of the rest. */
  readonly interval?: number | undefined;
  /** Highest rates of the cycles; default "constant". */
  readonly amplitude?: Amplitude | undefined;
}

/** IMP, iterative pruning and retraining, with one of the rates of Zimmer et al. 2023 in each phase. `sparsities` win over `phases`. */
export function impSchedule(rates: RetrainingName, options: ImpOptions = {}): Schedule {
  const { sparsities, phases, phaseSchedule } = options;
  return {
    phases({ target, from, epochs, dense }) {
      const count = phases === "auto" ? usualPhases(target) : (phases ?? 1);
      const rising =
        sparsities ?? phaseSparsities({ target, phases: count, schedule: phaseSchedule ?? "geometric", from });
      return impPhases({ sparsities: rising, epochs, schedule: rates, dense });
    },
  };
}

/** Gradual magnitude pruning during one training. */
export function gmpSchedule({ interval }: GmpOptions = {}): Schedule {
  return {
    phases: ({ target, from, epochs, rate }) =>
      gmpPhases({ target, from, epochs, rate, interval: interval ?? gmpInterval(epochs) }),
  };
}

/** Prunings with restarted cosines between them. */
export function gradualSchedule({ phases = gradualPrunings, interval }: GradualOptions = {}): Schedule {
  return {
    phases: ({ target, from, epochs, dense }) =>
      gradualPhases({
        ...{ target, epochs, prunings: phases, peak: peakRate(dense) },
        interval: interval ?? gradualInterval(epochs),
        from: Math.max(from, Math.min(0.5, target)),
      }),
  };
}

/** Dense training, and cycles of pruning and retraining, within one budget of epochs. */
export function bimpSchedule(options: BimpOptions = {}): Schedule {
  return {
    phases({ target, epochs, dense }) {
      const { budget = Math.floor(epochs / 2), amplitude = "constant" } = options;
      const interval = options.interval ?? bimpInterval(epochs, budget);
      return bimpPhases({ target, epochs, budget, interval, amplitude, peak: peakRate(dense) });
    },
  };
}

/** Prunings of gradual, as in the CHITA paper. */
const gradualPrunings = 7;

/** Ten prunings. */
const gmpInterval = (epochs: number): number => Math.max(1, Math.floor(epochs / 10));

/** Twelve epochs of a hundred, as in the CHITA paper. */
const gradualInterval = (epochs: number): number => Math.max(1, Math.floor(0.12 * epochs));

/** Five cycles. */
const bimpInterval = (epochs: number, budget: number): number => Math.max(1, Math.floor((epochs - budget) / 5));

/** Options of one schedule or another. */
export interface AnyScheduleOptions {
  readonly phases?: number | "auto";
  readonly sparsities?: readonly number[];
  readonly phaseSchedule?: ScheduleName;
  readonly interval?: number;
  readonly budget?: number;
  readonly amplitude?: Amplitude;
}

/**
 * What a schedule does where its options are left open, written out: recipes say it, so that a later version gives the same.
 *
 * @param spec.name - of the schedule; of one that is not here nothing is known
 * @param spec.options - as given
 */
export function completeScheduleOptions(spec: {
  name: string;
  options: AnyScheduleOptions;
  target: number;
  epochs: number;
}): AnyScheduleOptions {
  const { name, options, target, epochs } = spec;
  const { phases, interval, budget, sparsities } = options;
  switch (name) {
    case "gmp":
      return { ...options, interval: interval ?? gmpInterval(epochs) };
    case "gradual":
      return {
        ...options,
        phases: typeof phases === "number" ? phases : gradualPrunings,
        interval: interval ?? gradualInterval(epochs),
      };
    case "bimp": {
      const first = budget ?? Math.floor(epochs / 2);
      return { ...options, budget: first, interval: interval ?? bimpInterval(epochs, first) };
    }
    case "ft":
    case "lrw":
    case "slr":
    case "clr":
    case "llr":
    case "allr":
      return sparsities === undefined
        ? { ...options, phases: phases === "auto" ? usualPhases(target) : (phases ?? 1) }
        : options;
    default:
      return options;
  }
}
