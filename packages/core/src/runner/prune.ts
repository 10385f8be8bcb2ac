/**
 * The runner: model + data -> curvature -> problem -> solver -> model, in one stage or many. At every stage the gradients
 * are taken afresh at the present weights (CHITA++, Benbaki et al. 2023, section 4), so each local model is trusted only
 * as far as the stage goes.
 */
import { type BoundBudget, bindBudget } from "../budget/bound-budget.ts";
import type { Budget, Limit } from "../budget/budget.ts";
import { countKept, keptCount } from "../budget/constraint.ts";
import { weightMask } from "../budget/stack-units.ts";
import { weightUnits } from "../budget/units.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { badBudget, curvatureMissing, layersNeeded, resumeMismatch, shapeMismatch, unknownName } from "../errors.ts";
import { countZeros, type FlatParam, layoutParams, readFlat, writeFlat } from "../problem/flat-weights.ts";
import type { Mask } from "../problem/matrix.ts";
import type { Note } from "../problem/note.ts";
import type { Solver } from "../problem/strategy.ts";
import {
  createRunContext,
  forkContext,
  type RunContext,
  type RunContextOptions,
  throwIfAborted,
} from "../run-context.ts";
import { chooseTask } from "../task/choose-task.ts";
import { distillation } from "../task/distillation.ts";
import type { Task } from "../task/task.ts";
import { taughtDataset } from "../task/taught-dataset.ts";
import type { Taken } from "./accept-step.ts";
import type { CurvatureEstimator, Estimators } from "./curvature-estimator.ts";
import { describeDifferences } from "./describe-differences.ts";
import { finishRun, type RunLoss, sparserNote } from "./finish-run.ts";
import { splitHeldOut } from "./held-out.ts";
import { measureLoss } from "./measure-loss.ts";
import type { ResolvedPlan, RunPlan, UsedPlan } from "./plan.ts";
import { planSparsities, resolvePlan } from "./resolve-plan.ts";
import { runSituation } from "./run-situation.ts";
import { type BudgetRule, nextDampingFactor, runStage, type StageReport, stageConstraint } from "./stage.ts";
import { reportNotesOnce } from "./stage-notes.ts";

/** What to prune, with what, how far. Only the first four matter to most users. */
export interface PruneRequest extends RunContextOptions {
  /** Changed in place: holds the pruned weights afterwards. */
  readonly model: Model;
  readonly solver: Solver;
  /** Fraction of the prunable weights to remove, in [0, 1): short for the limit { kind: "weights", amount: 1 - sparsity }. */
  readonly sparsity?: number;
  /**
   * Training data, for gradients and to accept steps by; may be left out when the solver needs no curvature (magnitude). Nothing is then
   * known of losses.
   */
  readonly data?: Dataset;
  /** Examples on which steps are accepted, of which no gradient is taken; default: a share of the training data, where it is large enough. */
  readonly heldOut?: Dataset;
  /** What the outputs mean; default: what {@link chooseTask} takes for the data. */
  readonly task?: Task;
  /**
   * What estimates the curvature, or several by name, such as `estimators` of @secateur/fisher, of which the plan takes one. Default:
   * H = I, which is all that magnitude pruning needs.
   */
  readonly curvature?: CurvatureEstimator | Estimators;
  /** Names of the parameters to prune; default: every prunable one. */
  readonly params?: readonly string[];
  /** Overrides of the solver's own plan. */
  readonly plan?: RunPlan;
  /**
   * Called whenever weights of a stage have been written, before the model is differentiated or judged with them: for what
   * follows from weights and data, such as the statistics of batch normalisation. The weights that come in are taken as settled.
   */
  readonly settle?: (ctx: RunContext) => Promise<void>;
  /**
   * Limits, and what is kept or removed together; or a rule that spreads the weights that `sparsity` keeps over the layers. Default: single
   * weights anywhere, the largest scores of the whole network.
   */
  readonly budget?: Budget | BudgetRule;
  /** Flat mask of what an earlier run kept; default: every weight that is not zero. */
  readonly mask?: Mask;
  /** Called after every stage with all that is needed to go on from there. */
  readonly onStage?: (state: RunState) => void | Promise<void>;
  /** Continue from a state of `onStage` of the same run: the result is the same bytes as without the interruption. */
  readonly resume?: RunState;
}

/** A run between two stages. */
export interface RunState {
  /** Stages done. */
  readonly stage: number;
  /** Flat prunable weights after that stage. */
  readonly weights: Float32Array;
  /** Their mask [p]: a kept weight may happen to be zero. */
  readonly mask: Mask;
  /** Identifies the run: sizes, plan, seed, kernels. */
  readonly fingerprint: string;
  readonly reports: readonly StageReport[];
}

