import { labelOutOfRange, notFinite, shapeMismatch } from "../errors.ts";
import type { Mat } from "../problem/matrix.ts";
import {
  asMatrix,
  asTensor,
  sizeOfShape,
  type TensorSpec,
  type Tensors,
  takeAllExamples,
  tensorDtypeOf,
} from "./tensor.ts";

/** Some examples, ready for a model. */
export interface Batch {
  /** Number of examples. */
  readonly size: number;
  /** [size, ...] by name of the model's input */
  readonly inputs: Tensors;
  /** [size, ...] by name; absent where the data have none. */
  readonly targets?: Tensors;
}

/**
 * A place of so many numbers for the inputs of a batch in f32, for example in a backend's memory, so that nothing is copied there afterwards. It holds old
 * numbers: what is not written stays them. May be called once for each input. It belongs to who gave it, who uses it again when done with the
 * batch: a dataset does not keep it, or a batch in it, for the next call.
 */
export type BatchRoom = (length: number) => Float32Array;

/** Examples with random access: tensors of any shape and type, with or without targets. */
export interface Dataset {
  /** For messages and reports, for example "mnist train". */
  readonly name: string;
  /** Number of examples. */
  readonly size: number;
  readonly inputs: readonly TensorSpec[];
  /** Absent: nothing is known but the inputs. */
  readonly targets?: readonly TensorSpec[];
  /**
   * The examples at the given indices (each below `size`; repeats allowed), in that order.
   *
   * @param room - where inputs in f32 that are gathered or made for the batch may be written; a dataset may do without
   */
  batch(indices: Uint32Array, room?: BatchRoom): Batch | Promise<Batch>;
}

/** What a dataset of one input calls it. */
export const inputName = "input";

/** What a dataset of class labels calls them. */
export const labelName = "labels";

/** The examples of a row-major matrix. */
interface ArraySpec {
  /** [size, features], finite */
  inputs: Mat;
  /** shape of one example; default: [features] */
  inputShape?: readonly number[];
  /** for messages; default "arrays" */
  name?: string;
}

/**
 * A dataset over arrays the caller holds. The arrays are kept, not copied; a batch of consecutive examples is a view of them.
 * Its input is called "input", its target "labels" or "values". For tensors of other types or several inputs see {@link tensorDataset}.
 *
 * @param spec.inputs - [size, features], finite
 * @param spec.labels - [size] class indices; without them and without values the data are unlabelled
 * @param spec.classes - number of classes; default: the largest label + 1
 * @param spec.values - [size, numbers] for regression, finite
 * @param spec.inputShape - shape of one example; default: [features]
 * @throws ERR_SHAPE when counts differ, ERR_LABEL_RANGE, ERR_NOT_FINITE
 * @example
 * const data = arrayDataset({ inputs: matrix(2, 3), labels: [0, 1] });
 */
export function arrayDataset(
  spec: ArraySpec & { labels?: ArrayLike<number>; classes?: number; values?: Mat },
): Dataset {
  const { inputs, values, name = "arrays" } = spec;
  const inputShape = spec.inputShape ?? [inputs.cols];
  if (sizeOfShape(inputShape) !== inputs.cols) {
    throw shapeMismatch({
      where: name,
      found: `${inputs.cols} features`,
      expected: `the product of inputShape [${inputShape.join(", ")}]`,
    });
  }
  const labels = spec.labels && checkedLabels(name, spec.labels, spec.classes);
  assertFinite(name, inputs.data, "clean or drop those examples");
  if (values) assertFinite(name, values.data, "clean or drop those examples");
  return tensorDataset({
    name,
    inputs: { [inputName]: asTensor(inputs, [inputs.rows, ...inputShape]) },
    ...(labels || values
      ? {
          targets: {
            ...(labels ? { [labelName]: { shape: [labels.data.length], data: labels.data } } : {}),
            ...(values ? { values: asTensor(values) } : {}),
          },
        }
      : {}),
    ...(labels ? { classes: { [labelName]: labels.classes } } : {}),
  });
}

function checkedLabels(
  where: string,
  given: ArrayLike<number>,
  asked: number | undefined,
): { data: Uint32Array; classes: number } {
  const data = Uint32Array.from(given);
  const classes = asked ?? data.reduce((most, label) => Math.max(most, label + 1), 0);
  for (let i = 0; i < data.length; i++) {
    // A conversion that changed the number means that it was negative, fractional or NaN.
    if (given[i] !== data[i] || data[i]! >= classes) {
      throw labelOutOfRange({ where, index: i, label: given[i]!, classes });
    }
  }
  return { data, classes };
}

/**
 * A dataset over tensors the caller holds, of any shape and type. They are kept, not copied; a batch of consecutive examples is a
 * view of them.
 *
 * @param spec.inputs - [size, ...] by name of the model's input, at least one
 * @param spec.targets - [size, ...] by name; default: none
 * @param spec.classes - by name of a target that holds class numbers: how many classes there are
 * @throws ERR_SHAPE when the numbers of examples differ
 */
