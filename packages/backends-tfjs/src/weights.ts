/** The weights of a model, whatever kind it is: which can be pruned, how they are laid out, how they are replaced. */
import type { WeightRole } from "./canonical.ts";
import type { Tensor } from "./tf.ts";

/** One weight tensor. */
export interface ModelWeight {
  /** As the model's file names it. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  /** What it is for; undefined for biases, normalisation and whatever this package does not know. */
  readonly role: WeightRole | undefined;
  /** Why a tensor of two or more dimensions stays dense; undefined for those that are pruned and for vectors. */
  readonly keptDense: string | undefined;
  /** The live tensor; another one after `replace`. */
  tensor(): Tensor;
  /** Replaces the numbers, in the stored layout. */
  replace(values: Float32Array): void;
}

/** What may be pruned beyond the usual. */
export interface PrunableOptions {
  /** Whether weights of layers with `trainable: false` are pruned too; default false. */
  readonly includeFrozen?: boolean;
}
