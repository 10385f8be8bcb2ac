/**
 * Output files appear whole or not at all: written beside the target under another name, flushed to the disk, then
 * moved into place. A failure, an abort or an early process.exit leaves nothing behind.
 */
import type { FileHandle } from "node:fs/promises";
import { isPruneError, throwIfAborted } from "@secateur/core";
import { outputExists, outputFailed, outputNotWritable } from "../errors.ts";
import { discard, openBeside, type UnfinishedFile } from "./file-beside.ts";
import { nodeFs, systemErrorCode } from "./node-fs.ts";
import { findPlace, type OutputPlace } from "./output-path.ts";

/** How an output is written. */
export interface WriteOptions {
  /** Whether a file at that path may be replaced. Its permission bits are kept; without, it is refused even if it appears meanwhile. */
  readonly overwrite: boolean;
  /** Aborting stops the writing within 16 MiB and leaves the disk as it was. Default: none. */
  readonly signal?: AbortSignal;
}

/** Small enough that an abort is noticed within a second on a slow disk. */
const CHUNK_BYTES = 2 ** 24;

/**
 * Writes a file whole or not at all. Node only.
 *
 * @param path - the file; its folder must exist; a symbolic link is followed
 * @param content - bytes, or text written as UTF-8
 * @throws ERR_OUTPUT_EXISTS, ERR_OUTPUT_FOLDER, ERR_OUTPUT_NOT_WRITABLE; ERR_OUTPUT_FAILED (a runtime fault) when the disk is full or fails; ERR_ABORTED
 * @example
 * await writeFileAtomic("out.npy", encodeNpy({ shape: [w.length], data: w }), { overwrite: false });
 */
export async function writeFileAtomic(
  path: string,
  content: Uint8Array | string,
  options: WriteOptions,
): Promise<void> {
  const place = await findPlace(path, options);
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  let unfinished: UnfinishedFile | undefined;
  try {
    unfinished = await openBeside(place);
    await writeAll({ ...unfinished, bytes, place, ...(options.signal && { signal: options.signal }) });
    await moveIntoPlace({ path, from: unfinished.name, to: place.target, overwrite: options.overwrite });
  } catch (error) {
    throw explainWriteError(path, error);
  } finally {
    if (unfinished !== undefined) await discard(unfinished);
  }
}

/** Writes, flushes and closes. */
async function writeAll(spec: {
  handle: FileHandle;
  bytes: Uint8Array;
  place: OutputPlace;
  signal?: AbortSignal;
}): Promise<void> {
  const { handle, bytes, place, signal } = spec;
  for (let start = 0; start < bytes.length; ) {
    if (signal) throwIfAborted(signal);
    const { bytesWritten } = await handle.write(bytes, start, Math.min(CHUNK_BYTES, bytes.length - start));
    start += bytesWritten;
  }
  if (place.mode !== undefined) await handle.chmod(place.mode);
  await handle.sync();
  await handle.close();
  if (signal) throwIfAborted(signal);
}

async function moveIntoPlace(spec: { path: string; from: string; to: string; overwrite: boolean }): Promise<void> {
  const { promises } = nodeFs("writing");
  const { path, from, to, overwrite } = spec;
  if (overwrite) return await promises.rename(from, to);
  try {
    // Unlike rename, link fails when a file has appeared at the target; the name beside it is discarded afterwards.
    await promises.link(from, to);
  } catch (error) {
    if (systemErrorCode(error) === "EEXIST") throw outputExists(path);
    // Some file systems have no links.
    await findPlace(path, { overwrite });
    await promises.rename(from, to);
  }
}

function explainWriteError(path: string, error: unknown): unknown {
  if (isPruneError(error)) return error;
  const code = systemErrorCode(error);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return outputNotWritable({ path, reason: error instanceof Error ? error.message : code, cause: error });
  }
  return outputFailed(path, error);
}
