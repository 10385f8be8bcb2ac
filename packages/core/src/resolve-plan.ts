/** Turns what the user set, what the solver advises and the defaults into one plan, and the plan into sparsities. */
import { badOption, impossibleRun } from "./errors.ts";
import type { RunPlan, RunSituation } from "./plan.ts";
import { sparsitySchedule } from "./sparsity-schedule.ts";
import type { Solver } from "./strategy.ts";

/** The plan of a solver that has none: one stage, the estimator's usual thousand rows of one example. */
export const defaultPlan: Required<RunPlan> = {
  stages: 1,
  targetStages: 0,
  schedule: "geometric",
  from: 0,
  examples: 1000,
  batch: 1,
  ridge: "auto",
  firstOrder: false,
  regrow: true,
  reason: "one stage at the target",
};

/**
 * The plan in force: the user's settings before the solver's advice before the defaults.
 *
 * @throws ERR_OPTION for a setting out of range, ERR_IMPOSSIBLE for more examples than there are
 */
export function resolvePlan(solver: Solver, situation: RunSituation, overrides: RunPlan = {}): Required<RunPlan> {
  const advice = solver.plan?.({
    ...situation,
    ...(overrides.stages === undefined ? {} : { stages: overrides.stages }),
  });
  const plan = { ...defaultPlan, ...withoutUndefined(advice), ...withoutUndefined(overrides) };
  assertWhole("stages", plan.stages, 1);
  assertWhole("targetStages", plan.targetStages, 0);
  assertWhole("examples", plan.examples, 1);
  assertWhole("batch", plan.batch, 1);
  if (plan.ridge !== "auto" && !(plan.ridge >= 0 && Number.isFinite(plan.ridge))) {
    throw badOption("plan", `option 'ridge' is ${plan.ridge}; give "auto" or a finite number of at least 0`);
  }
  const wanted = plan.examples * plan.batch;
  if (situation.examples > 0 && wanted > situation.examples) {
    // Only what the user asked for is refused; advice bends to the data at hand.
    if (overrides.examples !== undefined || overrides.batch !== undefined) {
      throw impossibleRun(
        `plan: ${plan.examples} rows of ${plan.batch} examples need ${wanted} training examples and there are ${situation.examples}; lower examples or batch`,
      );
    }
    plan.examples = Math.max(1, Math.floor(situation.examples / plan.batch));
  }
  return plan;
}

/** The sparsity of every stage of a plan: the schedule, then the stages at the target. @throws as sparsitySchedule */
export function planSparsities(plan: Required<RunPlan>, target: number): readonly number[] {
  const { schedule, stages, targetStages } = plan;
  const rising = sparsitySchedule({
    name: schedule,
    stages,
    target,
    from: stages === 1 ? Math.min(plan.from, target) : plan.from,
  });
  return [...rising, ...Array.from({ length: targetStages }, () => target)];
}

function assertWhole(name: string, found: number, least: number): void {
  if (!Number.isInteger(found) || found < least) {
    throw badOption("plan", `option '${name}' is ${found}; give a whole number of at least ${least}`);
  }
}

function withoutUndefined(plan: RunPlan = {}): RunPlan {
  return Object.fromEntries(Object.entries(plan).filter(([, value]) => value !== undefined));
}