/** One parameter after pruning. */
export interface LayerReport {
  readonly name: string;
  readonly shape: readonly number[];
  /** Number of weights. */
  readonly size: number;
  /** How many of them are not zero. */
  readonly nonzeros: number;
  /** tr((W - R) H (W - R)') / tr(W H W'), where it was pruned as a layer. */
  readonly relativeError?: number;
}

/** What a run gave. The weights are in the model. */
export interface PruneResult {
  /** The sparsity reached: 1 - kept / prunable, of what is in the model. */
  readonly sparsity: number;
  /** Kept weights (the ones in the mask; a kept weight may happen to be zero). */
  readonly kept: number;
  /** Non-zero prunable weights. */
  readonly nonzeros: number;
  /** Number of prunable weights. */
  readonly prunable: number;
  /** Of the last stage; 0 without stages. */
  readonly objective: number;
  readonly layers: readonly LayerReport[];
  readonly stages: readonly StageReport[];
  /** What the weights are: of the last stage, unless all stages together were worse than a mask alone. */
  readonly taken: Taken;
  /** Mean loss before and after; absent without examples or a model that cannot be evaluated. */
  readonly loss?: RunLoss;
  /** What has to be said, of the stages and of the whole run; each was an event too, once. */
  readonly notes: readonly Note[];
  /** The plan in force, defaults filled in; without what only gradients use where none were taken. */
  readonly plan: UsedPlan;
  /** Flat mask over the prunable weights, in the order of `layers`. */
  readonly mask: Mask;
  readonly timing: { readonly gradientMs: number; readonly solveMs: number; readonly totalMs: number };
}

/**
 * Prunes a model in place.
 *
 * @returns sparsities, objectives, timings by stage and layer; the weights are in the model
 * @throws ERR_SPARSITY_RANGE, ERR_IMPOSSIBLE, ERR_INCOMPATIBLE, ERR_NOT_FINITE, ERR_RESUME, ERR_ABORTED
 */
