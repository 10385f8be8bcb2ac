/** Prunes a network in place on the training split. */
import {
  type Budget,
  type BudgetRule,
  type CurvatureEstimator,
  type Dataset,
  type Evaluation,
  type LayerCapability,
  layoutParams,
  type PruneRequest,
  type PruneResult,
  parseOptions,
  prune,
  type ResolvedPlan,
  type Retraining,
  type RunContext,
  type RunPlan,
  type RunState,
  readFlat,
  resolvePlan,
  runSituation,
  type Scope,
  type Solver,
  type Task,
} from "@secateur/core";
import type { CurvatureEntry, FoundEntry } from "../plugins/found-entry.ts";
import type { Session } from "../session.ts";
import type { PrunableModel } from "./prunable-model.ts";

/** What to prune and how. */
export interface PruneJob {
  /** Changed in place. */
  readonly network: PrunableModel;
  readonly solver: Solver;
  readonly sparsity: number;
  /** Names of the weights to prune; absent: all. */
  readonly params?: readonly string[];
  /** What the user fixed of the plan. */
  readonly plan: RunPlan;
  /** Limits and units, or how the kept weights are spread over layers; default: anywhere. */
  readonly budget?: Budget | BudgetRule;
  /** Prunes layer by layer; absent: the weights of the whole network are one problem. */
  readonly layers?: LayerCapability & { readonly scope: Scope };
  /** What the outputs mean; default: what core takes for the data. */
  readonly task?: Task;
  /** The training split, where gradients are taken; a solver that needs none does without. */
  readonly train?: Dataset;
  /** Held-out examples, on which steps and rounds are accepted; default: a share of the training split for steps. */
  readonly heldOut?: Dataset;
  /** The curvature of a name. @throws ERR_UNKNOWN_NAME for one that nobody offers */
  findCurvature(name: string): Promise<FoundEntry<CurvatureEntry>>;
  /** Options of the curvature; what is left out is its default. */
  readonly curvatureOptions?: Readonly<Record<string, unknown>>;
  readonly session: Session;
  /** Stands in for the curvature's estimator, for example to share what several runs need alike; default: itself. */
  readonly wrapEstimator?: (estimator: CurvatureEstimator) => CurvatureEstimator;
  /** Told which curvature is used, before the work starts. */
  readonly onCurvature?: (found: FoundEntry<CurvatureEntry>) => void;
  /** Trains what is kept; its last phase prunes to `sparsity`. */
  readonly retrain?: Retraining;
  readonly onState?: (state: RunState) => Promise<void>;
  readonly resume?: RunState;
  /** See core's PruneRequest. */
  readonly recalibrate?: (ctx: RunContext) => Promise<void>;
}

/** A job but for how its state is kept. */
export type PruneTask = Omit<PruneJob, "retrain" | "onState" | "resume">;

/** A pruning run with the evaluations around it. */
export interface PruneOutcome {
  readonly dense: Evaluation;
  readonly pruned: Evaluation;
  readonly result: PruneResult;
  /** Where the curvature came from; absent for a solver that needs none. */
  readonly curvature?: FoundEntry<CurvatureEntry>;
}

/** Whether a solver needs gradients, and so training data. */
export function needsGradients(solver: Solver): boolean {
  return (solver.needs.curvature ?? []).length > 0;
}

