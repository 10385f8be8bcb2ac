/** The computation behind `secateur prune` and the demo: prune a network in place on the training split. */
import {
  type CurvatureEstimator,
  type Dataset,
  type Evaluation,
  layoutParams,
  type PruneResult,
  parseOptions,
  prune,
  type RunPlan,
  type RunState,
  readFlat,
  resolvePlan,
  type Solver,
  weightReuse,
} from "@secateur/core";
import { type CurvatureEntry, type FoundEntry, findCurvature } from "../plugins/find-entry.ts";
import type { PrunableModel } from "../run/open-any-model.ts";
import type { Session } from "../run/session.ts";

/** What to prune and how. */
export interface PruneJob {
  /** Changed in place. */
  readonly network: PrunableModel;
  readonly solver: Solver;
  readonly sparsity: number;
  /** What the user fixed of the plan. */
  readonly plan: RunPlan;
  /** The training split, where gradients are taken if the solver needs any. */
  readonly train: Dataset;
  /** The folder from which curvature plugins are looked for. */
  readonly cwd: string;
  readonly session: Session;
  /** Told which curvature is used, before the work starts. */
  readonly onCurvature?: (found: FoundEntry<CurvatureEntry>) => void;
  readonly onStage?: (state: RunState) => Promise<void>;
  readonly resume?: RunState;
}

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

/** Prunes a network in place. @throws what core's `prune` throws; ERR_UNKNOWN_NAME for a curvature nobody offers */
export async function pruneNetwork(job: PruneJob): Promise<Pick<PruneOutcome, "result" | "curvature">> {
  const { network, solver, sparsity, train, session, onStage, resume } = job;
  const { seed, kernels, signal, onEvent } = session;
  const plan = needsGradients(solver) ? await feasiblePlan(job) : job.plan;
  const request = {
    ...{ model: network, solver, sparsity, plan, seed, kernels, signal, onEvent },
    ...(onStage ? { onStage } : {}),
    ...(resume ? { resume } : {}),
  };
  if (!needsGradients(solver)) return { result: await prune(request) };
  const found = await plannedCurvature({ ...job, plan });
  job.onCurvature?.(found);
  const options = await parseOptions<object>(found.entry.name, found.entry.options, {});
  const curvature: CurvatureEstimator = found.entry.create(options as never);
  return { result: await prune({ ...request, data: train, curvature }), curvature: found };
}

/** A solver may advise the Gauss-Newton matrix, which needs products with the network's Jacobian; not every model has them. */
async function feasiblePlan(job: PruneJob): Promise<RunPlan> {
  const { network, plan, session } = job;
  if (network.linearize || plan.curvature !== undefined) return plan;
  const { entry } = await plannedCurvature(job);
  if (entry.name !== "gauss-newton") return plan;
  const message = `${network.name} gives gradient rows and no products with its Jacobian: --curvature empirical-fisher is used`;
  session.onEvent({ type: "note", level: "info", code: "curvature", message });
  return { ...plan, curvature: "empirical-fisher" };
}

/** The curvature that the plan names: the user's choice before the solver's advice before the default. */
async function plannedCurvature(
  job: Pick<PruneJob, "network" | "solver" | "sparsity" | "plan" | "train" | "cwd">,
): Promise<FoundEntry<CurvatureEntry>> {
  const { network, solver, sparsity, plan, train, cwd } = job;
  const params = layoutParams(network);
  const weights = await readFlat(network, params);
  const initialSparsity = weights.filter((value) => value === 0).length / weights.length;
  const situation = {
    sparsity,
    prunable: weights.length,
    initialSparsity,
    examples: train.size,
    weightReuse: weightReuse(params),
  };
  return await findCurvature(resolvePlan(solver, situation, plan).curvature, cwd);
}
