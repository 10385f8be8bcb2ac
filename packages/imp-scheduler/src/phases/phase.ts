import type { PruningLoss } from "../rates/adaptive-peak.ts";

/** One round: prune to a sparsity, then train. */
export interface Phase {
  /** Sparsity of all prunable weights to prune to before training, in [0, 1); the one already reached prunes nothing. */
  readonly sparsity: number;
  /** Epochs of training after it, >= 0. */
  readonly epochs: number;
  /**
   * The rate of every step of its training.
   *
   * @param steps - of this phase
   * @param pruned - what the phase's pruning took away
   */
  rates(steps: number, pruned: PruningLoss): ArrayLike<number>;
  /** Whether the optimizer remembers the training before; pruned weights are forgotten in any case. Default false. */
  readonly keepsMomentum?: boolean;
}
