import type { Dataset } from "@secateur/core";
import type { ImageSteps } from "./images/prepare-image.ts";
import type { MeanAndStd, Normalisation } from "./normalisation.ts";

/** An opened dataset: what to train and take gradients on, and what to measure on. */
export interface DatasetSplits {
  /** the specification it was opened with, for example "mnist" */
  readonly name: string;
  readonly train: Dataset;
  /** the very same object as `train` where the source has one split only */
  readonly test: Dataset;
  /** what the inputs were normalised with */
  readonly normalisation: Normalisation;
  /** names of the classes in order, where the data have any */
  readonly labels?: readonly string[];
  /** what a user should know of how the data were read, such as records that were left out; absent where there is nothing */
  readonly warnings?: readonly string[];
}

/** Numbers with a shape, read from a file. */
export interface NumberArray {
  /** extents, outermost first; their product is the length of `data` */
  readonly shape: readonly number[];
  /** row-major; length is the product of `shape` */
  readonly data: Uint8Array | Float32Array | Float64Array;
}

/** How a dataset is opened. */
export interface OpenDatasetOptions {
  /** In place of the mean and std that the dataset declares: one of each, or one a channel. The divisor (255 for MNIST) stays unless it says another. */
  readonly normalize?: MeanAndStd;
  /** Of `images`, what happens to each before it is normalised; default nothing. */
  readonly images?: ImageSteps;
  /** Of `images`, names of the network's classes in order: folders of these names, some of them or all, have their numbers. */
  readonly labels?: readonly string[];
  /** Extents of one example of the model's first input, null where any will do: tells where `images` have their channels. */
  readonly inputShape?: readonly (number | null)[];
  /** Number of classes. Default: 10 for `mnist` and `cifar10`, 100 for `cifar100`, the class folders of `images`, the largest label + 1 for `npy`. */
  readonly classes?: number;
  /**
   * Of `npy`, what Y holds: class numbers, or numbers to be met (regression). Default: whole numbers are classes (with several an example,
   * classes by position or labels 0 and 1), others are values.
   */
  readonly targets?: "classes" | "values";
  /** Names of the model's inputs, where they are known: of arrays by name, these are inputs and the others targets. */
  readonly inputNames?: readonly string[];
  /** Numbers of one example of the model's first input, where it says: of `wav`, the length of a window. */
  readonly windowLength?: number;
  /** Reads an .npy file; needed for `npy:` only. Pass `readNpyNumbers` of @secateur/formats. */
  readonly readArray?: (path: string) => NumberArray | Promise<NumberArray>;
  /** Reads an .npz archive; needed for `npz:` only. Pass `readNpzNumbers` of @secateur/formats. */
  readonly readArrays?: (path: string) => NumberArrays | Promise<NumberArrays>;
}

/** Arrays by name. */
export type NumberArrays = ReadonlyMap<string, NumberArray>;

/** One kind of dataset specification, `name` or `name:argument`. */
export interface DataSource {
  /** the part before the colon */
  readonly name: string;
  /** every form it takes, for help and messages */
  readonly usages: readonly string[];
  /** one line for help */
  readonly summary: string;
  open(request: OpenRequest): Promise<DatasetSplits>;
}

/** What a source is asked to open. */
export interface OpenRequest {
  /** the whole specification, for messages and names */
  readonly spec: string;
  /** the part after the colon; undefined without a colon */
  readonly argument: string | undefined;
  readonly options: OpenDatasetOptions;
}
