/** One stage of a run: estimate the curvature at the present weights, pose the problem, solve it. */

import type { BoundBudget } from "../budget/bound-budget.ts";
import type { Constraint } from "../budget/constraint.ts";
import { unitMask, weightUnits } from "../budget/units.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { impossibleRun } from "../errors.ts";
import { checkSolution } from "../problem/check-solution.ts";
import { type Curvature, dampingAlone, identityCurvature } from "../problem/curvature.ts";
import { countZeros, type FlatParam } from "../problem/flat-weights.ts";
import { masked } from "../problem/lift.ts";
import { type Mask, type Mat, matrix } from "../problem/matrix.ts";
import { assertNeeds } from "../problem/needs.ts";
import type { Note } from "../problem/note.ts";
import type { Problem, Solution, SolveStatus } from "../problem/problem.ts";
import type { Solver } from "../problem/strategy.ts";
import { isPruneError, type PruneError } from "../prune-error.ts";
import type { RunContext } from "../run-context.ts";
import type { Stage } from "../stages/stage.ts";
import type { Task } from "../task/task.ts";
import { type Attempt, acceptStep, type Candidate, type Taken } from "./accept-step.ts";
import type { CurvatureEstimator, Estimate } from "./curvature-estimator.ts";
import { measureLoss } from "./measure-loss.ts";
import { stageConstraint } from "./stage-constraint.ts";
import { collectNotes, curvatureIsZero, notesOn } from "./stage-notes.ts";

/** All that one stage works on. */
export interface StageRun {
  readonly stage: Stage;
  readonly model: Model;
  readonly solver: Solver;
  readonly curvature?: CurvatureEstimator;
  readonly data?: Dataset;
  /** What is kept; absent: single weights anywhere. */
  readonly bound?: BoundBudget;
  readonly params: readonly FlatParam[];
  /** Flat weights before the stage. */
  readonly weights: Float32Array;
  /** Flat mask before the stage. */
  readonly mask: Mask;
  /** Multiple of an automatic ridge that the stage starts from. */
  readonly dampingFactor: number;
  /** Where steps are accepted, see splitHeldOut; absent: every step is. */
  readonly accept?: Dataset;
  /** Mean loss there before the stage, where the one before has measured it. */
  readonly lastLoss?: number;
  readonly task: Task;
  /** Whether the loss has no slope yet, as that of distillation before the first stage: the dense network meets its own outputs. */
  readonly isMet: boolean;
  /** See PruneRequest. */
  readonly recalibrate?: (ctx: RunContext) => Promise<void>;
}

/** The largest multiple of the automatic ridge that shortened steps lead to, and how fast where no step was accepted at all. */
const mostDampingFactor = 512;
const raiseWithoutStep = 8;

/** What a layer pruned from its own inputs says. */
export interface LayerNumbers {
  /** tr((W - R) H (W - R)') / tr(W H W') of the weights R it was left with. */
  readonly relativeError: number;
  /** The same of its dense weights with the zeros of R. */
  readonly maskedError: number;
  /** Of its solver. */
  readonly solveMs: number;
  /** How its solver ended; of several groups of one convolution the worst. */
  readonly status: SolveStatus;
  /** Which of its algorithms the solver took, where it has several. */
  readonly method?: string;
}

/** One stage, reported. */
export interface StageReport {
  /** Fraction of the weights that the stage prunes to. */
  readonly sparsity: number;
  /** Weights that are not zero after it. */
  readonly nonzeros: number;
  /** Q of the stage's own local model; in scope "layers" the mean relative error of the layers. */
  readonly objective: number;
  readonly status: SolveStatus;
  /** Which of its algorithms the solver took, where it has several. */
  readonly method?: string;
  /** Mean training loss (nats) of the examples that gave the gradients, before the stage; absent without gradients. */
  readonly loss?: number;
  /** Damping added to the curvature, >= 0; absent without gradients, as are the next two. */
  readonly ridge?: number;
  /** Gradient rows that were taken. */
  readonly examples?: number;
  /** Training examples averaged into one row. */
  readonly batch?: number;
  /** What the weights after it are. */
  readonly taken: Taken;
  /** Their mean loss on the examples on which steps are accepted; absent where none were compared. */
  readonly acceptedLoss?: number;
  readonly notes: readonly Note[];
  readonly gradientMs: number;
  readonly solveMs: number;
  readonly stats: Readonly<Record<string, number>>;
  /** Milliseconds of the parts of scope "layers", by name. */
  readonly partsMs?: Readonly<Record<string, number>>;
  /** By parameter, in scope "layers". */
  readonly layers?: Readonly<Record<string, LayerNumbers>>;
  /** The objective over the solver's rounds. */
  readonly trace?: readonly number[];
}

