import type { Phase } from "../plugin/schedule.ts";
import type { Evaluation } from "../task/evaluate.ts";
import type { EarlyStopping } from "./early-stopping.ts";
import type { Retrainer, StateTensor } from "./retrainer.ts";

/** Training between prunings: targets one after the other, and what trains after each. */
export interface Retraining {
  /** Trains the model that is pruned. */
  readonly retrainer: Retrainer;
  /** In order; sparsities never fall. At least one. */
  readonly phases: readonly Phase[];
  /** What identifies the rates of the phases, which are functions, in a saved state. */
  readonly schedule: string;
  /** Weight rewinding (Frankle et al. 2020): after every pruning all tensors go back to these, the pruned weights stay 0. */
  readonly rewindTo?: readonly StateTensor[];
  readonly earlyStopping?: EarlyStopping;
  /** Measures the model for the reports; its results decide nothing. */
  readonly measure?: () => Promise<Evaluation>;
}
