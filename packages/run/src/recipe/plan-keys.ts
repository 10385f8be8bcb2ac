/** The settings of a plan that users make: flags and recipes have the same names. */
import type { RunPlan } from "@secateur/core";

/** One settable field of a plan: its reason is not for the user to set. */
export type PlanKey = Exclude<keyof RunPlan, "reason">;

/** Every settable field, and whether only a solver with gradients reads it. */
const isOfGradients: { readonly [K in PlanKey]-?: boolean } = {
  stages: false,
  targetStages: false,
  schedule: false,
  from: false,
  regrow: false,
  growth: true,
  curvature: true,
  examples: true,
  targetExamples: true,
  batch: true,
  ridge: true,
  ridgeFactors: true,
  temperature: true,
  firstOrder: true,
  distill: true,
  lineSearch: true,
  tryMagnitude: true,
};

/** The settable fields of a plan: their flags have these names in kebab-case. */
export const planKeys: readonly PlanKey[] = Object.keys(isOfGradients) as PlanKey[];

/** The fields that only a solver with gradients reads. */
export const gradientPlanKeys: readonly PlanKey[] = planKeys.filter((key) => isOfGradients[key]);