/** Runs one stage. The model must hold `run.weights`, and holds them or a trial's afterwards. */
export async function runStage(run: StageRun, outer: RunContext): Promise<{ solution: Solution; report: StageReport }> {
  const { ctx, notes } = collectNotes(outer);
  const started = ctx.now();
  const estimate = await estimateCurvature(run, ctx);
  const estimated = ctx.now();
  try {
    const candidate = await solveStage(run, estimate, ctx);
    const { solution, factor, step, fullStepObjective } = candidate;
    const { chosen, loss } = estimate ?? {};
    const report: StageReport = {
      sparsity: run.stage.sparsity,
      nonzeros: run.weights.length - countZeros(solution.w.data),
      objective: solution.objective,
      status: solution.status,
      ...(solution.method === undefined ? {} : { method: solution.method }),
      ...(loss === undefined ? {} : { loss }),
      ...(chosen ? { ...chosen, ridge: chosen.ridge * factor } : {}),
      taken: candidate.taken,
      ...(Number.isFinite(candidate.loss) ? { acceptedLoss: candidate.loss } : {}),
      notes,
      gradientMs: estimated - started,
      solveMs: ctx.now() - estimated,
      // The solver's own numbers are those of its full step; that it was shortened stands beside them.
      stats: {
        ...solution.stats,
        ...(step === 1 ? {} : { step }),
        ...(step === 1 || fullStepObjective === undefined ? {} : { fullStepObjective }),
        ...(factor === 1 ? {} : { ridgeFactor: factor }),
      },
      ...(solution.trace ? { trace: solution.trace } : {}),
    };
    return { solution, report };
  } finally {
    estimate?.release();
  }
}

async function estimateCurvature(run: StageRun, ctx: RunContext): Promise<Estimate | undefined> {
  const { stage, curvature, data, model, params, mask, task, isMet } = run;
  if (!curvature) return undefined;
  if (!data)
    throw impossibleRun(`curvature ${curvature.name} needs training data; give 'data'`, { name: curvature.name });
  const { rows: examples, batch, ridge, temperature, firstOrder } = stage.curvature!;
  const names = params.map((param) => param.name);
  return await curvature.estimate(
    {
      ...{ model, data, task, params: names, examples, batch, ridge, temperature, kept: mask },
      firstOrder: firstOrder && !isMet,
      fixedStatistics: run.recalibrate === undefined,
    },
    ctx,
  );
}

function poseProblem(
  run: StageRun,
  constraint: Constraint,
  { curvature, gradient }: { curvature: Curvature; gradient?: Mat },
): Problem {
  const { weights, params, stage, model, data, task } = run;
  return {
    id: "network",
    source: { model, params: params.map(({ name }) => name), task, ...(data ? { data } : {}) },
    w: matrix(1, weights.length, weights),
    curvature,
    ...(gradient ? { gradient } : {}),
    units: run.bound?.units ?? weightUnits(weights.length),
    layers: params,
    regrowFraction: stage.regrowFraction,
    constraint,
  };
}