/** What core is asked for. @throws ERR_UNKNOWN_NAME for a curvature nobody offers */
async function pruneRequest(job: PruneJob): Promise<{ request: PruneRequest } & Pick<PruneOutcome, "curvature">> {
  const { network, params, solver, sparsity, task, train, heldOut, session } = job;
  const { budget, recalibrate, retrain, onState, resume } = job;
  const { seed, kernels, signal, onEvent } = session;
  const takesGradients = needsGradients(solver) && !job.layers;
  const plan = takesGradients ? await feasiblePlan(job) : job.plan;
  const request = {
    ...{ model: network, solver, plan, seed, kernels, signal, onEvent },
    ...(train ? { data: train } : {}),
    // Limits and patterns of a budget say it all.
    ...(budget && !("constraint" in budget) ? {} : { sparsity }),
    ...(params ? { params } : {}),
    ...(task ? { task } : {}),
    ...(heldOut ? { heldOut } : {}),
    ...(budget ? { budget } : {}),
    ...(recalibrate ? { recalibrate } : {}),
    ...(job.layers ? { scope: job.layers.scope, layers: job.layers } : {}),
    ...(retrain ? { retrain } : {}),
    ...(onState ? { onState } : {}),
    ...(resume ? { resume } : {}),
  };
  if (!takesGradients) return { request };
  const found = await plannedCurvature({ ...job, plan });
  job.onCurvature?.(found);
  const options = await parseOptions<object>(found.entry.name, found.entry.options, job.curvatureOptions ?? {});
  const made: CurvatureEstimator = found.entry.create(options as never);
  const curvature = job.wrapEstimator?.(made) ?? made;
  return { request: { ...request, curvature }, curvature: found };
}

/** Prunes a network in place. @throws what core's `prune` throws; ERR_UNKNOWN_NAME for a curvature nobody offers */
export async function pruneNetwork(job: PruneJob): Promise<Pick<PruneOutcome, "curvature"> & { result: PruneResult }> {
  const { request, curvature } = await pruneRequest(job);
  return { result: await prune(request), ...(curvature ? { curvature } : {}) };
}

/** The user's plan, with a curvature that the model can give where the solver advises another. */
async function feasiblePlan(job: PruneTask): Promise<RunPlan> {
  const { network, plan, session } = job;
  if (!(await lacksProducts(job))) return plan;
  const instead = withoutProducts(network);
  const message = `${network.name} gives ${network.layerMoments ? "second moments of its layers" : "gradient rows"} and no products with its Jacobian: --curvature ${instead.curvature} is used`;
  session.onEvent({ type: "note", level: "info", code: "curvature", message });
  return { ...plan, ...instead };
}

/** In the place of the Gauss-Newton matrix: its Kronecker factors, where the model gives what they are made of, else stored rows. */
function withoutProducts({ layerMoments }: PrunableModel): RunPlan {
  return { curvature: layerMoments ? "kronecker-gauss-newton" : "empirical-fisher" };
}

/** Whether a solver advises the Gauss-Newton matrix, which needs products with the network's Jacobian, and the model has none. */
async function lacksProducts(job: PlannedJob): Promise<boolean> {
  const { network, plan } = job;
  if (network.linearize || plan.curvature !== undefined) return false;
  return (await advisedRun(job)).curvature === "gauss-newton";
}

/** The curvature that the plan names: the user's choice before the solver's advice before the default. */
async function plannedCurvature(job: PruneTask): Promise<FoundEntry<CurvatureEntry>> {
  return await job.findCurvature((await plannedRun(job)).curvature);
}

/** What decides a plan. */
type PlannedJob = Pick<PruneTask, "network" | "params" | "solver" | "sparsity" | "plan" | "train" | "heldOut">;

/** The plan that a run will follow, before anything is done. */
export async function plannedRun(job: PlannedJob): Promise<ResolvedPlan> {
  const isOther = needsGradients(job.solver) && (await lacksProducts(job));
  return await advisedRun(isOther ? { ...job, plan: { ...job.plan, ...withoutProducts(job.network) } } : job);
}

/** The user's plan, completed by the solver's advice. */
async function advisedRun(job: PlannedJob): Promise<ResolvedPlan> {
  const { network, solver, sparsity, plan, train, heldOut } = job;
  const params = layoutParams(network, job.params);
  const weights = await readFlat(network, params);
  const examples = { ...(train ? { data: train } : {}), ...(heldOut ? { heldOut } : {}) };
  const situation = runSituation({ model: network, params, weights, sparsity, ...examples });
  return resolvePlan(solver, situation, plan);
}
