/** One stage of a run: estimate the curvature at the present weights, pose the problem, solve it. */
import { type Constraint, sparsityConstraint } from "../budget/constraint.ts";
import { weightUnits } from "../budget/units.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { impossibleRun } from "../errors.ts";
import { type Curvature, identityCurvature } from "../problem/curvature.ts";
import { countZeros, type FlatParam, writeFlat } from "../problem/flat-weights.ts";
import { masked } from "../problem/lift.ts";
import { type Mask, type Mat, matrix } from "../problem/matrix.ts";
import { assertNeeds } from "../problem/needs.ts";
import { objective } from "../problem/objective.ts";
import type { Problem, Solution, SolveStatus } from "../problem/problem.ts";
import type { Solver } from "../problem/strategy.ts";
import { quietContext, type RunContext } from "../run-context.ts";
import type { Task } from "../task/task.ts";
import type { CurvatureEstimator, Estimate } from "./curvature-estimator.ts";
import type { ResolvedPlan } from "./plan.ts";

/** What a rule for the budget may look at. */
export interface BudgetRequest {
  /** Fraction of the weights to remove at this stage, in [0, 1). */
  readonly sparsity: number;
  /** The prunable parameters and their places in the flat vectors. */
  readonly params: readonly FlatParam[];
  /** Flat weights before the stage. */
  readonly weights: Float32Array;
  /** What may be kept [p]: everything, or without regrowth what is kept so far. */
  readonly eligible: Mask | undefined;
}

/** Spreads the weights to keep over the layers. */
export interface BudgetRule {
  /** What decides it, in words: a run is continued only under the same rule. */
  readonly settings: string;
  /** The feasible masks of a stage; they keep floor((1 - sparsity) * weights) weights in all. */
  constraint(request: BudgetRequest, ctx: RunContext): Constraint;
}

/** All that one stage works on. */
export interface Stage {
  readonly model: Model;
  readonly solver: Solver;
  readonly curvature?: CurvatureEstimator;
  readonly data?: Dataset;
  readonly plan: ResolvedPlan;
  readonly budget?: BudgetRule;
  readonly params: readonly FlatParam[];
  /** Flat weights before the stage. */
  readonly weights: Float32Array;
  /** Flat mask before the stage. */
  readonly mask: Mask;
  readonly sparsity: number;
  /** Stages at the target before this one; negative while sparsity still rises. */
  readonly sinceTarget: number;
  /** Multiple of an automatic ridge that the stage starts from. */
  readonly caution: number;
  /** Training examples where steps and ridges are judged, see withJudge; absent: steps are judged on those of the model. */
  readonly judge?: Dataset;
  readonly task: Task;
  /** Whether the loss has no slope yet, as that of distillation before the first stage: the dense network meets its own outputs. */
  readonly isMet: boolean;
  /** See PruneRequest. */
  readonly settle?: (ctx: RunContext) => Promise<void>;
}

/** The largest multiple of the automatic ridge that shortened steps lead to. */
const mostCaution = 64;

/** One stage, reported. */
export interface StageReport {
  /** Fraction of the weights that the stage prunes to. */
  readonly sparsity: number;
  /** Weights that are not zero after it. */
  readonly nonzeros: number;
  /** Q of the stage's own local model. */
  readonly objective: number;
  readonly status: SolveStatus;
  /** Mean training loss (nats) of the examples that gave the gradients, before the stage; absent without gradients. */
  readonly loss?: number;
  /** Damping added to the curvature, >= 0; absent without gradients, as are the next two. */
  readonly ridge?: number;
  /** Gradient rows that were taken. */
  readonly examples?: number;
  /** Training examples averaged into one row. */
  readonly batch?: number;
  readonly gradientMs: number;
  readonly solveMs: number;
  readonly stats: Readonly<Record<string, number>>;
  /** The objective over the solver's rounds. */
  readonly trace?: readonly number[];
}

