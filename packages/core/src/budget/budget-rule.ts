import type { FlatParam } from "../problem/flat-weights.ts";
import type { Mask } from "../problem/matrix.ts";
import type { RunContext } from "../run-context.ts";
import type { Constraint } from "./constraint.ts";

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
