/** Datasets by name. */
import type { Dataset } from "../data/dataset.ts";

/** What a dataset is to be opened as. */
export interface DatasetRequest {
  /** As typed: "mnist", "images:DIR"; for messages and names. */
  readonly spec: string;
  /** The part after the colon, with absolute paths; undefined without a colon. */
  readonly argument: string | undefined;
  readonly options: {
    /** In place of the mean and the standard deviation that the dataset declares: one of each, or one a channel. */
    readonly normalize?: { readonly mean: readonly number[]; readonly std: readonly number[] };
    /** Number of classes of the network, where known: labels lie below it. */
    readonly classes?: number;
    /** Reads an .npy file as row-major numbers. */
    readonly readArray?: (path: string) => DatasetArray | Promise<DatasetArray>;
  };
}

/** Numbers with a shape, row-major. */
export interface DatasetArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array | Float32Array | Float64Array;
}

/** An opened dataset: what to train and take gradients on, and what to measure on. */
export interface DatasetSplits {
  /** As it was opened, for example "mnist". */
  readonly name: string;
  readonly train: Dataset;
  /** The very same object as `train` where the source has one split only. */
  readonly test: Dataset;
  /** What the inputs were normalised with, one of each or one a channel; absent: nothing. */
  readonly normalisation?: { readonly mean: readonly number[]; readonly std: readonly number[] };
  /** What a user should know of how the data were read. */
  readonly warnings?: readonly string[];
}

/** One kind of dataset specification, `name` or `name:argument`. */
export interface DatasetSource {
  /** Every form it takes, for help and messages: "mnist", "mnist:DIR". At least one. */
  readonly usages: readonly string[];
  /** Opens it. @throws PruneError that says what is missing or damaged */
  open(request: DatasetRequest): Promise<DatasetSplits>;
}
