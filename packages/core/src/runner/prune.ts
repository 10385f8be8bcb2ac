/**
 * The runner: model + data -> curvature -> problem -> solver -> model, over a list of stages, and training where a stage says so. At
 * every stage the gradients are taken afresh at the present weights (CHITA++, Benbaki et al. 2023, section 4), so each local model is
 * trusted only as far as the stage goes. Stages up to a training are a round; all of a round's together are compared with
 * their mask alone before it is trained (Han et al. 2015; Zimmer et al. 2023).
 */
import type { Budget, LimitReached } from "../budget/budget.ts";
import type { BudgetRule } from "../budget/budget-rule.ts";
import { countKept } from "../budget/constraint.ts";
import { unitMask } from "../budget/units.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { countZeros, writeFlat } from "../problem/flat-weights.ts";
import type { Mask } from "../problem/matrix.ts";
import type { Note } from "../problem/note.ts";
import type { Solver } from "../problem/strategy.ts";
import type { Retraining } from "../retraining/retraining.ts";
import type { RoundReport } from "../retraining/round-report.ts";
import { createRunContext, quietContext, type RunContext, type RunContextOptions } from "../run-context.ts";
import type { ResolvedPlan, RunPlan, UsedPlan } from "../stages/plan.ts";
import type { Scope, Stage } from "../stages/stage.ts";
import type { Task } from "../task/task.ts";
import type { Taken } from "./accept-step.ts";
import type { CurvatureEstimator, Estimators } from "./curvature-estimator.ts";
import type { RunLoss } from "./finish-run.ts";
import type { LayerCapability } from "./layers/layer-stage.ts";
import { numbersOfTaken } from "./layers/numbers-of-taken.ts";
import { type OpenRun, openRun } from "./open-run.ts";
import { type PrunedRound, roundsOf, runRound } from "./run-round.ts";
import type { LayerNumbers, StageReport } from "./run-stage.ts";
import { assertResumable, type RunState } from "./run-state.ts";
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
  /** What the outputs mean; default: what `chooseTask` takes for the data. */
  readonly task?: Task;
  /**
   * What estimates the curvature, or several by name, such as `estimators` of @secateur/fisher, of which the plan takes one. Default:
   * H = I, which is all that magnitude pruning needs.
   */
  readonly curvature?: CurvatureEstimator | Estimators;
  /** What is one problem; default: the network, or with `layers` each layer from its inputs, sequentially. */
  readonly scope?: Scope;
  /** What prunes layer by layer, for scope "layers". */
  readonly layers?: LayerCapability;
  /** Names of the parameters to prune; default: every prunable one. */
  readonly params?: readonly string[];
  /** Overrides of the solver's own plan. */
  readonly plan?: RunPlan;
  /**
   * Called whenever weights of a stage have been written, before the model is differentiated or measured with them, and for those of the
   * result: for what follows from weights and data, such as the statistics of batch normalisation. At the start of a run it is
   * taken to fit the weights already.
   */
  readonly recalibrate?: (ctx: RunContext) => Promise<void>;
  /**
   * Limits, what is kept or removed together, how it is spread over the layers; a rule alone spreads the weights that `sparsity` keeps.
   * Default: single weights anywhere, the largest scores of the whole network.
   */
  readonly budget?: Budget | BudgetRule;
  /** Flat mask of what an earlier run kept; default: every weight that is not zero. */
  readonly mask?: Mask;
  /** Trains what is kept between prunings; its phases say how far each goes, so `sparsity` is left out or that of the last. Default: no training. */
  readonly retrain?: Retraining;
  /** Called wherever the run can be continued, after every stage and every epoch; awaited. */
  readonly onState?: (state: RunState) => void | Promise<void>;
  /** Continue from a state of `onState` of the same run: the result is the same bytes as without the interruption. */
  readonly resume?: RunState;
}

/** One parameter after pruning; with the numbers of the last stage where it was pruned as a layer. */
export interface LayerReport extends Partial<LayerNumbers> {
  readonly name: string;
  readonly shape: readonly number[];
  /** Number of weights. */
  readonly size: number;
  /** How many of them the mask keeps; a kept weight may happen to be zero, such as that of an input which always is. */
  readonly kept: number;
  /** How many of them are not zero. */
  readonly nonzeros: number;
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
  /** What was limited, and what the result comes to; absent where only the number of single weights was. */
  readonly limits?: readonly LimitReached[];
  /** Of the last stage; 0 without stages. */
  readonly objective: number;
  readonly layers: readonly LayerReport[];
  /** The list of stages that the run followed, as data. */
  readonly schedule: readonly Stage[];
  /** Those of them that pruned, reported. */
  readonly stages: readonly StageReport[];
  /** Rounds of pruning and training; absent without training. */
  readonly rounds?: readonly RoundReport[];
  /** What the weights are: of the last stage, unless all stages together were worse than a mask alone. */
  readonly taken: Taken;
  /** Mean loss before and after; absent without examples or a model that cannot be evaluated, and with training. */
  readonly loss?: RunLoss;
  /** What has to be said, of the stages and of the whole run; each was an event too, once. */
  readonly notes: readonly Note[];
  /** The plan in force, defaults filled in; without what only gradients use where none were taken. */
  readonly plan: UsedPlan;
  /** Flat mask over the prunable weights, in the order of `layers`. */
  readonly mask: Mask;
  readonly timing: {
    readonly gradientMs: number;
    readonly solveMs: number;
    readonly totalMs: number;
    /** What the run was expected to take when it began, by counted work and a short measurement; not with retraining. */
    readonly expectedMs?: number;
  };
}

