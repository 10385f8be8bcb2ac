/**
 * Sparsity over the stages of a gradual run, as pure functions. Stage i of N (i = 0 .. N-1) reaches the target s at i = N-1.
 * exp, poly, linear, const and geometric ("mfac") as in the public CHITA code (Benbaki et al. 2023); b is the sparsity it starts from.
 * exp, linear, const and poly reach b at i = 0; geometric shrinks the kept weights by one factor a stage, so its first
 * stage already removes some.
 */
import { impossibleRun, sparsityOutOfRange, unknownName } from "../errors.ts";

/** The schedules by name; "mfac" is the published name of "geometric". */
export type ScheduleName = "exp" | "poly" | "linear" | "const" | "geometric" | "mfac";

type Schedule = (stage: number, stages: number, from: number, target: number) => number;

const schedules: Readonly<Record<ScheduleName, Schedule>> = {
  exp: (i, n, b, s) => b + ((s - b) * (1 - 2 ** -i)) / (1 - 2 ** (1 - n)),
  poly: (i, n, b, s) => s + (b - s) * (1 - i / (n - 1)) ** 3,
  linear: (i, n, b, s) => b + ((s - b) * i) / (n - 1),
  const: (_i, _n, _b, s) => s,
  geometric: shrinkKept,
  mfac: shrinkKept,
};

function shrinkKept(i: number, n: number, b: number, s: number): number {
  return 1 - (1 - b) * ((1 - s) / (1 - b)) ** ((i + 1) / n);
}

/** All schedule names. */
export const scheduleNames: readonly ScheduleName[] = Object.keys(schedules) as ScheduleName[];

/**
 * The sparsity of every stage, never decreasing, the last one exactly `target`.
 *
 * @param spec.name - which schedule
 * @param spec.stages - N >= 1; with one stage every schedule is [target]
 * @param spec.target - sparsity to reach, in [0, 1)
 * @param spec.from - b, the sparsity to start from, in [0, target]; default 0.1, or the target if that is lower
 * @throws ERR_UNKNOWN_NAME, ERR_SPARSITY_RANGE, ERR_IMPOSSIBLE (stages < 1, from > target)
 */
export function sparsitySchedule(spec: {
  name: ScheduleName;
  stages: number;
  target: number;
  from?: number;
}): readonly number[] {
  const { name, stages, target } = spec;
  const schedule: Schedule | undefined = schedules[name];
  if (schedule === undefined)
    throw unknownName({ where: "schedule", what: "schedule", found: name, known: scheduleNames });
  if (!(target >= 0 && target < 1)) throw sparsityOutOfRange("schedule", target);
  const from = spec.from ?? Math.min(0.1, target);
  if (!(from >= 0 && from < 1)) throw sparsityOutOfRange("schedule start", from);
  if (!Number.isInteger(stages) || stages < 1) {
    throw impossibleRun(`schedule: ${stages} stages; give a whole number of at least 1`, { stages });
  }
  if (from > target) {
    throw impossibleRun(
      `schedule: it would start at sparsity ${from} and end at ${target}; sparsity must not decrease, start at ${target} or lower`,
      { from, target },
    );
  }
  return Array.from({ length: stages }, (_, i) => (i === stages - 1 ? target : schedule(i, stages, from, target)));
}
