/** Prunings with training between them. */

/** The learning rates of the training that made the dense network. */
export interface DenseTraining {
  /** The rate of every step, T >= 1 of them, each finite and >= 0. */
  readonly rates: ArrayLike<number>;
  /** Epochs these steps made, > 0. */
  readonly epochs: number;
  /** How many of the first steps were a warm-up: they do not count for the smallest rate. Default 0. */
  readonly warmUpSteps?: number;
}

/** What a pruning took away. */
export interface PruningLoss {
  /** |W|, the norm of the prunable weights before the phase's pruning. */
  readonly normBefore: number;
  /** |W^p|, after it. */
  readonly normAfter: number;
  /** p, the fraction of the weights kept so far that the phase pruned, in [0, 1]. */
  readonly prunedFraction: number;
}

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

/** What a schedule is asked for. */
export interface ScheduleRequest {
  /** The sparsity to reach, in [0, 1). */
  readonly target: number;
  /** The sparsity of the network as it comes in, in [0, target]. */
  readonly from: number;
  /** Epochs of training in all, >= 1. */
  readonly epochs: number;
  /** Steps of an epoch of the retraining, >= 1. */
  readonly stepsPerEpoch: number;
  /** The training that made the dense network, as if it had taken as many steps an epoch. */
  readonly dense: DenseTraining;
  /** The dense training's rate of a step out of any number of steps, with the highest rate in force. */
  rate(step: number, steps: number): number;
}

/** From a target to what is done, as a list. */
export interface Schedule {
  /**
   * The phases in order; sparsities never fall, and the last is the target.
   *
   * @throws ERR_IMPOSSIBLE where epochs and phases do not fit
   */
  phases(request: ScheduleRequest): readonly Phase[];
}
