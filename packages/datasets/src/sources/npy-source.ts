import type { Dataset } from "@secateur/core";
import { badDataSpec, emptyDataset, readerMissing, shapesDiffer } from "../errors.ts";
import { type Normalisation, resolveNormalisation } from "../normalisation.ts";
import type { DataSource, DatasetSplits, NumberArray, OpenRequest } from "../source.ts";
import { classLabels } from "./class-labels.ts";
import { finiteFloats } from "./finite-floats.ts";
import { rawDataset } from "./raw-dataset.ts";

const USAGES = ["npy:X.npy,Y.npy", "npy:Xtrain.npy,Ytrain.npy,Xtest.npy,Ytest.npy"];

/** Values are used as they are stored unless the caller normalises them. */
const IDENTITY: Normalisation = { divisor: 1, mean: [0], std: [1] };

/** Above this many channels of their own mean, a table of 256 values each costs more than it saves. */
const MAX_BYTE_TABLES = 256;

/**
 * Inputs X [n, features] or [n, channels, height, width] and labels Y [n] from .npy files. Two files are one split,
 * used for training and testing alike; four are a training and a test split. Values are used as stored, without
 * division by 255, unless a normalisation is given.
 */
export const npySource: DataSource = {
  name: "npy",
  usages: USAGES,
  summary: "inputs X [n, ...] and labels Y [n] from .npy files; two files serve for training and testing alike",
  async open(request: OpenRequest): Promise<DatasetSplits> {
    const { spec, argument, options } = request;
    const paths = argument?.split(",") ?? [];
    if ((paths.length !== 2 && paths.length !== 4) || paths.includes("")) {
      throw badDataSpec({ found: spec, expected: `${USAGES.join(" or ")} (paths without commas)` });
    }
    const train = await readPair(request, paths.slice(0, 2) as [string, string]);
    const test = paths.length === 4 ? await readPair(request, paths.slice(2) as [string, string]) : train;
    const inputShape = train.inputShape;
    if (inputShape.join() !== test.inputShape.join()) {
      const found = `training examples of shape [${inputShape.join(", ")}] and test examples of shape [${test.inputShape.join(", ")}]`;
      throw shapesDiffer({ where: spec, found, expected: "examples of one shape" });
    }
    const normalisation = resolveNormalisation({ declared: IDENTITY, normalize: options.normalize, inputShape });
    const classes = options.classes ?? 1 + Math.max(train.highestLabel, test.highestLabel);
    const dataset = (pair: Pair, name: string): Dataset => {
      const isTabled = normalisation.mean.length <= MAX_BYTE_TABLES;
      const values = pair.values instanceof Uint8Array && !isTabled ? new Float32Array(pair.values) : pair.values;
      return rawDataset({ ...pair, name, values, classes, normalisation });
    };
    if (test === train) {
      const only = dataset(train, spec);
      return { name: spec, train: only, test: only, normalisation };
    }
    return { name: spec, train: dataset(train, `${spec} train`), test: dataset(test, `${spec} test`), normalisation };
  },
};

interface Pair {
  readonly values: Uint8Array | Float32Array;
  readonly labels: Uint32Array;
  readonly highestLabel: number;
  readonly inputShape: readonly number[];
}

async function readPair({ spec, options }: OpenRequest, paths: readonly [string, string]): Promise<Pair> {
  if (options.readArray === undefined) throw readerMissing(spec);
  const [inputsPath, labelsPath] = paths;
  const inputs = await options.readArray(inputsPath);
  const labels = await options.readArray(labelsPath);
  checkCounts({ inputs, inputsPath, labels, labelsPath });
  const [size = 0, ...inputShape] = inputs.shape;
  const features = inputs.data.length / size;
  const values =
    inputs.data instanceof Uint8Array ? inputs.data : finiteFloats(inputs.data, { features, source: inputsPath });
  return { values, inputShape, ...classLabels(labels.data, { classes: options.classes, source: labelsPath }) };
}

function checkCounts(spec: { inputs: NumberArray; inputsPath: string; labels: NumberArray; labelsPath: string }): void {
  const { inputs, inputsPath, labels, labelsPath } = spec;
  const [size = 0, ...inputShape] = inputs.shape;
  if (inputShape.length < 1 || inputShape.length > 3) {
    const found = `an array of shape [${inputs.shape.join(", ")}]`;
    throw shapesDiffer({
      where: inputsPath,
      found,
      expected: "[n, features], [n, height, width] or [n, channels, height, width]",
    });
  }
  if (inputs.data.length === 0) throw emptyDataset(inputsPath);
  const [labelCount = 0, ...rest] = labels.shape;
  if (labels.shape.length === 0 || rest.some((extent) => extent !== 1)) {
    const found = `an array of shape [${labels.shape.join(", ")}]`;
    throw shapesDiffer({
      where: labelsPath,
      found,
      expected: "labels of shape [n], one class number an example (for one-hot rows take argmax)",
    });
  }
  if (labelCount !== size) {
    const found = `${size} examples and ${labelCount} labels in ${labelsPath}`;
    throw shapesDiffer({ where: inputsPath, found, expected: "as many labels as examples" });
  }
}
