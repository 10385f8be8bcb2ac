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
import type { Network } from "@secateur/nn";
import { type CurvatureEntry, type FoundEntry, findCurvature } from "../plugins/find-entry.ts";
import type { Session } from "../run/session.ts";

/** What to prune and how. */
export interface PruneJob {
  /** Changed in place. */
  readonly network: Network;
  readonly solver: Solver;
  readonly sparsity: number;
  /** Names of the weights to prune; absent: all. */
  readonly params?: readonly string[];
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
  const { network, solver, sparsity, plan, train, session, onStage, resume } = job;
  const { seed, kernels, signal, onEvent } = session;
  const request = {
    ...{ model: network, solver, sparsity, plan, seed, kernels, signal, onEvent },
    ...(job.params ? { params: job.params } : {}),
    ...(onStage ? { onStage } : {}),
    ...(resume ? { resume } : {}),
  };
  if (!needsGradients(solver)) return { result: await prune(request) };
  const found = await plannedCurvature(job);
  job.onCurvature?.(found);
  const options = await parseOptions<object>(found.entry.name, found.entry.options, {});
  const curvature: CurvatureEstimator = found.entry.create(options as never);
  return { result: await prune({ ...request, data: train, curvature }), curvature: found };
}

/** The curvature that the plan names: the user's choice before the solver's advice before the default. */
async function plannedCurvature(job: PruneJob): Promise<FoundEntry<CurvatureEntry>> {
  const { network, solver, sparsity, plan, train, cwd } = job;
  const params = layoutParams(network, job.params);
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