export function tensorDataset(spec: {
  inputs: Tensors;
  targets?: Tensors;
  classes?: Readonly<Record<string, number>>;
  name?: string;
}): Dataset {
  const { inputs, targets, classes = {}, name = "tensors" } = spec;
  const size = Object.values(inputs)[0]?.shape[0] ?? 0;
  for (const [key, { shape, data }] of [...Object.entries(inputs), ...Object.entries(targets ?? {})]) {
    if (shape[0] === size && data.length === sizeOfShape(shape)) continue;
    throw shapeMismatch({
      where: name,
      found: `'${key}' [${shape.join(", ")}] of ${data.length} numbers beside ${size} examples`,
      expected: "as many examples and labels everywhere, and as many numbers as the shape says",
    });
  }
  const specs = (tensors: Tensors): readonly TensorSpec[] =>
    Object.entries(tensors).map(([key, { shape, data }]) => ({
      name: key,
      shape: shape.slice(1),
      dtype: tensorDtypeOf(data),
      ...(classes[key] === undefined ? {} : { classes: classes[key] }),
    }));
  return {
    name,
    size,
    inputs: specs(inputs),
    ...(targets ? { targets: specs(targets) } : {}),
    batch: (indices, room) => ({
      size: indices.length,
      inputs: takeAllExamples(inputs, indices, room),
      ...(targets ? { targets: takeAllExamples(targets, indices) } : {}),
    }),
  };
}

/** The examples of a dataset at chosen positions [count], each below its size, as a dataset of its own. Nothing is copied. */
export function subset(dataset: Dataset, positions: Uint32Array, name: string = dataset.name): Dataset {
  const { inputs, targets } = dataset;
  return {
    name,
    size: positions.length,
    inputs,
    ...(targets ? { targets } : {}),
    batch: (indices, room) =>
      dataset.batch(
        indices.map((i) => positions[i]!),
        room,
      ),
  };
}

/** The input of a dataset for models of one input: the one called "input", or the only one; undefined where there is no such. */
export function soleInput({ inputs }: Pick<Dataset, "inputs">): TensorSpec | undefined {
  return inputs.length === 1 ? inputs[0] : inputs.find(({ name }) => name === inputName);
}

/**
 * That input of a batch as rows [size, features]: floating-point numbers are not copied.
 *
 * @throws ERR_SHAPE where there is no such input
 */
export function inputRows({ inputs }: Batch): Mat {
  const names = Object.keys(inputs);
  const input = names.length === 1 ? inputs[names[0]!] : inputs[inputName];
  if (input) return asMatrix(input);
  throw shapeMismatch({
    where: "batch",
    found: `inputs ${names.join(", ")}`,
    expected: `one input, or one called '${inputName}'`,
  });
}

/**
 * The class labels of a batch: its target "labels", or its only target, as u32.
 *
 * @throws ERR_SHAPE where there is none
 */
export function labelsOf({ size, targets = {} }: Batch): Uint32Array {
  const names = Object.keys(targets);
  const labels = targets[labelName] ?? (names.length === 1 ? targets[names[0]!] : undefined);
  if (!labels || labels.data.length !== size) {
    const found = names.length === 0 ? "no targets" : `targets ${names.join(", ")}`;
    throw shapeMismatch({ where: "batch", found, expected: `one class number an example, as '${labelName}'` });
  }
  const { data } = labels;
  if (data instanceof Uint32Array) return data;
  return data instanceof BigInt64Array ? Uint32Array.from(data, Number) : Uint32Array.from(data);
}

/** The examples of a batch as data, numbered from 0. Nothing is copied. */
export function batchDataset(dataset: Dataset, { size, inputs, targets }: Batch): Dataset {
  return {
    name: dataset.name,
    size,
    inputs: dataset.inputs,
    ...(dataset.targets ? { targets: dataset.targets } : {}),
    batch: (indices, room) => ({
      size: indices.length,
      inputs: takeAllExamples(inputs, indices, room),
      ...(targets ? { targets: takeAllExamples(targets, indices) } : {}),
    }),
  };
}

/**
 * Walks a dataset in order, `batchSize` examples at a time (the last batch may be smaller).
 */
export async function* batches(dataset: Dataset, batchSize: number): AsyncGenerator<Batch> {
  for (let start = 0; start < dataset.size; start += batchSize) {
    const size = Math.min(batchSize, dataset.size - start);
    yield await dataset.batch(new Uint32Array(size).map((_, i) => start + i));
  }
}

/**
 * @param cols - of a matrix in rows: the first is then named by row and column as well
 * @throws ERR_NOT_FINITE naming the first NaN or infinity and how many there are. O(length).
 */
export function assertFinite(where: string, values: ArrayLike<number>, remedy: string, cols?: number): void {
  let count = 0;
  let index = -1;
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      if (count === 0) index = i;
      count++;
    }
  }
  if (count > 0) throw notFinite({ where, index, value: values[index]!, count, remedy, cols });
}
