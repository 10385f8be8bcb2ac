/** A network between named tensors and the matrices it computes with: one input, one output. */
import {
  asTensor,
  type Dataset,
  type Dtype,
  type FloatTensors,
  inputName,
  type Mat,
  matrix,
  soleInput,
  type TensorSpec,
  zeros,
} from "@secateur/core";
import type { NetworkSpec } from "./graph/network-spec.ts";

/** Name of what a network computes: its scores, before a log-softmax at the end. */
export const outputName = "output";

/** Extents of one example of a dataset, for changes of images. */
export function imageShape(data: Dataset): readonly number[] {
  return (soleInput(data)?.shape ?? []).map((extent) => extent ?? 1);
}

/** What a network takes. */
export function inputSpecs(spec: NetworkSpec, dtype: Dtype): readonly TensorSpec[] {
  return [{ name: inputName, shape: spec.inputShape, dtype }];
}

/** What a network gives: class scores where it ends in a log-softmax. */
export function outputSpecs(spec: NetworkSpec, dtype: Dtype): readonly TensorSpec[] {
  const { classes, layers } = spec;
  const isClassifier = layers.at(-1)?.kind === "log-softmax" && classes > 1;
  return [{ name: outputName, shape: [classes], dtype, ...(isClassifier ? { classes } : {}) }];
}

/** Rows of outputs under their name. */
export function asOutputs(scores: Mat): FloatTensors {
  return { [outputName]: asTensor(scores) };
}

/** The rows of a network's output. */
export function rowsOfOutputs(outputs: FloatTensors): Mat {
  const { shape, data } = outputs[outputName]!;
  return matrix(shape[0] ?? 1, data.length / (shape[0] ?? 1), data);
}

/** Rows of zeros like the given ones. */
export function zeroRows({ rows, cols }: Mat, dtype: Dtype): Mat {
  return matrix(rows, cols, zeros(rows * cols, dtype));
}