/** Solves, and takes the best way on. */
async function solveStage(run: StageRun, estimate: Estimate | undefined, ctx: RunContext): Promise<Candidate> {
  const { solver, weights, accept } = run;
  const { lineSearch, tryMagnitude } = run.stage.accept;
  const isAutomatic = estimate?.ridgeIsAutomatic === true;
  const curvatureOf = (factor: number): Curvature => estimate?.curvature(factor) ?? identityCurvature(weights.length);
  const tellsNothing =
    estimate?.chosen.ridge === 0 &&
    curvatureOf(1)
      .diagonal()
      .every((value) => value === 0);
  if (tellsNothing) ctx.report({ type: "note", ...curvatureIsZero(estimate) });
  // The same for every ridge: with an allocation and limits it is found by bisection.
  const constraint = stageConstraint(run, ctx);
  const slope = estimate?.gradient ? { gradient: estimate.gradient } : {};
  const pose = (factor: number): Problem =>
    tellsNothing
      ? poseProblem(run, constraint, { curvature: dampingAlone(weights.length) })
      : poseProblem(run, constraint, { ...slope, curvature: curvatureOf(factor) });
  const who = solver.name ?? "the solver";
  const solve = async (factor: number): Promise<Attempt> => {
    const problem = pose(factor);
    assertNeeds(who, solver.needs, problem);
    const solution = await solver.solve(problem, ctx);
    await checkSolution(problem, solution, who);
    return { problem, solution, factor };
  };
  const factors = isAutomatic ? ridgeFactorsOf(run) : [1];
  let failure: PruneError | undefined;
  const attempt = async (factor: number): Promise<Attempt | undefined> => {
    try {
      return await solve(factor);
    } catch (error) {
      // More damping, or no step, helps against these; a ridge that was asked for is not changed in silence.
      if (!isAutomatic || !accept || !isPruneError(error) || !numericalFailures.includes(error.code)) throw error;
      failure = error;
      return undefined;
    }
  };
  const first = accept ? await attempt(factors[0]!) : await solve(factors[0]!);
  if (first && (!accept || (!estimate && isUnchanged(first)))) {
    return { ...first, taken: "step", step: 1, fullStepObjective: first.solution.objective, loss: Number.NaN };
  }
  const problem = first?.problem ?? pose(factors[0]!);
  const candidate = await acceptStep({
    measure: (w) => measureLoss({ ...run, accept: accept!, w }, ctx),
    attempt: async (factor) => (factor === factors[0] ? first : await attempt(factor)),
    ...{ factors, problem, mask: unitMask(problem.units, run.mask) },
    canRaise: isAutomatic && !tellsNothing && estimate.chosen.ridge > 0,
    shortens: lineSearch,
    mayStay: lineSearch,
    ...(run.lastLoss === undefined ? {} : { lastLoss: run.lastLoss }),
    triesMagnitude: tryMagnitude,
  });
  for (const note of notesOn(candidate, { factors, failure, who })) ctx.report({ type: "note", ...note });
  return candidate;
}

/** Failures of a solver that are the numbers' and not its own. */
const numericalFailures: readonly string[] = ["ERR_SINGULAR", "ERR_OVERFLOW", "ERR_NOT_FINITE"];

/** Whether a solver left the weights it keeps as they were. */
function isUnchanged({ problem, solution }: Attempt): boolean {
  const start = masked(problem.w, problem.units, solution.mask).data;
  return solution.w.data.every((value, j) => value === start[j]);
}

/** Multiples of the automatic ridge to solve with; several compete on examples and need some. */
function ridgeFactorsOf({ stage, dampingFactor, accept }: StageRun): readonly number[] {
  const { ridgeFactors } = stage.curvature!;
  if (!accept && ridgeFactors.length > 1) return [1];
  return ridgeFactors.map((factor) => factor * dampingFactor);
}

/**
 * The multiple of the automatic ridge for the next stage, as in the method of Levenberg and Marquardt: a step that had to be shortened
 * trusted its model too far.
 */
export function nextDampingFactor(report: StageReport | undefined, { curvature }: Stage): number {
  const { ridgeFactors = [] } = curvature ?? {};
  // Where several multiples compete in every stage, the best is found anew each time.
  if (!report || ridgeFactors.length !== 1) return 1;
  const { step = 1, ridgeFactor = 1 } = report.stats;
  const damping = ridgeFactor / ridgeFactors[0]!;
  if (step === 1) return Math.max(1, damping / 2);
  return Math.min(mostDampingFactor, (step === 0 ? raiseWithoutStep : 2) * damping);
}
