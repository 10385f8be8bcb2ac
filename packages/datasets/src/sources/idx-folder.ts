import type { Dataset } from "@secateur/core";
import { badLabel, emptyDataset, missingPart, shapesDiffer } from "../errors.ts";
import { listFolder, nodeModule, readMaybeGzip } from "../node-files.ts";
import { type Normalisation, resolveNormalisation } from "../normalisation.ts";
import type { DatasetSplits, OpenDatasetOptions } from "../source.ts";
import { decodeIdx } from "./idx.ts";
import { classTargets, rawDataset } from "./raw-dataset.ts";

/** A folder of idx files and how to read it. */
export interface IdxFolder {
  /** name of the dataset, for messages and reports */
  readonly name: string;
  readonly folder: string;
  readonly options: OpenDatasetOptions;
  /** what the dataset declares */
  readonly normalisation: Normalisation;
  readonly classes: number;
}

/** What the names of MNIST's files begin with. */
const SPLIT_PREFIX = { train: "train", test: "t10k" };

/**
 * Opens the four idx files of a folder: images and labels of the training and the test split, each packed or not.
 * Reads every file whole and keeps one byte a pixel; nothing is normalised before a batch is asked for.
 *
 * @throws ERR_FILE_NOT_FOUND, ERR_NOT_A_FILE, ERR_FILE_NOT_READABLE, ERR_DATASET_INCOMPLETE, ERR_GZIP, ERR_IDX, ERR_SHAPE,
 * ERR_LABEL_RANGE, ERR_DATASET_EMPTY, ERR_NORMALIZE
 */
export function openIdxFolder(spec: IdxFolder): DatasetSplits {
  const names = listFolder(spec.folder);
  const train = readSplit({ ...spec, names, split: "train" });
  const test = readSplit({ ...spec, names, split: "test" });
  const [trainShape, testShape] = [train, test].map(({ inputShape }) => inputShape.slice(1).join(" x "));
  if (trainShape !== testShape) {
    const found = `training images of ${trainShape} and test images of ${testShape}`;
    throw shapesDiffer({ where: spec.folder, found, expected: "images of one size" });
  }
  const normalisation = resolveNormalisation({
    declared: spec.normalisation,
    normalize: spec.options.normalize,
    inputShape: train.inputShape,
  });
  const dataset = (split: Split, name: string): Dataset =>
    rawDataset({
      ...{ name: `${spec.name} ${name}`, values: split.values, inputShape: split.inputShape, normalisation },
      ...{ size: split.labels.length, targets: classTargets(split.labels, spec.classes) },
    });
  return { name: spec.name, train: dataset(train, "train"), test: dataset(test, "test"), normalisation };
}

interface Split {
  readonly values: Uint8Array;
  readonly labels: Uint8Array;
  readonly inputShape: readonly number[];
}

interface SplitRequest {
  readonly folder: string;
  readonly names: readonly string[];
  readonly split: "train" | "test";
  readonly classes: number;
}

function readSplit(request: SplitRequest): Split {
  const imagesPath = findPart({ ...request, part: "images", rank: 3 });
  const labelsPath = findPart({ ...request, part: "labels", rank: 1 });
  const images = decodeIdx(readMaybeGzip(imagesPath), { rank: 3, source: imagesPath });
  const { data: labels } = decodeIdx(readMaybeGzip(labelsPath), { rank: 1, source: labelsPath });
  const [count = 0, rows = 0, columns = 0] = images.shape;
  if (count !== labels.length) {
    const found = `${count} images and ${labels.length} labels in ${labelsPath}`;
    throw shapesDiffer({ where: imagesPath, found, expected: "as many labels as images" });
  }
  if (count === 0) throw emptyDataset(imagesPath);
  const wrong = labels.findIndex((label) => label >= request.classes);
  if (wrong >= 0) {
    throw badLabel({ where: labelsPath, index: wrong, label: labels[wrong]!, allowed: `0..${request.classes - 1}` });
  }
  return { values: images.data, labels, inputShape: [1, rows, columns] };
}

/** The path of one of the four files; the unpacked one where both are there. */
function findPart(request: SplitRequest & { part: "images" | "labels"; rank: number }): string {
  const { folder, names, split, part, rank } = request;
  const stem = `${SPLIT_PREFIX[split]}-${part}`;
  const candidates = [`${stem}-idx${rank}-ubyte`, `${stem}.idx${rank}-ubyte`];
  const name = [...candidates, ...candidates.map((candidate) => `${candidate}.gz`)].find((it) => names.includes(it));
  if (name === undefined) {
    throw missingPart({ folder, part: `${split} ${part}`, names: candidates, found: names });
  }
  return nodeModule("node:path").join(folder, name);
}
