/** Stops a retraining when the loss of held-out training examples no longer falls, and remembers the best weights. */
import type { Evaluation } from "../task/evaluate.ts";
import type { StateTensor } from "./retrainer.ts";

/** When to stop. */
export interface EarlyStopping {
  /** Epochs without a lower loss before a phase ends, >= 1. */
  readonly patience: number;
  /** Evaluates the model as it is on training examples that take no part in training; never on test data. */
  evaluate(): Promise<Evaluation>;
}

/** What early stopping remembers within a phase. */
export interface StoppingState {
  /** Held-out losses: before the first epoch, then after each. */
  readonly losses: readonly number[];
  /** Index into `losses` of the lowest; the earliest of equal ones. */
  readonly best: number;
  /** The tensors of the model then. */
  readonly tensors: readonly StateTensor[];
}

/** Takes one more loss into account. */
export function withLoss(
  state: StoppingState | undefined,
  loss: number,
  tensors: readonly StateTensor[],
): StoppingState {
  if (!state) return { losses: [loss], best: 0, tensors };
  const losses = [...state.losses, loss];
  return loss < state.losses[state.best]! ? { losses, best: losses.length - 1, tensors } : { ...state, losses };
}

/** Whether the loss has not fallen for `patience` epochs. */
export function isOver({ losses, best }: StoppingState, patience: number): boolean {
  return losses.length - 1 - best >= patience;
}
