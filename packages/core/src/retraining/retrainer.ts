/** Training between prunings, whatever runs it: what a schedule of pruning and retraining needs of a model that can train. */
import type { Mask } from "../problem/matrix.ts";
import type { RunContext } from "../run-context.ts";
import type { TrainingRule } from "../training/training-rule.ts";

/** A tensor with a name: row-major, any number of dimensions. */
export interface StateTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Its entries; length is the product of `shape`. */
  readonly data: Float32Array | Float64Array;
}

/** Training between two epochs: everything that later epochs depend on besides settings and data. */
export interface RetrainingState {
  /** Epochs done. */
  readonly epoch: number;
  /** Mean training loss and accuracy (percent; NaN for tasks without one) of those, measured while the weights moved. */
  readonly epochs: readonly { readonly loss: number; readonly accuracy: number }[];
  /** All tensors of the model, and what the optimizer remembers under names of its own. */
  readonly tensors: readonly StateTensor[];
  /** The masks at the end of a training with rules, which may have changed them, by parameter. Absent between epochs and without rules. */
  readonly masks?: ReadonlyMap<string, Mask>;
}

/** One training with masks. */
export interface RetrainRequest {
  /** Passes over the data, >= 0. */
  readonly epochs: number;
  /** The rate of a step, counted from 0. */
  learningRate(step: number): number;
  /** Masks by parameter name, flat over the canonical matrix: a weight with mask 0 is 0 after every step, and so is its momentum. */
  readonly masks: ReadonlyMap<string, Mask>;
  /** Rules that act while the model trains; they may change the masks. Default: none. */
  readonly rules?: readonly TrainingRule[];
  /** Goes on from a state of `onEpoch` of the same training. */
  readonly resume?: RetrainingState;
  /** The state at whose end an earlier training of the same model stood: its optimizer's memory is taken over, its epochs are not. */
  readonly after?: RetrainingState;
  /** Receives the state after every epoch; awaited. "stop" ends the training there. */
  readonly onEpoch?: (state: RetrainingState) => "go on" | "stop" | Promise<"go on" | "stop">;
}

/** A model that can train on its data. */
export interface Retrainer {
  /** Steps of one epoch. */
  readonly stepsPerEpoch: number;
  /** Training examples of one epoch. */
  readonly examples: number;
  /** All settings that decide the result, as JSON: a run is continued only under the same ones. */
  readonly settings: string;
  /** Trains the model in place. @returns the state at the end, of the last epoch that ran */
  retrain(request: RetrainRequest, ctx: RunContext): Promise<RetrainingState>;
  /** Copies of all tensors of the model, running statistics included. */
  capture(): readonly StateTensor[];
  /** Puts tensors of `capture` back; others are left alone. @throws when one is missing or has another length */
  restore(tensors: readonly StateTensor[]): void | Promise<void>;
}
