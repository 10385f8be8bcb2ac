/** Everything about a run that is fixed before its first stage: what is pruned, by which stages, with what, and on which examples it is measured. */
import { type BoundBudget, bindBudget } from "../budget/bound-budget.ts";
import type { Budget, Limit } from "../budget/budget.ts";
import { countKept, keptCount, keptFraction } from "../budget/constraint.ts";
import { type Units, weightUnits } from "../budget/units.ts";
import type { Dataset } from "../data/dataset.ts";
import {
  badBudget,
  badOption,
  curvatureMissing,
  impossibleRun,
  layersNeeded,
  shapeMismatch,
  unknownName,
} from "../errors.ts";
import { type FlatParam, layoutParams, readFlat } from "../problem/flat-weights.ts";
import type { Mask } from "../problem/matrix.ts";
import type { RunContext } from "../run-context.ts";
import type { ResolvedPlan, RunSituation } from "../stages/plan.ts";
import { runSituation } from "../stages/run-situation.ts";
import { assertRising, makeStages, type Scope, type Stage } from "../stages/stage.ts";
import type { Task } from "../task/task.ts";
import type { CurvatureEstimator, Estimators } from "./curvature-estimator.ts";
import { type Split, splitHeldOut, splitOfLayers } from "./held-out.ts";
import { assertLayerBudget } from "./layers/layer-budget.ts";
import { fitsTask, layersTask, taskOf } from "./pose-run-task.ts";
import type { PruneRequest } from "./prune.ts";
import { stageConstraint } from "./stage-constraint.ts";

/** A run about to begin. */
export interface OpenRun extends Split {
  readonly params: readonly FlatParam[];
  /** Flat weights as they come in, and their mask [p]. */
  readonly weights: Float32Array;
  readonly mask: Mask;
  /** The sparsity to reach, for messages and reports. */
  readonly sparsity: number;
  readonly plan: ResolvedPlan;
  /** What the plan was made for. */
  readonly situation: RunSituation;
  readonly stages: readonly Stage[];
  readonly units: Units;
  /** Absent: single weights anywhere. */
  readonly bound?: BoundBudget;
  /** Absent for a solver that takes none. */
  readonly estimator?: CurvatureEstimator;
  readonly task: Task;
  /** The examples that the caller held out, of which nothing is trained. */
  readonly heldOut?: Dataset;
  /** Whether the dense network's own outputs are the targets, taken when the run was opened. */
  readonly hasTeacher: boolean;
  /** What a saved state must agree in. */
  readonly fingerprint: string;
}

/** Reads the model, makes the stages, settles the task. @throws ERR_SPARSITY_RANGE, ERR_BUDGET, ERR_IMPOSSIBLE, ERR_INCOMPATIBLE, ... */
export async function openRun(request: PruneRequest, ctx: RunContext): Promise<OpenRun> {
  const { model, seed = 0, retrain } = request;
  const params = layoutParams(model, request.params);
  const weights = await readFlat(model, params);
  const mask = request.mask?.slice() ?? Uint8Array.from(weights, (value) => (value === 0 ? 0 : 1));
  if (mask.length !== weights.length) {
    throw shapeMismatch({ where: "prune: mask", found: `${mask.length} entries`, expected: `${weights.length}` });
  }
  const { sparsity, bound } = budgetOf(request, params);
  const scope = scopeOf(request);
  // Layers are calibrated on all examples.
  const sparedNone = scope.kind === "layers" ? { heldOut: 0 } : {};
  const situation = { ...runSituation({ ...request, params, weights, sparsity }), ...sparedNone };
  const fixed = request.curvature && isEstimator(request.curvature) ? { curvature: request.curvature.name } : {};
  const takesGradients = scope.kind === "network" && hasEstimator(request);
  const reached = 1 - countKept(mask) / weights.length;
  const { plan, stages } = makeStages({
    ...{ solver: request.solver, situation, takesGradients, scope, overrides: { ...fixed, ...request.plan } },
    // Limits on other things than weights say nothing about how many weights are zero already.
    reached: bound?.isStructured && reached < 1 ? 0 : reached,
    ...(retrain ? { phases: retrain.phases } : {}),
    ...(bound?.isStructured ? { limitsAt: bound.limitsAt } : {}),
  });
  if (scope.kind === "layers") assertLayerBudget(bound);
  // What the last stage cannot reach is said before the first, with the numbers of the last.
  if (bound?.allocation)
    stageConstraint({ bound, params, weights, mask, stage: { sparsity: bound.sparsity, regrow: true } }, ctx);
  const estimator = scope.kind === "network" ? estimatorOf(request, plan) : undefined;
  const layered = scope.kind === "layers" ? layersTask(request, ctx) : undefined;
  const { task, teacher, data, heldOut } = layered ?? (await taskOf({ ...request, plan }, ctx));
  const fingerprint = JSON.stringify({
    ...{ prunable: weights.length, sparsity, seed, kernels: ctx.kernels.name, ...plan },
    ...{
      solver: request.solver.name,
      params: params.map(({ name }) => name),
      size: data?.size,
      heldOut: heldOut?.size,
    },
    ...(bound ? { budget: bound.settings } : {}),
    ...(task.name === "classification" ? {} : { task: task.name, taskOptions: task.options, teacher }),
    reason: undefined,
    ...(scope.kind === "layers"
      ? { scope, layers: request.layers!.loop.settings, layerCurvature: request.layers!.curvature.name }
      : {}),
    ...(retrain
      ? {
          phases: stages.flatMap(({ sparsity: reached, train }) => (train ? [{ sparsity: reached, ...train }] : [])),
          schedule: retrain.schedule,
          retrainer: retrain.retrainer.settings,
          patience: retrain.earlyStopping?.patience,
          rewinds: retrain.rewindTo !== undefined,
        }
      : {}),
  });
  const macs = situation.prunable * (situation.weightReuse ?? 1);
  const examples = { ...(data ? { data } : {}), ...(heldOut ? { heldOut } : {}) };
  const wanted: Split = !layered
    ? splitHeldOut({ model, plan: mostRows(plan, stages), macs, ...examples }, ctx)
    : layered.isCompared
      ? splitOfLayers({ macs, ...examples }, ctx)
      : { isHeldOut: false };
  const isUnsure = layered !== undefined && request.task === undefined && wanted.accept !== undefined;
  const fits = !isUnsure || (await fitsTask({ model, data: wanted.accept!, task }, ctx));
  const split: Split = fits ? wanted : { isHeldOut: false };
  return {
    ...{ params, weights, mask, sparsity, plan, situation, stages, units: bound?.units ?? weightUnits(weights.length) },
    ...{ task, hasTeacher: teacher !== undefined, fingerprint },
    ...(bound ? { bound } : {}),
    ...(estimator ? { estimator } : {}),
    ...examples,
    ...split,
  };
}

