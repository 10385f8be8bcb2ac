/** Every error this package throws, one factory each. Codes are stable; messages may improve. */
import { PruneError } from "@secateur/core";
import { quote } from "./text/quote.ts";

/** The path leads nowhere. */
export function fileNotFound(path: string, cause: unknown): PruneError {
  // Bytes of a name that are no UTF-8 reach a program as this sign, and no file has it in place of them.
  const isOtherText = path.includes("\ufffd");
  const remedy = isOtherText ? "its name is not UTF-8, so it cannot be opened: rename it" : "check the path";
  return new PruneError("ERR_FILE_NOT_FOUND", `${path}: there is no such file; ${remedy}`, {
    cause,
    details: { path },
  });
}

/** A folder, socket or device where a file was expected. */
export function notAFile(path: string, found: string): PruneError {
  return new PruneError("ERR_NOT_A_FILE", `${path}: found ${found} where a file is expected; give the path of a file`, {
    details: { path, found },
  });
}

/** The file is there and cannot be read. */
export function fileNotReadable(path: string, cause: unknown): PruneError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PruneError("ERR_FILE_NOT_READABLE", `${path}: cannot be read (${reason}); check its permissions`, {
    cause,
    details: { path },
  });
}

/** The file needs more memory than one array may have. */
export function fileTooLarge(path: string, bytes: number, cause: unknown): PruneError {
  return new PruneError(
    "ERR_FILE_TOO_LARGE",
    `${path}: its ${bytes} bytes do not fit into memory in one piece; split the file into smaller ones`,
    { cause, details: { path, bytes } },
  );
}

/** The bytes are of a format that is not read here, or of none that is known. */
export function unsupportedFormat(spec: { source: string; found: string; remedy: string }): PruneError {
  return new PruneError(
    "ERR_FORMAT",
    `${spec.source}: found ${spec.found}, which is not supported; supported are safetensors, PyTorch (.pt, .pth, .bin), ONNX (.onnx) and packed (.secateur) files, checkpoints in several files with an index, TensorFlow.js models (model.json), and formats of plugins, by the ending of the file; ${spec.remedy}`,
    { details: spec },
  );
}

/** An output name whose ending names no format that is written here. */
export function unknownOutputFormat(path: string, known: readonly string[]): PruneError {
  return new PruneError(
    "ERR_OUTPUT_FORMAT",
    `${path}: the ending of an output file chooses its format and this one names none; known: ${known.join(", ")}; rename the output`,
    { details: { path, known } },
  );
}

/** Bytes that should be a safetensors file and are not. */
export function badSafetensors(spec: { source: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_SAFETENSORS",
    `${spec.source}: not a valid safetensors file: found ${spec.found}, expected ${spec.expected}; copy or export the file again`,
    { details: spec },
  );
}

/** Bytes that should be a PyTorch checkpoint and cannot be read as one. `remedy` defaults to getting the file again. */
export function badPytorch(spec: { source: string; found: string; expected: string; remedy?: string }): PruneError {
  const { source, found, expected, remedy = "copy or save the file again" } = spec;
  return new PruneError(
    "ERR_PYTORCH",
    `${source}: not a readable PyTorch checkpoint: found ${found}, expected ${expected}; ${remedy}`,
    { details: spec },
  );
}

/** Bytes that should be the index of a checkpoint in several files and are not, or do not go with these files. */
export function badShardIndex(spec: { source: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_SHARD_INDEX",
    `${spec.source}: not a usable index of a checkpoint's files: found ${spec.found}, expected ${spec.expected}; download the index and its files again`,
    { details: spec },
  );
}

/** Tensors of a file that cannot be handled together. */
export function badTensors(spec: { source: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_TENSORS",
    `${spec.source}: found ${spec.found}, expected ${spec.expected}; save the bare network's tensors, each with elements of its own`,
    { details: spec },
  );
}

/** A PyTorch checkpoint that would run code of its own on whoever unpickles it. */
export function hostilePytorch(spec: { source: string; calls: readonly string[] }): PruneError {
  return new PruneError(
    "ERR_PYTORCH_UNSAFE",
    `${spec.source}: unpickling it would run ${spec.calls.join(", ")}; nothing was run, and such a file is not read; do not load it with torch either, and get the network from a source that you trust`,
    { details: spec },
  );
}

/** Bytes that should be an ONNX model and cannot be read as one. `remedy` defaults to getting the file again. */
export function badOnnx(spec: { source: string; found: string; expected: string; remedy?: string }): PruneError {
  const { source, found, expected, remedy = "copy or export the model again" } = spec;
  return new PruneError(
    "ERR_ONNX",
    `${source}: not a readable ONNX model: found ${found}, expected ${expected}; ${remedy}`,
    { details: spec },
  );
}