/** Runs one stage. The model must hold `stage.weights`, and holds them or a trial's afterwards. */
export async function runStage(stage: Stage, ctx: RunContext): Promise<{ solution: Solution; report: StageReport }> {
  const started = ctx.now();
  const estimate = await estimateCurvature(stage, ctx);
  const estimated = ctx.now();
  try {
    const { solution, factor, step, fullStepObjective } = await solveStage(stage, estimate, ctx);
    const { chosen, loss } = estimate ?? {};
    const report: StageReport = {
      sparsity: stage.sparsity,
      nonzeros: stage.weights.length - countZeros(solution.w.data),
      objective: solution.objective,
      status: solution.status,
      ...(loss === undefined ? {} : { loss }),
      ...(chosen ? { ...chosen, ridge: chosen.ridge * factor } : {}),
      gradientMs: estimated - started,
      solveMs: ctx.now() - estimated,
      // What the solver says of itself belongs to the full step.
      stats: {
        ...solution.stats,
        ...(step === 1 ? {} : { step, fullStepObjective }),
        ...(factor === 1 ? {} : { ridgeFactor: factor }),
      },
      ...(solution.trace ? { trace: solution.trace } : {}),
    };
    return { solution, report };
  } finally {
    estimate?.release();
  }
}

async function estimateCurvature(stage: Stage, ctx: RunContext): Promise<Estimate | undefined> {
  const { curvature, data, model, params, plan, mask, sinceTarget } = stage;
  if (!curvature) return undefined;
  if (!data) throw impossibleRun(`curvature ${curvature.name} needs training data; give 'data'`);
  const { batch, ridge, temperature } = plan;
  const { task, isMet } = stage;
  const firstOrder = plan.firstOrder && !isMet;
  const examples = sinceTarget >= 0 ? plan.targetExamples : plan.examples;
  const names = params.map((param) => param.name);
  return await curvature.estimate(
    { model, data, task, params: names, examples, batch, ridge, firstOrder, temperature, kept: mask },
    ctx,
  );
}

function poseProblem(stage: Stage, curvature: Curvature, gradient: Mat | undefined, ctx: RunContext): Problem {
  const { weights, sparsity, plan, mask, params, sinceTarget } = stage;
  const eligible = plan.regrow ? undefined : mask;
  const budget =
    stage.budget?.constraint({ sparsity, params, weights, eligible }, ctx) ??
    sparsityConstraint({ count: weights.length, sparsity, kernels: ctx.kernels });
  const growth = sinceTarget >= 0 && plan.regrow ? plan.growth * (1 - sinceTarget / plan.targetStages) : 0;
  return {
    id: "network",
    w: matrix(1, weights.length, weights),
    curvature,
    ...(gradient ? { gradient } : {}),
    units: weightUnits(weights.length),
    layers: params,
    growth,
    constraint: plan.regrow ? budget : withoutRegrowth(budget, mask),
  };
}

interface Solved {
  readonly solution: Solution;
  /** The multiple of the ridge that won. */
  readonly factor: number;
  /** How much of the way from the masked weights to the solution was gone. */
  readonly step: number;
  /** Q at the end of that way. */
  readonly fullStepObjective: number;
}

