/** Advice on how a method is run. */
import { type ResolvedPlan, type RunSituation, resolvePlan } from "@secateur/core";
import { ensure } from "../assertions.ts";
import type { Check } from "../check.ts";
import type { SolverSpec } from "./solver-suite.ts";

const situations: readonly RunSituation[] = [
  { sparsity: 0.5, prunable: 100, examples: 20, initialSparsity: 0 },
  { sparsity: 0.9, prunable: 32360, examples: 60000, initialSparsity: 0 },
  { sparsity: 0.98, prunable: 270_000, examples: 5000, initialSparsity: 0.5, weightReuse: 100 },
  { sparsity: 0.98, prunable: 32360, examples: 60000, initialSparsity: 0, stages: 3, curvature: "empirical-fisher" },
  { sparsity: 0, prunable: 1, examples: 1, initialSparsity: 0 },
];

/** Checks of `plan`, for solvers that have one. */
export function planChecks({ create }: SolverSpec): readonly Check[] {
  return [
    {
      name: "plans runs that can be carried out, the same for the same situation",
      async run() {
        const solver = await create();
        for (const situation of situations) {
          const label = `the plan for ${JSON.stringify(situation)}`;
          const plan = resolvePlan(solver, situation);
          ensurePlan(plan, label);
          const again = JSON.stringify(resolvePlan(solver, situation));
          ensure(again === JSON.stringify(plan), () => `${label}: changes from call to call`);
        }
      },
    },
  ];
}

function ensurePlan(plan: ResolvedPlan, label: string): void {
  const wholes = { stages: 1, targetStages: 0, examples: 1, targetExamples: 1, batch: 1 } as const;
  for (const [key, least] of Object.entries(wholes)) {
    const value = plan[key as keyof typeof wholes];
    ensure(
      Number.isInteger(value) && value >= least,
      () => `${label}: ${key} is ${value}, expected a whole number of at least ${least}`,
    );
  }
  const { ridge, temperature, from, growth, ridgeFactors } = plan;
  ensure(ridge === "auto" || (Number.isFinite(ridge) && ridge >= 0), () => `${label}: ridge is ${ridge}`);
  ensure(temperature > 0, () => `${label}: temperature is ${temperature}, expected more than 0`);
  ensure(from >= 0 && from < 1, () => `${label}: from is ${from}, expected a sparsity in [0, 1)`);
  ensure(Number.isFinite(growth) && growth >= 0, () => `${label}: growth is ${growth}, expected at least 0`);
  ensure(ridgeFactors.length > 0 && ridgeFactors.every((factor) => factor > 0), () => {
    return `${label}: ridgeFactors are ${ridgeFactors.join(", ")}, expected positive numbers`;
  });
}
