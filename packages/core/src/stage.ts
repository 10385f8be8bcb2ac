/** One stage of a run: estimate the curvature at the present weights, pose the problem, solve it. */
import { type Constraint, sparsityConstraint } from "./constraint.ts";
import { identityCurvature } from "./curvature.ts";
import type { CurvatureEstimator, Estimate } from "./curvature-estimator.ts";
import type { Dataset } from "./dataset.ts";
import { impossibleRun } from "./errors.ts";
import { countZeros, type FlatParam } from "./flat-weights.ts";
import { type Mask, matrix } from "./matrix.ts";
import type { ModelAdapter } from "./model-adapter.ts";
import { assertNeeds } from "./needs.ts";
import type { RunPlan } from "./plan.ts";
import type { Problem, Solution, SolveStatus } from "./problem.ts";
import type { RunContext } from "./run-context.ts";
import type { Solver } from "./strategy.ts";
import { weightUnits } from "./units.ts";

/** All that one stage works on. */
export interface Stage {
  readonly model: ModelAdapter;
  readonly solver: Solver;
  readonly curvature?: CurvatureEstimator;
  readonly data?: Dataset;
  readonly plan: Required<RunPlan>;
  readonly params: readonly FlatParam[];
  /** Flat weights before the stage. */
  readonly weights: Float32Array;
  /** Flat mask before the stage. */
  readonly mask: Mask;
  readonly sparsity: number;
}

/** One stage, reported. */
export interface StageReport {
  readonly sparsity: number;
  readonly nonzeros: number;
  /** Q of the stage's own local model. */
  readonly objective: number;
  readonly status: SolveStatus;
  /** Mean training loss (nats) of the examples that gave the gradients, before the stage; absent without gradients. */
  readonly loss?: number;
  readonly ridge?: number;
  readonly examples?: number;
  readonly batch?: number;
  readonly gradientMs: number;
  readonly solveMs: number;
  readonly stats: Readonly<Record<string, number>>;
  /** The objective over the solver's rounds. */
  readonly trace?: readonly number[];
}

/** Runs one stage. The model must hold `stage.weights`. */
export async function runStage(stage: Stage, ctx: RunContext): Promise<{ solution: Solution; report: StageReport }> {
  const { solver, weights, sparsity, plan } = stage;
  const started = ctx.now();
  const estimate = await estimateCurvature(stage, ctx);
  const estimated = ctx.now();
  try {
    const size = weights.length;
    const budget = sparsityConstraint({ count: size, sparsity, kernels: ctx.kernels });
    const problem: Problem = {
      id: "network",
      w: matrix(1, size, weights),
      curvature: estimate?.curvature ?? identityCurvature(size),
      ...(estimate?.gradient ? { gradient: estimate.gradient } : {}),
      units: weightUnits(size),
      layers: stage.params,
      constraint: plan.regrow ? budget : withoutRegrowth(budget, stage.mask),
    };
    assertNeeds("the solver", solver.needs, problem);
    const solution = await solver.solve(problem, ctx);
    const report: StageReport = {
      sparsity,
      nonzeros: size - countZeros(solution.w.data),
      objective: solution.objective,
      status: solution.status,
      ...(estimate ? { loss: estimate.loss, ...estimate.chosen } : {}),
      gradientMs: estimated - started,
      solveMs: ctx.now() - estimated,
      stats: solution.stats,
      ...(solution.trace ? { trace: solution.trace } : {}),
    };
    return { solution, report };
  } finally {
    estimate?.release();
  }
}

async function estimateCurvature(stage: Stage, ctx: RunContext): Promise<Estimate | undefined> {
  const { curvature, data, model, params, plan } = stage;
  if (!curvature) return undefined;
  if (!data) throw impossibleRun(`curvature ${curvature.name} needs training data; give 'data'`);
  const { examples, batch, ridge, firstOrder } = plan;
  return await curvature.estimate(
    { model, data, params: params.map((param) => param.name), examples, batch, ridge, firstOrder },
    ctx,
  );
}

/** The same budget among the units that are kept already: what is pruned stays pruned. */
function withoutRegrowth(budget: Constraint, mask: Mask): Constraint {
  return {
    ...budget,
    kind: `${budget.kind} without regrowth`,
    ...(budget.count ? { count: { ...budget.count, eligible: mask } } : {}),
    select: (score) => budget.select(score.map((value, unit) => (mask[unit] === 1 ? value : Number.NEGATIVE_INFINITY))),
    ...(budget.relax ? { relax: (factor: number) => withoutRegrowth(budget.relax!(factor), mask) } : {}),
    ...(budget.canSwap
      ? { canSwap: (kept: Mask, out: number, into: number) => mask[into] === 1 && budget.canSwap!(kept, out, into) }
      : {}),
  };
}