/** Solves for every ridge on trial and takes the step of lowest loss. */
async function solveStage(stage: Stage, estimate: Estimate | undefined, ctx: RunContext): Promise<Solved> {
  const { solver, weights } = stage;
  const judge = judgeOf(stage, estimate);
  const factors = estimate?.ridgeIsAutomatic ? ridgeFactorsOf(stage, judge) : [1];
  let best: (Solved & { loss: number }) | undefined;
  for (const factor of factors) {
    const curvature = estimate?.curvature(factor) ?? identityCurvature(weights.length);
    const problem = poseProblem(stage, curvature, estimate?.gradient, ctx);
    assertNeeds("the solver", solver.needs, problem);
    const solution = await solver.solve(problem, ctx);
    const fullStepObjective = solution.objective;
    if (!judge) return { solution, factor, step: 1, fullStepObjective };
    const start = masked(problem.w, problem.units, solution.mask);
    for (const step of stepsOf(stage)) {
      // No step at all keeps the mask of the stage before, too.
      const mask = step === 0 ? stage.mask : solution.mask;
      const w = step === 1 ? solution.w : step === 0 ? problem.w : between(start, solution.w, step);
      await writeFlat(stage.model, stage.params, w.data);
      await stage.settle?.(quietContext(ctx));
      const evaluation = await stage.model.evaluate!(judge, quietContext(ctx), { task: stage.task });
      const loss = Number.isNaN(evaluation.loss) ? Number.POSITIVE_INFINITY : evaluation.loss;
      // A longer step or a smaller ridge wins a tie; once halving stops paying, shorter steps are not tried.
      if (best && !(loss < best.loss)) {
        if (step < 1) break;
        continue;
      }
      best = {
        solution: step === 1 ? solution : { ...solution, w, mask, objective: await objective(problem, w) },
        factor,
        step,
        fullStepObjective,
        loss,
      };
    }
  }
  return best!;
}

/** Multiples of the automatic ridge to solve with: a plan's only one needs no judge, several do. */
function ridgeFactorsOf({ plan, caution }: Stage, judge: Dataset | undefined): readonly number[] {
  if (!judge && plan.ridgeFactors.length > 1) return [1];
  return plan.ridgeFactors.map((factor) => factor * caution);
}

/** Examples that no gradient is taken of; where there are too few to spare any, those that made the model. */
function judgeOf({ model, judge, plan }: Stage, estimate: Estimate | undefined): Dataset | undefined {
  if (!estimate || !model.evaluate) return undefined;
  if (judge) return judge;
  return plan.lineSearch ? estimate.sample : undefined;
}

/** At the target a stage may also leave the weights alone, unless a rule wants them spread in a new way. */
function stepsOf({ plan, sinceTarget, budget }: Stage): readonly number[] {
  if (!plan.lineSearch) return [1];
  return sinceTarget >= 0 && !budget ? [1, 0.5, 0.25, 0] : [1, 0.5, 0.25];
}

/**
 * The multiple of the automatic ridge for the next stage, as in the method of Levenberg and Marquardt: a step that had to be shortened
 * trusted its model too far.
 */
export function nextCaution(report: StageReport | undefined, { ridgeFactors }: ResolvedPlan): number {
  // Several multiples adapt by competing.
  if (!report || ridgeFactors.length !== 1) return 1;
  const { step = 1, ridgeFactor = 1 } = report.stats;
  const caution = ridgeFactor / ridgeFactors[0]!;
  return step < 1 ? Math.min(mostCaution, 2 * caution) : Math.max(1, caution / 2);
}

function between(start: Mat, end: Mat, step: number): Mat {
  return { ...end, data: end.data.map((value, j) => start.data[j]! + step * (value - start.data[j]!)) };
}

/** The same budget among the units that are kept already: what is pruned stays pruned. */
function withoutRegrowth(budget: Constraint, mask: Mask): Constraint {
  return {
    ...budget,
    kind: `${budget.kind} without regrowth`,
    ...(budget.count ? { count: { ...budget.count, eligible: mask } } : {}),
    ...(budget.pattern ? { pattern: { ...budget.pattern, eligible: mask } } : {}),
    // A budget larger than what is left is filled up with pruned units: take those out again.
    select: (score) =>
      budget
        .select(score.map((value, unit) => (mask[unit] === 1 ? value : Number.NEGATIVE_INFINITY)))
        .map((bit, unit) => bit & mask[unit]!),
    ...(budget.relax ? { relax: (factor: number) => withoutRegrowth(budget.relax!(factor), mask) } : {}),
    ...(budget.canSwap
      ? { canSwap: (kept: Mask, out: number, into: number) => mask[into] === 1 && budget.canSwap!(kept, out, into) }
      : {}),
  };
}
