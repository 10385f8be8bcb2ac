/** Turns what the user set, what the solver advises and the defaults into one plan, and the plan into sparsities. */

import { sparsitySchedule } from "../budget/sparsity-schedule.ts";
import { checkNumber } from "../check-option.ts";
import { badOption, impossibleRun } from "../errors.ts";
import type { Solver } from "../problem/strategy.ts";
import type { PruneError } from "../prune-error.ts";
import { heldOutCount } from "../runner/held-out.ts";
import type { ResolvedPlan, RunPlan, RunSituation } from "./plan.ts";

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
  distill: false,
  lineSearch: false,
  tryMagnitude: false,
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
  const { examples, prunable, weightReuse = 1 } = situation;
  const spared = examples - (situation.heldOut ?? heldOutCount(examples, prunable * weightReuse));
  const asked = {
    ...situation,
    examples: spared,
    ...(stages === undefined ? {} : { stages }),
    ...(targetStages === undefined ? {} : { targetStages }),
    ...(curvature === undefined ? {} : { curvature }),
  };
  const advice = solver.plan?.(asked) ?? {};
  // Unless the user has split them, the stages asked for are the solver's to split into rising ones and ones at the target; advice of
  // another number of stages splits nothing, and what was asked for holds.
  const advised = (advice.stages ?? 0) + (advice.targetStages ?? defaultPlan.targetStages);
  const splits =
    advice.stages !== undefined && targetStages === undefined && (stages === undefined || stages === advised);
  const chosen = {
    ...defaultPlan,
    ...decided(advice),
    ...decided(splits ? { ...overrides, stages: advice.stages } : overrides),
    ...(overrides.examples === undefined ? {} : { targetExamples: overrides.targetExamples ?? overrides.examples }),
  };
  const inAll = chosen.stages + chosen.targetStages;
  const isOther = advice.stages !== undefined && inAll !== advised;
  const why = isOther ? `${inAll} ${inAll === 1 ? "stage" : "stages"}, as asked` : advice.reason;
  const plan: ResolvedPlan = { ...chosen, reason: overrides.reason ?? why ?? defaultReason(chosen) };
  assertPlan(plan);
  const { from } = overrides;
  // Refused by the schedule itself; a single stage would not come to ask it.
  if (from !== undefined && from > Math.max(situation.sparsity, situation.initialSparsity)) {
    sparsitySchedule({ name: plan.schedule, stages: plan.stages, target: situation.sparsity, from });
  }
  const rowsOf = (count: number): number =>
    examples > 0 ? Math.max(1, Math.floor(count / plan.batch)) : Number.POSITIVE_INFINITY;
  // Only what the user asked for is refused; advice bends to the data at hand.
  const asksExamples = overrides.examples !== undefined || overrides.batch !== undefined;
  const asksAtTarget = overrides.examples !== undefined || overrides.targetExamples !== undefined;
  const rowsFor = (asks: boolean, rows: number): number => {
    const most = rowsOf(asks ? examples : spared);
    if (asks && rows > most) throw tooFewExamples(rows, plan.batch, examples);
    return Math.min(rows, most);
  };
  return {
    ...plan,
    examples: rowsFor(asksExamples, plan.examples),
    targetExamples: rowsFor(asksAtTarget, plan.targetExamples),
  };
}

function tooFewExamples(rows: number, batch: number, examples: number): PruneError {
  return impossibleRun(
    `plan: ${rows} rows of ${batch} examples need ${rows * batch} training examples and there are ${examples}; lower examples or batch`,
    { rows, batch, examples },
  );
}

/** The sparsity of every stage of a plan: the schedule, then the stages at the target. @throws as sparsitySchedule */
export function planSparsities(plan: ResolvedPlan, target: number): readonly number[] {
  const { schedule, stages, targetStages, from } = plan;
  const start = stages === 1 ? Math.min(from, target) : from;
  const rising = sparsitySchedule({ name: schedule, stages, target, from: start });
  return [...rising, ...Array.from({ length: targetStages }, () => target)];
}

function assertPlan(plan: ResolvedPlan): void {
  checkNumber("plan", "stages", plan.stages, { least: 1, most: 1000, whole: true });
  checkNumber("plan", "targetStages", plan.targetStages, { least: 0, most: 1000, whole: true });
  checkNumber("plan", "examples", plan.examples, { least: 1, whole: true });
  checkNumber("plan", "targetExamples", plan.targetExamples, { least: 1, whole: true });
  checkNumber("plan", "batch", plan.batch, { least: 1, whole: true });
  if (plan.ridge !== "auto") checkNumber("plan", "ridge", plan.ridge, { least: 0 });
  if (plan.ridgeFactors.length === 0)
    throw badOption("plan", "option 'ridgeFactors' is empty; give at least one number");
  for (const factor of plan.ridgeFactors) checkNumber("plan", "ridgeFactors", factor, { least: 0 });
  checkNumber("plan", "growth", plan.growth, { least: 0 });
  checkNumber("plan", "temperature", plan.temperature, { least: 0, above: true });
}

type Decided = { [Key in keyof RunPlan]?: Exclude<RunPlan[Key], undefined> };

function decided(plan: RunPlan): Decided {
  return Object.fromEntries(Object.entries(plan).filter(([, value]) => value !== undefined)) as Decided;
}