export async function prune(request: PruneRequest): Promise<PruneResult> {
  const { model, resume, seed = 0 } = request;
  const ctx = reportNotesOnce(createRunContext(request));
  const started = ctx.now();
  const params = layoutParams(model, request.params);
  const original = await readFlat(model, params);
  const prunable = original.length;
  const { sparsity, bound, rule } = budgetOf(request, params);
  const situation = runSituation({ ...request, params, weights: original, sparsity });
  const fixed = request.curvature && isEstimator(request.curvature) ? { curvature: request.curvature.name } : {};
  const plan = resolvePlan(request.solver, situation, { ...fixed, ...request.plan });
  const { curvature: _given, budget: _budget, ...spec } = request;
  const limits = { ...(bound ? { bound } : {}), ...(rule ? { rule } : {}) };
  const units = bound?.units ?? weightUnits(prunable);
  const curvature = estimatorOf(request, plan);
  const start = request.mask?.slice() ?? Uint8Array.from(original, (value) => (value === 0 ? 0 : 1));
  if (start.length !== prunable) {
    throw shapeMismatch({ where: "prune: mask", found: `${start.length} entries`, expected: `${prunable}` });
  }
  const initial = 1 - countKept(start) / prunable;
  // Nothing is brought back unasked, and where nothing is kept nothing can be pruned.
  const sparsities =
    initial === 1
      ? []
      : planSparsities(plan, sparsity).map((planned) => (bound?.isStructured ? planned : Math.max(planned, initial)));
  const { task, data: told, heldOut, teacher } = await taskOf({ ...request, plan }, ctx);
  const fingerprint = JSON.stringify({
    prunable,
    sparsity,
    seed,
    kernels: ctx.kernels.name,
    ...plan,
    ...(request.budget ? { budget: (bound ?? rule)?.settings } : {}),
    ...(task.name === "classification" ? {} : { task: task.name, taskOptions: task.options, teacher }),
    reason: undefined,
  });
  if (resume && resume.fingerprint !== fingerprint)
    throw resumeMismatch(describeDifferences(resume.fingerprint, fingerprint));
  if (
    resume &&
    !(resume.weights.length === prunable && resume.mask.length === prunable && resume.reports.length === resume.stage)
  ) {
    throw resumeMismatch(
      `it holds ${resume.weights.length} weights and ${resume.reports.length} reports, where ${prunable} weights and ${resume.stage} reports belong`,
    );
  }

  const reports: StageReport[] = [...(resume?.reports ?? [])];
  let weights = resume?.weights.slice() ?? original;
  let mask: Mask = resume?.mask.slice() ?? start;
  const notes: Note[] = [];
  const note = (one: Note | undefined): void => {
    if (!one) return;
    notes.push(one);
    ctx.report({ type: "note", ...one });
  };
  if (!bound?.isStructured) note(sparserNote(sparsity, initial));
  const macs = situation.prunable * (situation.weightReuse ?? 1);
  const split = splitHeldOut(
    { model, plan, macs, ...(told ? { data: told } : {}), ...(heldOut ? { heldOut } : {}) },
    ctx,
  );
  const { data = told, accept, isHeldOut } = split;
  const lossBefore = accept ? await measureLoss({ model, params, w: original, accept, task }, ctx) : undefined;
  ctx.report({ type: "run:start", stages: sparsities.length, sparsity, prunable });
  for (let index = resume?.stage ?? 0; index < sparsities.length; index++) {
    const place = { index, stages: sparsities.length, sparsity: sparsities[index]! };
    throwIfAborted(ctx.signal);
    ctx.report({ type: "stage:start", ...place });
    await writeFlat(model, params, weights);
    const stageContext = forkContext(ctx, `stage ${index}`);
    if (index > 0) await request.settle?.(stageContext);
    const stage = {
      ...{ ...spec, ...limits },
      plan,
      ...(curvature ? { curvature } : {}),
      task,
      isMet: teacher !== undefined && index === 0,
      params,
      weights,
      mask,
      sparsity: place.sparsity,
      sinceTarget: index - plan.stages,
      ...(data ? { data } : {}),
      dampingFactor: accept ? nextDampingFactor(reports.at(-1), plan) : 1,
      ...(accept ? { accept } : {}),
      ...acceptedLossOf(reports),
    };
    const { solution, report } = await runStage(stage, stageContext);
    weights = Float32Array.from(solution.w.data);
    mask = weightMask(units, solution.mask);
    reports.push(report);
    reportStage(ctx, place, report);
    await request.onStage?.({
      stage: index + 1,
      weights: weights.slice(),
      mask: mask.slice(),
      fingerprint,
      reports: [...reports],
    });
  }
  const target = sparsities[sparsities.length - 1] ?? sparsity;
  const finished = await finishRun(
    {
      ...{ model, params, task, isHeldOut, stages: sparsities.length, triesMagnitude: plan.tryMagnitude },
      dense: { weights: original, mask: start },
      last: { weights, mask },
      units,
      constraint: stageConstraint({ ...limits, plan, params, weights: original, mask: start, sparsity: target }, ctx),
      ...(accept ? { accept } : {}),
      ...(lossBefore === undefined ? {} : { lossBefore }),
      ...acceptedLossOf(reports),
      ...(request.settle ? { settle: request.settle } : {}),
    },
    ctx,
  );
  ({ weights, mask } = finished);
  for (const one of finished.notes) note(one);
  const kept = countKept(mask);
  return {
    sparsity: 1 - kept / prunable,
    kept,
    nonzeros: prunable - countZeros(weights),
    prunable,
    objective: reports[reports.length - 1]?.objective ?? 0,
    layers: params.map(({ name, shape, start, size }) => {
      return { name, shape, size, nonzeros: size - countZeros(weights.subarray(start, start + size)) };
    }),
    stages: reports,
    taken: finished.taken ?? reports[reports.length - 1]?.taken ?? "last",
    ...(finished.loss ? { loss: finished.loss } : {}),
    notes: [...reports.flatMap((report) => report.notes), ...notes],
    plan: usedPlan(plan, curvature !== undefined),
    mask,
    timing: {
      gradientMs: reports.reduce((sum, report) => sum + report.gradientMs, 0),
      solveMs: reports.reduce((sum, report) => sum + report.solveMs, 0),
      totalMs: ctx.now() - started,
    },
  };
}

