/** Schedules: phases that reach the target, and rates for every step. */
import type { PruningLoss, Schedule, ScheduleRequest } from "@secateur/core";
import { ensure, ensureFinite } from "../assertions.ts";
import { type Check, type RegisterTest, registerChecks } from "../check.ts";

/** A schedule. */
export interface ScheduleSpec {
  readonly create: () => Schedule | Promise<Schedule>;
  /** For the names of the tests; default "the schedule". */
  readonly name?: string;
  /** Epochs for which it has room for its phases; default 20. */
  readonly epochs?: number;
}

/** Registers the checks as tests. */
export function describeSchedule(suite: ScheduleSpec & { readonly test: RegisterTest }): void {
  registerChecks(suite.test, suite.name ?? "the schedule", scheduleChecks(suite));
}

/** A dense training of 30 epochs, by a rate that rises and falls. */
function request(target: number, from: number, epochs: number): ScheduleRequest {
  const stepsPerEpoch = 7;
  const rate = (step: number, steps: number) => 0.1 * Math.min(1, (10 * (step + 1)) / steps, (steps - step) / steps);
  const steps = 30 * stepsPerEpoch;
  const rates = Float64Array.from({ length: steps }, (_, step) => rate(step, steps));
  return { target, from, epochs, stepsPerEpoch, rate, dense: { rates, epochs: 30, warmUpSteps: steps / 10 } };
}

const losses: readonly PruningLoss[] = [
  { normBefore: 5, normAfter: 3, prunedFraction: 0.5 },
  { normBefore: 5, normAfter: 5, prunedFraction: 0 },
  { normBefore: 0, normAfter: 0, prunedFraction: 1 },
];

/** The checks of {@link describeSchedule}. */
export function scheduleChecks({ create, epochs = 20 }: ScheduleSpec): readonly Check[] {
  const requests = [0, 0.5, 0.9, 0.98].flatMap((target) =>
    [0, target / 2].map((from) => request(target, from, epochs)),
  );
  return [
    {
      name: "never prunes less than before, and ends at the target exactly",
      async run() {
        const schedule = await create();
        for (const asked of requests) {
          const sparsities = schedule.phases(asked).map(({ sparsity }) => sparsity);
          const shown = `target ${asked.target} from ${asked.from}: found ${sparsities.join(", ")}`;
          ensure(sparsities.length > 0, () => `${shown}no phases`);
          ensure(
            sparsities.every((sparsity) => sparsity >= 0 && sparsity < 1),
            () => `${shown}, expected fractions below 1`,
          );
          ensure(
            sparsities.every((sparsity, i) => i === 0 || sparsity >= sparsities[i - 1]!),
            () => `${shown}, which falls`,
          );
          ensure(
            sparsities[sparsities.length - 1] === asked.target,
            () => `${shown}, which does not end at the target`,
          );
        }
      },
    },
    {
      name: "spends exactly the epochs it is given, in whole ones",
      async run() {
        const schedule = await create();
        for (const asked of requests) {
          const spent = schedule.phases(asked).map((phase) => phase.epochs);
          const isWhole = spent.every((own) => Number.isInteger(own) && own >= 0);
          const sum = spent.reduce((total, own) => total + own, 0);
          ensure(
            isWhole && sum === epochs,
            () => `found ${spent.join(" + ")} epochs, expected ${epochs} in whole ones`,
          );
        }
      },
    },
    {
      name: "has a rate for every step, finite and not negative, the same every time",
      async run() {
        const schedule = await create();
        for (const asked of requests) {
          for (const phase of schedule.phases(asked)) {
            const steps = phase.epochs * asked.stepsPerEpoch;
            for (const loss of losses) {
              const [rates, again] = [phase.rates(steps, loss), phase.rates(steps, loss)].map((some) =>
                Array.from(some),
              );
              ensure(rates!.length === steps, () => `found ${rates!.length} rates for ${steps} steps`);
              ensureFinite(rates!, "rates");
              ensure(
                rates!.every((rate) => rate >= 0),
                () => `found a negative rate, ${Math.min(...rates!)}`,
              );
              ensure(
                rates!.every((rate, i) => rate === again![i]),
                () => "rates differ from one call to the next",
              );
            }
          }
        }
      },
    },
  ];
}
