/** Reading files and folders; Node only, reached without imports so that a browser bundle of this package does not break. */

import { badGzip, fileNotFound, folderNotFound, gzipTooLarge, needsNode, notReadable, wrongKind } from "./errors.ts";
import { maxUnpackedBytes } from "./limits.ts";

interface Builtins {
  "node:buffer": typeof import("node:buffer");
  "node:fs": typeof import("node:fs");
  "node:module": typeof import("node:module");
  "node:path": typeof import("node:path");
  "node:url": typeof import("node:url");
  "node:zlib": typeof import("node:zlib");
}

/**
 * One of Node's own modules.
 *
 * @throws ERR_NEEDS_NODE where there is no Node
 */
export function nodeModule<Name extends keyof Builtins>(name: Name): Builtins[Name] {
  const module = (globalThis as { process?: NodeJS.Process }).process?.getBuiltinModule?.(name);
  if (module === undefined) throw needsNode("reading a dataset from files");
  return module as Builtins[Name];
}

/**
 * Reads a whole file and unpacks it when its content is gzip, whatever its name.
 *
 * @throws ERR_FILE_NOT_FOUND, ERR_NOT_A_FILE, ERR_FILE_NOT_READABLE, ERR_GZIP
 */
export function readMaybeGzip(path: string): Uint8Array {
  const bytes = readFile(path);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const maxOutputLength = maxUnpackedBytes(bytes.length);
  try {
    return nodeModule("node:zlib").gunzipSync(bytes, { maxOutputLength });
  } catch (cause) {
    if (errorCode(cause) === "ERR_BUFFER_TOO_LARGE") {
      throw gzipTooLarge({ path, packed: bytes.length, limit: maxOutputLength, cause });
    }
    throw badGzip(path, cause);
  }
}

/** The path of something in a folder. */
export function fileIn(folder: string, name: string): string {
  return nodeModule("node:path").join(folder, name);
}

/** Whether there is a folder at the path, or a link to one. */
export function isFolder(path: string): boolean {
  return nodeModule("node:fs").statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/**
 * Reads a whole file.
 *
 * @throws ERR_FILE_NOT_FOUND, ERR_NOT_A_FILE, ERR_FILE_NOT_READABLE
 */
export function readFile(path: string): Uint8Array {
  try {
    return nodeModule("node:fs").readFileSync(path);
  } catch (cause) {
    const code = errorCode(cause);
    if (code === "ENOENT") throw fileNotFound(path, cause);
    if (code === "EISDIR") throw wrongKind({ path, found: "a folder", expected: "a file; move the folder away" });
    throw notReadable(path, cause);
  }
}

/**
 * The names in a folder, sorted.
 *
 * @throws ERR_FILE_NOT_FOUND, ERR_NOT_A_FILE when it is a file, ERR_FILE_NOT_READABLE
 */
export function listFolder(path: string): readonly string[] {
  try {
    return nodeModule("node:fs").readdirSync(path).sort();
  } catch (cause) {
    const code = errorCode(cause);
    if (code === "ENOENT") throw folderNotFound(path, cause);
    if (code === "ENOTDIR") throw wrongKind({ path, found: "a file", expected: "a folder with the dataset's files" });
    throw notReadable(path, cause);
  }
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
