import { labelOutOfRange, notFinite, shapeMismatch } from "../errors.ts";
import { dtypeOf, type Mat, matrix, zeros } from "../problem/matrix.ts";

/** Some examples, ready for a model: normalised inputs and class labels. */
export interface Batch {
  /** [batch, features] f32, one flattened example a row */
  readonly inputs: Mat;
  /** [batch], each below the dataset's number of classes */
  readonly labels: Uint32Array;
}

/** Labelled examples with random access. */
export interface Dataset {
  /** For messages and reports, for example "mnist train". */
  readonly name: string;
  /** Number of examples. */
  readonly size: number;
  /** Shape of one example, for example [28, 28] or [3, 32, 32]; its product is the number of features. */
  readonly inputShape: readonly number[];
  /** Number of classes; labels are below it. */
  readonly classes: number;
  /** The examples at the given indices (each below `size`; repeats allowed), in that order. */
  batch(indices: Uint32Array): Batch | Promise<Batch>;
}

/**
 * A dataset over arrays the caller holds. The arrays are kept, not copied; a batch of consecutive examples is a view of them.
 *
 * @param spec.inputs - [size, features], finite
 * @param spec.labels - [size] class indices
 * @param spec.classes - number of classes; default: the largest label + 1
 * @param spec.inputShape - shape of one example; default: [features]
 * @throws ERR_SHAPE when counts differ, ERR_LABEL_RANGE, ERR_NOT_FINITE
 */
export function arrayDataset(spec: {
  inputs: Mat;
  labels: ArrayLike<number>;
  classes?: number;
  inputShape?: readonly number[];
  name?: string;
}): Dataset {
  const { inputs, name = "arrays" } = spec;
  const labels = Uint32Array.from(spec.labels);
  if (labels.length !== inputs.rows) {
    throw shapeMismatch({
      where: name,
      found: `${inputs.rows} inputs and ${labels.length} labels`,
      expected: "as many labels as inputs",
    });
  }
  const inputShape = spec.inputShape ?? [inputs.cols];
  if (inputShape.reduce((product, extent) => product * extent, 1) !== inputs.cols) {
    throw shapeMismatch({
      where: name,
      found: `${inputs.cols} features`,
      expected: `the product of inputShape [${inputShape.join(", ")}]`,
    });
  }
  const classes = spec.classes ?? labels.reduce((most, label) => Math.max(most, label + 1), 0);
  for (let i = 0; i < labels.length; i++) {
    // A conversion that changed the number means that it was negative, fractional or NaN.
    if (spec.labels[i] !== labels[i] || labels[i]! >= classes) {
      throw labelOutOfRange({ where: name, index: i, label: spec.labels[i]!, classes });
    }
  }
  assertFinite(name, inputs.data, "clean or drop those examples");
  return {
    name,
    size: inputs.rows,
    inputShape,
    classes,
    batch: (indices) => ({
      inputs: takeRows(inputs, indices),
      labels: Uint32Array.from(indices, (i) => labels[i]!),
    }),
  };
}

/** The examples of a dataset at chosen positions [count], each below its size, as a dataset of its own. Nothing is copied. */
export function subset(dataset: Dataset, positions: Uint32Array, name: string = dataset.name): Dataset {
  const { inputShape, classes } = dataset;
  return {
    name,
    size: positions.length,
    inputShape,
    classes,
    batch: (indices) => dataset.batch(Uint32Array.from(indices, (i) => positions[i]!)),
  };
}

/**
 * Walks a dataset in order, `batchSize` examples at a time (the last batch may be smaller).
 */
export async function* batches(dataset: Dataset, batchSize: number): AsyncGenerator<Batch> {
  for (let start = 0; start < dataset.size; start += batchSize) {
    const size = Math.min(batchSize, dataset.size - start);
    yield await dataset.batch(Uint32Array.from({ length: size }, (_, i) => start + i));
  }
}

/** @throws ERR_NOT_FINITE naming the first NaN or infinity and how many there are. O(length). */
export function assertFinite(where: string, values: ArrayLike<number>, remedy: string): void {
  let count = 0;
  let index = -1;
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      if (count === 0) index = i;
      count++;
    }
  }
  if (count > 0) throw notFinite({ where, index, value: values[index]!, count, remedy });
}

/** The rows of a matrix [n, cols] at the given indices [m], each below n -> [m, cols]: a view when they are consecutive, else a copy. */
export function takeRows(source: Mat, indices: Uint32Array): Mat {
  const first = indices[0] ?? 0;
  if (indices.every((index, i) => index === first + i)) {
    // A run of examples is a view: walking a dataset in order copies nothing.
    return matrix(
      indices.length,
      source.cols,
      source.data.subarray(first * source.cols, (first + indices.length) * source.cols),
    );
  }
  const out = matrix(indices.length, source.cols, zeros(indices.length * source.cols, dtypeOf(source.data)));
  for (let i = 0; i < indices.length; i++) {
    const start = indices[i]! * source.cols;
    out.data.set(source.data.subarray(start, start + source.cols), i * source.cols);
  }
  return out;
}
