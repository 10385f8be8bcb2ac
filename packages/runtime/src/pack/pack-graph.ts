/** A network on its way into a file: operators over named values, and tensors that passes may replace. */
import type { BoundState, PackedOperator, PackedValue } from "../file/packed-model.ts";

/** A tensor to be packed: row-major, outputs first. */
export interface DenseTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
  /** Numbers of the graph's arithmetic, such as masks of -3.4e38, and no weights: they are stored as f32 whatever weights are. */
  readonly exact?: boolean;
  /** Name of the model's tensor whose weights it holds, where that is another, such as for a matrix that is stored turned. */
  readonly source?: string;
  /** Which part of the numbers of `source` it holds, in (0, 1]; default 1. */
  readonly share?: number;
}

/** A network as `packGraph` takes it: whatever format it comes from. */
export interface PackGraph {
  readonly inputs: readonly PackedValue[];
  readonly outputs: readonly PackedValue[];
  /** In an order in which every value is given before it is read. */
  readonly operators: readonly PackedOperator[];
  readonly tensors: ReadonlyMap<string, DenseTensor>;
  /** Inputs that a session fills itself from the second run on: see `BoundState`. */
  readonly states?: readonly BoundState[] | undefined;
}