/** The task of a run, and for one that the dense network teaches the data with its outputs. */
async function taskOf(
  {
    model,
    data,
    heldOut,
    task,
    plan,
  }: Pick<PruneRequest, "model" | "data" | "heldOut" | "task"> & { plan: ResolvedPlan },
  ctx: RunContext,
): Promise<{ task: Task; data?: Dataset; heldOut?: Dataset; teacher?: string }> {
  const { distill, temperature } = plan;
  const chosen = distill && !task ? distillation({ temperature }) : (task ?? chooseTask({ model, data }));
  if (chosen !== task && chosen.name !== "classification" && data) noteTask(chosen, data, ctx);
  if (chosen.targetsFrom !== "teacher" || !data) {
    return { task: chosen, ...(data ? { data } : {}), ...(heldOut ? { heldOut } : {}) };
  }
  // Data that carry outputs already have a teacher of their own.
  if (hasOutputs(data, model)) return { task: chosen, data, ...(heldOut ? { heldOut } : {}) };
  const { data: taught, fingerprint } = await taughtDataset({ model, data, task: chosen }, ctx);
  const taughtToo = heldOut ? { heldOut: (await taughtDataset({ model, data: heldOut, task: chosen }, ctx)).data } : {};
  return { task: chosen, data: taught, teacher: fingerprint, ...taughtToo };
}

/** What a request asks to keep. @throws ERR_SPARSITY_RANGE, ERR_BUDGET */
function budgetOf(
  { sparsity, budget }: PruneRequest,
  params: readonly FlatParam[],
): { sparsity: number; bound?: BoundBudget; rule?: BudgetRule } {
  const size = params.reduce((sum, param) => sum + param.size, 0);
  if (sparsity !== undefined) keptCount(size, sparsity); // refuses a bad sparsity before any work
  if (!budget || "constraint" in budget) {
    if (sparsity === undefined)
      throw badBudget("nothing says how far to prune; give a sparsity, or a budget with a limit");
    return { sparsity, ...(budget ? { rule: budget } : {}) };
  }
  const short: readonly Limit[] = sparsity === undefined ? [] : [{ kind: "weights", amount: 1 - sparsity }];
  const bound = bindBudget({ ...budget, limits: [...(budget.limits ?? []), ...short] }, params);
  return { sparsity: bound.sparsity, bound };
}

/** Says what was taken for the task where nobody named one. */
function noteTask({ name }: Task, { targets }: Dataset, ctx: RunContext): void {
  const reason = targets
    ? `for targets ${targets.map((target) => target.name).join(", ")}`
    : "because the data have no targets";
  ctx.report({ type: "note", level: "info", code: "task", message: `the task is ${name}, ${reason}` });
}

function hasOutputs({ targets = [] }: Dataset, { outputs }: Model): boolean {
  return outputs.length > 0 && outputs.every(({ name }) => targets.some((target) => target.name === name));
}

function isEstimator(curvature: CurvatureEstimator | Estimators): curvature is CurvatureEstimator {
  return typeof curvature["estimate"] === "function" && typeof curvature["name"] === "string";
}

/** What estimates the curvature; nothing for a solver that needs none and is given none. @throws ERR_IMPOSSIBLE, ERR_INCOMPATIBLE, ERR_UNKNOWN_NAME */
function estimatorOf({ curvature, solver }: PruneRequest, plan: ResolvedPlan): CurvatureEstimator | undefined {
  const needsCurvature = (solver.needs.curvature ?? []).length > 0;
  if (!curvature) {
    // Without a curvature every such solver would be magnitude pruning under another name.
    if (solver.scope === "layers") throw layersNeeded(solver.name ?? "the solver");
    if (needsCurvature && solver.plan) throw curvatureMissing(solver.name ?? "the solver", plan.curvature);
    return undefined;
  }
  if (isEstimator(curvature)) return curvature;
  if (!needsCurvature) return undefined;
  const make = curvature[plan.curvature];
  if (!make) {
    const known = Object.keys(curvature);
    throw unknownName({ where: "prune", what: "curvature", found: plan.curvature, known });
  }
  return make();
}

/** The loss of the weights that the last stage left, where it measured one. */
function acceptedLossOf(reports: readonly StageReport[]): { readonly lastLoss?: number } {
  const lastLoss = reports[reports.length - 1]?.acceptedLoss;
  return lastLoss === undefined ? {} : { lastLoss };
}

function usedPlan(plan: ResolvedPlan, takesGradients: boolean): UsedPlan {
  if (takesGradients) return plan;
  const { stages, targetStages, schedule, from, regrow, reason } = plan;
  return { stages, targetStages, schedule, from, regrow, reason };
}

function reportStage(
  ctx: RunContext,
  place: { index: number; stages: number; sparsity: number },
  report: StageReport,
): void {
  const { objective, status, nonzeros, gradientMs, solveMs, stats, loss } = report;
  ctx.report({ type: "solve:end", problem: "network", objective, status });
  const values = loss === undefined ? stats : { ...stats, loss };
  ctx.report({ type: "stage:end", ...place, objective, nonzeros, gradientMs, solveMs, values });
}
