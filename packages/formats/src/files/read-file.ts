import type { FileHandle } from "node:fs/promises";
import { isPruneError, type Vec } from "@secateur/core";
import { fileNotFound, fileNotReadable, fileTooLarge, notAFile } from "../errors.ts";
import { decodeNpy } from "../npy/decode-npy.ts";
import type { Tensor } from "../tensor.ts";
import { toVec } from "./convert.ts";
import { nodeFs, systemErrorCode } from "./node-fs.ts";

/** Node reads at most 2 GiB in one call. */
const CHUNK_BYTES = 2 ** 30;

/**
 * Reads a whole file into one new array of exactly its size. Also reads a pipe to its end, so that
 * `secateur solve --gradients <(...)` works. Node only.
 *
 * @throws ERR_FILE_NOT_FOUND, ERR_NOT_A_FILE, ERR_FILE_NOT_READABLE, ERR_FILE_TOO_LARGE
 */
export async function readFileBytes(path: string): Promise<Uint8Array> {
  const fs = nodeFs(`reading ${path}`);
  let handle: FileHandle | undefined;
  try {
    handle = await fs.promises.open(path, "r");
    const stat = await handle.stat();
    if (stat.isDirectory()) throw notAFile(path, "a folder");
    // A pipe tells no size; reading a device might never end.
    if (stat.isFIFO()) return new Uint8Array(await handle.readFile());
    if (!stat.isFile()) throw notAFile(path, "a device or socket");
    return await readWhole({ handle, path, size: stat.size });
  } catch (error) {
    throw explainReadError(path, error);
  } finally {
    await handle?.close();
  }
}

/**
 * Refuses a path at which nothing is, before any of several inputs is read. Node only.
 *
 * @throws ERR_FILE_NOT_FOUND; ERR_FILE_NOT_READABLE where the system does not let one look
 */
export async function assertThere(path: string): Promise<void> {
  try {
    await nodeFs(`reading ${path}`).promises.stat(path);
  } catch (error) {
    throw explainReadError(path, error);
  }
}

/**
 * Reads an .npy file: `decodeNpy` of its bytes. Node only.
 *
 * @throws what `readFileBytes` and `decodeNpy` throw
 * @example
 * const weights = toVec(await readNpy("w.npy"));
 */
export async function readNpy(path: string): Promise<Tensor> {
  return decodeNpy(await readFileBytes(path), path);
}

/**
 * Reads an .npy file as numbers to compute with: bytes (u8) stay bytes, everything else becomes f32 or f64 as `toVec`
 * says. It is what `openDataset` of @secateur/datasets takes as `readArray`. Node only.
 *
 * @throws what `readNpy` throws
 */
export async function readNpyNumbers(path: string): Promise<{ shape: readonly number[]; data: Uint8Array | Vec }> {
  return numbersOf(await readNpy(path));
}

/** An array as numbers: bytes stay bytes. */
export function numbersOf(tensor: Tensor): { shape: readonly number[]; data: Uint8Array | Vec } {
  return { shape: tensor.shape, data: tensor.dtype === "u8" ? tensor.data : toVec(tensor) };
}

async function readWhole(spec: { handle: FileHandle; path: string; size: number }): Promise<Uint8Array> {
  const { handle, path, size } = spec;
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(size);
  } catch (error) {
    throw fileTooLarge(path, size, error);
  }
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await handle.read(bytes, filled, Math.min(CHUNK_BYTES, size - filled), filled);
    if (bytesRead === 0) break; // the file became shorter; its decoder will say so
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function explainReadError(path: string, error: unknown): unknown {
  if (isPruneError(error)) return error;
  const code = systemErrorCode(error);
  if (code === "ENOENT" || code === "ENOTDIR") return fileNotFound(path, error);
  if (code === "EISDIR") return notAFile(path, "a folder");
  return fileNotReadable(path, error);
}