/** An archive of arrays that is damaged, encrypted, or larger than it may be. */
export function badNpz(source: string, spec: { found: string; remedy: string; cause?: unknown }): PruneError {
  const { found, remedy, cause } = spec;
  const message = `${source}: not a usable .npz archive: found ${found}, expected one as np.savez or np.savez_compressed writes it; ${remedy}`;
  return new PruneError("ERR_NPY", message, { details: { source, found }, cause });
}

/** Data of an ONNX model that lies in another file, where that file cannot be used. */
export function badExternalData(spec: { source: string; tensor: string; found: string; remedy: string }): PruneError {
  return new PruneError(
    "ERR_ONNX_EXTERNAL",
    `${spec.source}: the external data of tensor ${quote(spec.tensor)}: ${spec.found}; ${spec.remedy}`,
    { details: spec },
  );
}

/** Bytes that should be an .npy file and are not. */
export function badNpy(spec: { source: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_NPY",
    `${spec.source}: not a valid .npy file: found ${spec.found}, expected ${spec.expected}; save the array again with numpy.save`,
    { details: spec },
  );
}

/** An element type that is not read here. */
export function unknownDtype(spec: { where: string; found: string; known: readonly string[] }): PruneError {
  return new PruneError(
    "ERR_DTYPE",
    `${spec.where}: its dtype is ${quote(spec.found)}; supported: ${spec.known.join(", ")}; convert it to float32 and save again`,
    { details: spec },
  );
}

/** A tensor handed over for writing that no file can hold. */
export function badTensor(spec: { name: string; found: string; expected: string }): PruneError {
  return new PruneError(
    "ERR_TENSOR",
    `tensor ${quote(spec.name)} cannot be written: found ${spec.found}, expected ${spec.expected}; correct the tensor before writing`,
    { details: spec },
  );
}

/** NaN or infinite numbers in a tensor. */
export function notFinite(spec: {
  where: string;
  value: number;
  index: number;
  position: string;
  count: number;
  size: number;
}): PruneError {
  return new PruneError(
    "ERR_NOT_FINITE",
    `${spec.where}: ${spec.count} of its ${spec.size} numbers ${spec.count === 1 ? "is" : "are"} NaN or infinite, ` +
      `the first is ${spec.value} at flat index ${spec.index}${spec.position}; only finite numbers can be used, so train or export it again`,
    { details: spec },
  );
}

/** The output is there already. */
export function outputExists(path: string): PruneError {
  return new PruneError(
    "ERR_OUTPUT_EXISTS",
    `${path}: exists already and is not overwritten; choose another name, or allow overwriting (--force)`,
    { details: { path } },
  );
}

/** The folder of the output is missing or is not a folder. */
export function outputFolderMissing(spec: {
  path: string;
  folder: string;
  found: string;
  cause?: unknown;
}): PruneError {
  return new PruneError(
    "ERR_OUTPUT_FOLDER",
    `${spec.path}: cannot be written because ${spec.folder} ${spec.found}; create the folder or choose another`,
    { cause: spec.cause, details: { path: spec.path, folder: spec.folder, found: spec.found } },
  );
}

/** The output or its folder may not be written. */
export function outputNotWritable(spec: { path: string; reason: string; cause?: unknown }): PruneError {
  return new PruneError(
    "ERR_OUTPUT_NOT_WRITABLE",
    `${spec.path}: cannot be written (${spec.reason}); change the permissions or choose another place`,
    { cause: spec.cause, details: { path: spec.path, reason: spec.reason } },
  );
}

/** Writing began and failed, for example because the disk is full. Nothing is left behind. */
export function outputFailed(path: string, cause: unknown): PruneError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PruneError(
    "ERR_OUTPUT_FAILED",
    `${path}: writing failed (${reason}) and no part of it is left; check the free space of the disk and try again`,
    { fault: "runtime", cause, details: { path } },
  );
}

/** Files were asked for where there are none, as in a browser. */
export function needsNode(what: string): PruneError {
  return new PruneError(
    "ERR_NEEDS_NODE",
    `${what} needs Node 20.19 or later; elsewhere fetch the bytes yourself and hand them to a decode function`,
    { fault: "runtime", details: { what } },
  );
}

/** Tensor data that are not those that were written. */
export function badChecksum(spec: { source: string; key: string; found: string; expected: string }): PruneError {
  const { source, key, found, expected } = spec;
  return new PruneError(
    "ERR_CHECKSUM",
    `${source}: its tensor data have the checksum ${found}, and ${quote(expected)} was written: the file is damaged, or another program changed tensors and kept the metadata; copy the file again, or take the entry '${key}' out of the metadata`,
    { details: spec },
  );
}
