/**
 * CIFAR's binary version: records of one or two label bytes and 3072 pixel bytes, [3, 32, 32], red before green before blue.
 * Source: the description on the CIFAR page (Krizhevsky).
 */
import { badLabel, emptyDataset, missingPart } from "../errors.ts";
import { fileIn, isFolder, listFolder, readMaybeGzip } from "../node-files.ts";
import { type Normalisation, resolveNormalisation } from "../normalisation.ts";
import type { DatasetSplits, OpenDatasetOptions } from "../source.ts";
import { classTargets, rawDataset } from "./raw-dataset.ts";

/** How one of the two datasets is stored. */
export interface CifarLayout {
  readonly name: string;
  /** files of the training split; some of them are enough */
  readonly train: readonly string[];
  readonly test: string;
  /** the folder inside the published archive */
  readonly archiveFolder: string;
  /** label bytes of a record; the last is the class */
  readonly labelBytes: number;
  readonly classes: number;
}

const INPUT_SHAPE = [3, 32, 32];
const PIXEL_BYTES = 3072;

/**
 * Opens a folder of binary batches, each packed or not; also the folder that holds the unpacked archive. Training files
 * may be missing and files may end early: the whole records that are there are used, and `warnings` says so.
 * Reads every file whole and keeps one byte a pixel (184 MB for all of CIFAR-10).
 *
 * @throws ERR_FILE_NOT_FOUND, ERR_NOT_A_FILE, ERR_FILE_NOT_READABLE, ERR_DATASET_INCOMPLETE, ERR_GZIP, ERR_LABEL_RANGE,
 * ERR_DATASET_EMPTY, ERR_NORMALIZE
 */
export function openCifarFolder(request: {
  spec: string;
  folder: string;
  layout: CifarLayout;
  normalisation: Normalisation;
  options: OpenDatasetOptions;
}): DatasetSplits {
  const { spec, layout, options } = request;
  const place = findFiles(request.folder, layout);
  const warnings: string[] = [];
  if (place.train.length < layout.train.length) {
    warnings.push(`${place.folder}: ${place.train.length} of the ${layout.train.length} training files are there`);
  }
  const normalisation = resolveNormalisation({
    declared: request.normalisation,
    normalize: options.normalize,
    inputShape: INPUT_SHAPE,
  });
  const classes = options.classes ?? layout.classes;
  const dataset = (paths: readonly string[], name: string) => {
    const records = joinRecords(paths.map((path) => readRecords({ path, layout, classes, warnings })));
    return rawDataset({
      ...{ name: `${spec} ${name}`, values: records.values, inputShape: INPUT_SHAPE, normalisation },
      ...{ size: records.labels.length, targets: classTargets(records.labels, classes) },
    });
  };
  const train = dataset(place.train, "train");
  const test = dataset([place.test], "test");
  return { name: spec, train, test, normalisation, ...(warnings.length > 0 ? { warnings } : {}) };
}

interface Records {
  /** [n, 3072] */
  readonly values: Uint8Array;
  /** [n] */
  readonly labels: Uint8Array;
}

function findFiles(given: string, layout: CifarLayout): { folder: string; train: readonly string[]; test: string } {
  const inner = fileIn(given, layout.archiveFolder);
  const folder = listFolder(given).includes(layout.archiveFolder) && isFolder(inner) ? inner : given;
  const found = listFolder(folder);
  const path = (file: string): string | undefined => {
    const name = [file, `${file}.gz`].find((candidate) => found.includes(candidate));
    return name === undefined ? undefined : fileIn(folder, name);
  };
  const train = layout.train.map(path).filter((file) => file !== undefined);
  const test = path(layout.test);
  if (train.length === 0) throw missingPart({ folder, part: "training split", names: layout.train, found });
  if (test === undefined) throw missingPart({ folder, part: "test split", names: [layout.test], found });
  return { folder, train, test };
}

/** The whole records of one file. What is left over goes to `warnings`. */
function readRecords(spec: { path: string; layout: CifarLayout; classes: number; warnings: string[] }): Records {
  const { path, layout, classes, warnings } = spec;
  const bytes = readMaybeGzip(path);
  const { labelBytes } = layout;
  const recordBytes = labelBytes + PIXEL_BYTES;
  const count = Math.floor(bytes.length / recordBytes);
  const rest = bytes.length - count * recordBytes;
  if (count === 0) throw emptyDataset(`${path} (${bytes.length} bytes; a record has ${recordBytes})`);
  if (rest > 0) {
    warnings.push(
      `${path}: its ${bytes.length} bytes are no whole number of records of ${recordBytes} bytes; the ${count} whole records are used and the last ${rest} bytes are not`,
    );
  }
  const values = new Uint8Array(count * PIXEL_BYTES);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const start = i * recordBytes;
    const label = bytes[start + labelBytes - 1]!;
    if (label >= classes) throw badLabel({ where: path, index: i, label, allowed: `0..${classes - 1}` });
    labels[i] = label;
    values.set(bytes.subarray(start + labelBytes, start + recordBytes), i * PIXEL_BYTES);
  }
  return { values, labels };
}

function joinRecords(parts: readonly Records[]): Records {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const count = parts.reduce((sum, { labels }) => sum + labels.length, 0);
  const values = new Uint8Array(count * PIXEL_BYTES);
  const labels = new Uint8Array(count);
  let at = 0;
  for (const part of parts) {
    values.set(part.values, at * PIXEL_BYTES);
    labels.set(part.labels, at);
    at += part.labels.length;
  }
  return { values, labels };
}
