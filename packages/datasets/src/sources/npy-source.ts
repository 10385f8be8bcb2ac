import type { Dataset } from "@secateur/core";
import { badDataSpec, emptyDataset, readerMissing, shapesDiffer } from "../errors.ts";
import { type Normalisation, resolveNormalisation } from "../normalisation.ts";
import type { DataSource, DatasetSplits, OpenRequest } from "../source.ts";
import { finiteFloats } from "./finite-floats.ts";
import { namedArrays } from "./named-arrays.ts";
import { type FileArray, targetsOf } from "./npy-targets.ts";
import { rawDataset, type SplitTargets } from "./raw-dataset.ts";

const USAGES = [
  "npy:X.npy",
  "npy:X.npy,Y.npy",
  "npy:Xtrain.npy,Ytrain.npy,Xtest.npy,Ytest.npy",
  "npy:INPUT=X.npy,TARGET=Y.npy,OTHER=Z.npy",
];

/** Values are used as they are stored unless the caller normalises them. */
const IDENTITY: Normalisation = { divisor: 1, mean: [0], std: [1] };

/** Above this many channels of their own mean, a table of 256 values each costs more than it saves. */
const MAX_BYTE_TABLES = 256;

/**
 * Inputs X [n, ...] and targets Y from .npy files. One file is unlabelled; two are one split, used for training and testing alike; four are
 * a training and a test split. Y is [n] class numbers, [n, ...] whole numbers (a class a position, or 0 and 1 for several labels), or other
 * numbers for regression. With names, any number of inputs and targets: see namedArrays. Inputs are used as stored, without division by 255, unless a normalisation is given.
 */
export const npySource: DataSource = {
  name: "npy",
  usages: USAGES,
  summary:
    "inputs X [n, ...] and targets Y [n, ...] from .npy files; without Y unlabelled; one split serves for both uses",
  async open(request: OpenRequest): Promise<DatasetSplits> {
    const { spec, argument, options } = request;
    const paths = argument?.split(",") ?? [];
    // A name has no separator of folders: behind one, "=" is part of a path.
    if (paths.some((path) => /^[^/\\=]+=/.test(path))) return await namedArrays(request, paths);
    if (![1, 2, 4].includes(paths.length) || paths.includes("")) {
      throw badDataSpec({ found: spec, expected: `${USAGES.join(" or ")} (paths without commas)` });
    }
    const [trainX = "", trainY, testX, testY] = paths;
    const train = await readSplit(request, trainX, trainY);
    const test = testX === undefined ? train : await readSplit(request, testX, testY);
    const inputShape = train.inputShape;
    if (inputShape.join() !== test.inputShape.join()) {
      const found = `training examples of shape [${inputShape.join(", ")}] and test examples of shape [${test.inputShape.join(", ")}]`;
      throw shapesDiffer({ where: spec, found, expected: "examples of one shape" });
    }
    const normalisation = resolveNormalisation({ declared: IDENTITY, normalize: options.normalize, inputShape });
    const both = targetsOf(
      [train, test].flatMap(({ targets }) => targets ?? []),
      options,
    );
    const dataset = (split: Split, targets: SplitTargets | undefined, name: string): Dataset => {
      const isTabled = normalisation.mean.length <= MAX_BYTE_TABLES;
      const values = split.values instanceof Uint8Array && !isTabled ? new Float32Array(split.values) : split.values;
      return rawDataset({ ...{ name, values, inputShape, normalisation, size: split.size }, targets });
    };
    if (test === train) {
      const only = dataset(train, both?.[0], spec);
      return { name: spec, train: only, test: only, normalisation };
    }
    return {
      name: spec,
      train: dataset(train, both?.[0], `${spec} train`),
      test: dataset(test, both?.[1], `${spec} test`),
      normalisation,
    };
  },
};

interface Split {
  readonly size: number;
  readonly values: Uint8Array | Float32Array;
  readonly inputShape: readonly number[];
  /** As read; absent without a file. */
  readonly targets?: FileArray;
}

async function readSplit({ spec, options }: OpenRequest, inputsPath: string, targetsPath?: string): Promise<Split> {
  if (options.readArray === undefined) throw readerMissing(spec);
  const inputs = await options.readArray(inputsPath);
  const [size = 0, ...inputShape] = inputs.shape;
  if (inputShape.length < 1) {
    const found = `an array of shape [${inputs.shape.join(", ")}]`;
    throw shapesDiffer({
      where: inputsPath,
      found,
      expected: "examples first, as [n, features] or [n, channels, height, width]",
    });
  }
  if (inputs.data.length === 0) throw emptyDataset(inputsPath);
  const features = inputs.data.length / size;
  const values =
    inputs.data instanceof Uint8Array ? inputs.data : finiteFloats(inputs.data, { features, source: inputsPath });
  if (targetsPath === undefined) return { size, values, inputShape };
  const targets = await options.readArray(targetsPath);
  if (targets.shape.length === 0) {
    const expected = "targets of shape [n] or [n, ...], examples first";
    throw shapesDiffer({ where: targetsPath, found: "an array of shape []", expected });
  }
  if (targets.shape[0] !== size) {
    const found = `${size} examples and ${targets.shape[0]} labels in ${targetsPath}`;
    throw shapesDiffer({ where: inputsPath, found, expected: "as many labels as examples" });
  }
  return { size, values, inputShape, targets: { ...targets, path: targetsPath } };
}
