/** The computation behind `secateur prune` and the demo: evaluate, prune in place, evaluate again. */
import {
  type Dataset,
  type Evaluation,
  type PruneResult,
  prune,
  type RunPlan,
  type RunState,
  type Solver,
} from "@secateur/core";
import { empiricalFisher } from "@secateur/fisher";
import type { Network } from "@secateur/nn";
import type { Session } from "../run/session.ts";

/** What to prune and how. */
export interface PruneJob {
  /** Changed in place. */
  readonly network: Network;
  readonly solver: Solver;
  readonly sparsity: number;
  /** What the user fixed of the plan. */
  readonly plan: RunPlan;
  /** Gradients are taken here; left out for a solver that needs none. */
  readonly train?: Dataset;
  readonly session: Session;
  readonly onStage?: (state: RunState) => Promise<void>;
  readonly resume?: RunState;
}

/** Whether a solver needs gradients, and so training data. */
export function needsGradients(solver: Solver): boolean {
  return (solver.needs.curvature ?? []).length > 0;
}

/** Prunes a network in place on the training split. @throws what core's `prune` throws */
export async function pruneNetwork(job: PruneJob): Promise<PruneResult> {
  const { network, solver, sparsity, plan, train, session, onStage, resume } = job;
  const { seed, kernels, signal, onEvent } = session;
  return await prune({
    model: network,
    solver,
    sparsity,
    plan,
    seed,
    kernels,
    signal,
    onEvent,
    ...(train ? { data: train, curvature: empiricalFisher() } : {}),
    ...(onStage ? { onStage } : {}),
    ...(resume ? { resume } : {}),
  });
}

/** A pruning run with the evaluations around it. */
export interface PruneOutcome {
  readonly dense: Evaluation;
  readonly pruned: Evaluation;
  readonly result: PruneResult;
}
