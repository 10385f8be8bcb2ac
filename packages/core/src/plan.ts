import type { ScheduleName } from "./sparsity-schedule.ts";

/** What a solver knows when it is asked for its plan: the size of the task, never the test data. */
export interface RunSituation {
  /** The sparsity to reach. */
  readonly sparsity: number;
  /** Number of prunable weights. */
  readonly prunable: number;
  /** Number of training examples. */
  readonly examples: number;
  /** Sparsity of the weights as they come in. */
  readonly initialSparsity: number;
  /** The number of stages the user asked for; absent: the plan is free. */
  readonly stages?: number;
}

/**
 * How to run a solver over stages. Everything the user does not set comes from the solver's plan; what neither sets comes
 * from {@link defaultPlan}.
 */
export interface RunPlan {
  /** Stages with growing sparsity, >= 1. */
  readonly stages?: number;
  /** Further stages at the target sparsity, >= 0, with fresh gradients each. */
  readonly targetStages?: number;
  readonly schedule?: ScheduleName;
  /** Sparsity the schedule starts from, in [0, 1). */
  readonly from?: number;
  /** Gradient rows a stage. */
  readonly examples?: number;
  /** Training examples averaged into one gradient row. */
  readonly batch?: number;
  /** Damping added to H; "auto" lets the estimator choose. */
  readonly ridge?: number | "auto";
  /** Whether the first-order term g'd takes part. */
  readonly firstOrder?: boolean;
  /** Whether a pruned weight may come back in a later stage. */
  readonly regrow?: boolean;
  /** Why, in a sentence or two, for `explain` and the report. */
  readonly reason?: string;
}