/**
 * Prunes a model in place. Where it throws, the model has the weights that it came with, and what `recalibrate` makes of them.
 *
 * @returns sparsities, objectives, timings by stage and layer; the weights are in the model
 * @throws ERR_SPARSITY_RANGE, ERR_IMPOSSIBLE, ERR_INCOMPATIBLE, ERR_NOT_FINITE, ERR_RESUME, ERR_ABORTED; with training also ERR_OPTION
 *   for sparsities that fall, and ERR_MASK when training moved a pruned weight
 * @example
 * const phases = impPhases({ sparsities: phaseSparsities({ target: 0.9, phases: 3 }), epochs: 9, schedule: "llr", dense });
 * await prune({ model, solver: magnitude(), retrain: { retrainer, phases, schedule: "llr" } });
 */
export async function prune(request: PruneRequest): Promise<PruneResult> {
  const { resume, retrain } = request;
  const ctx = reportNotesOnce(createRunContext(request));
  const started = ctx.now();
  const run = await openRun(request, ctx);
  const { params, stages, fingerprint } = run;
  if (resume)
    assertResumable(resume, { fingerprint, prunable: run.weights.length, stages, isTrained: retrain !== undefined });
  const original = retrain?.retrainer.capture();
  if (resume?.training) await retrain!.retrainer.restore(resume.training.tensors);
  let state: RunState = resume ?? {
    ...{ stage: 0, weights: run.weights, mask: run.mask, fingerprint, reports: [] },
    ...(retrain ? { training: { rounds: [], tensors: retrain.retrainer.capture(), mask: run.mask } } : {}),
  };
  let pruned: PrunedRound | undefined;
  try {
    for (const [index, round] of roundsOf(stages).entries()) {
      if (index < (state.training?.rounds.length ?? 0)) continue;
      pruned = await runRound({ run, request, ...round, index }, state, ctx);
      ({ state } = pruned);
    }
  } catch (error) {
    // Trial weights are no result: a caller that goes on has the model that it gave.
    if (original) await retrain!.retrainer.restore(original);
    await writeFlat(request.model, params, run.weights);
    if (!original) await recalibrateQuietly(request, ctx);
    throw error;
  }
  const { notes = [], taken, loss, expectedMs } = pruned ?? {};
  const { weights, mask, reports, training } = state;
  const prunable = weights.length;
  const kept = countKept(mask);
  const { rounds } = training ?? {};
  return {
    sparsity: 1 - kept / prunable,
    kept,
    nonzeros: prunable - countZeros(weights),
    prunable,
    ...limitsReached(run, mask),
    objective: reports[reports.length - 1]?.objective ?? 0,
    layers: params.map(({ name, shape, start, size }) => {
      const own = reports[reports.length - 1]?.layers?.[name];
      return {
        ...{
          name,
          shape,
          size,
          kept: countKept(mask.subarray(start, start + size)),
          nonzeros: size - countZeros(weights.subarray(start, start + size)),
        },
        ...(own ? numbersOfTaken(own, { taken, stages: reports.length }) : {}),
      };
    }),
    schedule: stages,
    stages: reports,
    ...(rounds ? { rounds } : {}),
    taken: taken ?? rounds?.at(-1)?.taken ?? reports[reports.length - 1]?.taken ?? "last",
    ...(loss && !rounds ? { loss } : {}),
    notes: rounds ? rounds.flatMap((round) => round.notes) : [...reports.flatMap((report) => report.notes), ...notes],
    plan: usedPlan(run.plan, run.estimator !== undefined),
    mask,
    timing: {
      gradientMs: reports.reduce((sum, report) => sum + report.gradientMs, 0),
      solveMs: reports.reduce((sum, report) => sum + report.solveMs, 0),
      totalMs: ctx.now() - started,
      ...(expectedMs === undefined ? {} : { expectedMs }),
    },
  };
}

/** Settles what follows from the weights that a failed run came with, also after an abort; the error that ended it is the one to tell. */
async function recalibrateQuietly({ recalibrate }: PruneRequest, ctx: RunContext): Promise<void> {
  const { signal } = new AbortController();
  try {
    await recalibrate?.(quietContext({ ...ctx, signal }));
  } catch {
    // Statistics that cannot be measured are left as they are.
  }
}

/** What was limited beside the number of single weights. */
function limitsReached({ bound, units }: OpenRun, mask: Mask): Pick<PruneResult, "limits"> {
  const limits = bound?.isStructured ? bound.reached(unitMask(units, mask)) : [];
  return limits.length === 0 ? {} : { limits };
}

function usedPlan(plan: ResolvedPlan, takesGradients: boolean): UsedPlan {
  if (takesGradients) return plan;
  const { stages, targetStages, schedule, from, regrow, reason } = plan;
  return { stages, targetStages, schedule, from, regrow, reason };
}
