/** Turns what the user set, what the solver advises and the defaults into one plan, and the plan into sparsities. */
import { badOption, impossibleRun } from "./errors.ts";
import type { ResolvedPlan, RunPlan, RunSituation } from "./plan.ts";
import { sparsitySchedule } from "./sparsity-schedule.ts";
import type { Solver } from "./strategy.ts";

/** The plan of a solver that has none: one stage at the target, the usual thousand rows of one example. */
export const defaultPlan: ResolvedPlan = {
  stages: 1,
  targetStages: 0,
  schedule: "geometric",
  from: 0,
  curvature: "empirical-fisher",
  examples: 1000,
  targetExamples: 1000,
  batch: 1,
  ridge: "auto",
  ridgeFactors: [1],
  temperature: 1,
  firstOrder: false,
  lineSearch: false,
  regrow: true,
  growth: 0,
  reason: "",
};

function defaultReason({ stages, targetStages }: ResolvedPlan): string {
  if (stages + targetStages === 1) return "one stage at the target: the solver advises nothing else";
  return `${stages} stages of growing sparsity and ${targetStages} at the target, as asked for`;
}

/**
 * The plan in force: the user's settings before the solver's advice before the defaults.
 *
 * @throws ERR_OPTION for a setting out of range, ERR_IMPOSSIBLE for more examples than there are
 */
export function resolvePlan(solver: Solver, situation: RunSituation, overrides: RunPlan = {}): ResolvedPlan {
  const { stages, targetStages, curvature } = overrides;
  const asked = {
    ...situation,
    ...(stages === undefined ? {} : { stages }),
    ...(curvature === undefined ? {} : { curvature }),
  };
  const advice = solver.plan?.(asked) ?? {};
  // A solver splits the stages asked for into rising ones and ones at the target, unless the user has split them.
  const splits = advice.stages !== undefined && targetStages === undefined;
  const chosen = {
    ...defaultPlan,
    ...decided(advice),
    ...decided(splits ? { ...overrides, stages: advice.stages } : overrides),
    ...(overrides.examples === undefined ? {} : { targetExamples: overrides.targetExamples ?? overrides.examples }),
  };
  const plan: ResolvedPlan = { ...chosen, reason: overrides.reason ?? advice.reason ?? defaultReason(chosen) };
  assertPlan(plan);
  const most = situation.examples > 0 ? Math.max(1, Math.floor(situation.examples / plan.batch)) : plan.examples;
  // Only what the user asked for is refused; advice bends to the data at hand.
  if (plan.examples > most && (overrides.examples !== undefined || overrides.batch !== undefined)) {
    throw impossibleRun(
      `plan: ${plan.examples} rows of ${plan.batch} examples need ${plan.examples * plan.batch} training examples and there are ${situation.examples}; lower examples or batch`,
    );
  }
  return { ...plan, examples: Math.min(plan.examples, most), targetExamples: Math.min(plan.targetExamples, most) };
}

/** The sparsity of every stage of a plan: the schedule, then the stages at the target. @throws as sparsitySchedule */
export function planSparsities(plan: ResolvedPlan, target: number): readonly number[] {
  const { schedule, stages, targetStages, from } = plan;
  const start = stages === 1 ? Math.min(from, target) : from;
  const rising = sparsitySchedule({ name: schedule, stages, target, from: start });
  return [...rising, ...Array.from({ length: targetStages }, () => target)];
}

function assertPlan(plan: ResolvedPlan): void {
  assertWhole("stages", plan.stages, 1);
  assertWhole("targetStages", plan.targetStages, 0);
  assertWhole("examples", plan.examples, 1);
  assertWhole("targetExamples", plan.targetExamples, 1);
  assertWhole("batch", plan.batch, 1);
  const isRidge = (value: number): boolean => value >= 0 && Number.isFinite(value);
  if (plan.ridge !== "auto" && !isRidge(plan.ridge)) {
    throw badOption("plan", `option 'ridge' is ${plan.ridge}; give "auto" or a finite number of at least 0`);
  }
  if (plan.ridgeFactors.length === 0 || !plan.ridgeFactors.every(isRidge)) {
    throw badOption(
      "plan",
      `option 'ridgeFactors' is [${plan.ridgeFactors.join(", ")}]; give finite numbers of at least 0`,
    );
  }
  if (!(plan.growth >= 0 && Number.isFinite(plan.growth))) {
    throw badOption("plan", `option 'growth' is ${plan.growth}; give a finite number of at least 0`);
  }
  if (!(plan.temperature > 0 && Number.isFinite(plan.temperature))) {
    throw badOption("plan", `option 'temperature' is ${plan.temperature}; give a finite number above 0`);
  }
}

function assertWhole(name: string, found: number, least: number): void {
  if (!Number.isInteger(found) || found < least) {
    throw badOption("plan", `option '${name}' is ${found}; give a whole number of at least ${least}`);
  }
}

type Decided = { [Key in keyof RunPlan]?: Exclude<RunPlan[Key], undefined> };

function decided(plan: RunPlan): Decided {
  return Object.fromEntries(Object.entries(plan).filter(([, value]) => value !== undefined)) as Decided;
}