/** What is one problem. @throws ERR_INCOMPATIBLE for layers without what poses and solves them, ERR_IMPOSSIBLE without examples */
function scopeOf({ scope, layers, solver, data }: PruneRequest): Scope {
  const chosen: Scope = scope ?? (layers ? { kind: "layers", inputs: "sequential" } : { kind: "network" });
  if (chosen.kind === "network") return chosen;
  if (!layers) throw layersNeeded(solver.name ?? "the solver");
  if (!data) throw impossibleRun("scope layers needs calibration examples; give 'data'");
  return chosen;
}

/** A plan with the most gradient rows that any stage takes. */
function mostRows(plan: ResolvedPlan, stages: readonly Stage[]): ResolvedPlan {
  return { ...plan, examples: Math.max(plan.examples, ...stages.map(({ curvature }) => curvature?.rows ?? 0)) };
}

/** What a request asks to keep. @throws ERR_SPARSITY_RANGE, ERR_BUDGET */
function budgetOf(
  { budget, retrain, ...request }: PruneRequest,
  params: readonly FlatParam[],
): { sparsity: number; bound?: BoundBudget } {
  const size = params.reduce((sum, param) => sum + param.size, 0);
  if (retrain) assertRising(retrain.phases.map((phase) => phase.sparsity));
  const last = retrain?.phases[retrain.phases.length - 1]?.sparsity;
  if (last !== undefined && request.sparsity !== undefined && Math.abs(last - request.sparsity) > 1e-9) {
    throw badOption(
      "prune",
      `sparsity is ${request.sparsity} and the last phase of the retraining goes to ${last}; leave 'sparsity' out, or make the phases for it`,
      { sparsity: request.sparsity, last },
    );
  }
  const given: Budget = budget && "constraint" in budget ? { allocation: budget } : (budget ?? {});
  const hasLimits = (given.limits ?? []).length > 0;
  // The phases of a schedule say how far on the way to other limits each goes.
  const sparsity = request.sparsity ?? (hasLimits ? undefined : last);
  if (sparsity !== undefined) keptCount(size, sparsity); // refuses a bad sparsity before any work
  if (!budget) {
    if (sparsity === undefined)
      throw badBudget("nothing says how far to prune; give a sparsity, or a budget with a limit");
    return { sparsity };
  }
  const short: readonly Limit[] = sparsity === undefined ? [] : [{ kind: "weights", amount: keptFraction(sparsity) }];
  const bound = bindBudget({ ...given, limits: [...(given.limits ?? []), ...short] }, params);
  if (last !== undefined && last < bound.sparsity - 1e-9) {
    throw badBudget(
      `its limits need a sparsity of about ${bound.sparsity.toPrecision(3)}, and the last phase goes to ${last}; make the phases for that sparsity`,
    );
  }
  // Where the sparsity decides, it is the one that was asked for, to the last bit.
  const isDecisive = sparsity !== undefined && Math.abs(bound.sparsity - sparsity) < 1e-12;
  return { sparsity: isDecisive ? sparsity : bound.sparsity, bound };
}

function isEstimator(curvature: CurvatureEstimator | Estimators): curvature is CurvatureEstimator {
  return typeof curvature["estimate"] === "function" && typeof curvature["name"] === "string";
}

/** Whether the solver is given a curvature: one that was made for the run, or of several named ones where it needs any. */
function hasEstimator({ curvature, solver }: PruneRequest): boolean {
  return curvature !== undefined && (isEstimator(curvature) || (solver.needs.curvature ?? []).length > 0);
}

/** What estimates the curvature; nothing for a solver that needs none and is given none. @throws ERR_IMPOSSIBLE, ERR_INCOMPATIBLE, ERR_UNKNOWN_NAME */
function estimatorOf(request: PruneRequest, plan: ResolvedPlan): CurvatureEstimator | undefined {
  const { curvature, solver } = request;
  if (!curvature) {
    // Without a curvature every such solver would be magnitude pruning under another name.
    if (solver.scope === "layers") throw layersNeeded(solver.name ?? "the solver");
    const needsCurvature = (solver.needs.curvature ?? []).length > 0;
    if (needsCurvature && solver.plan) throw curvatureMissing(solver.name ?? "the solver", plan.curvature);
    return undefined;
  }
  if (isEstimator(curvature)) return curvature;
  if (!hasEstimator(request)) return undefined;
  const make = curvature[plan.curvature];
  if (!make) {
    const known = Object.keys(curvature);
    throw unknownName({ where: "prune", what: "curvature", found: plan.curvature, known });
  }
  return make();
}
