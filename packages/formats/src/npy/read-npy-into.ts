/** Reading an .npy file straight to where it is computed with. */
import type { FileHandle } from "node:fs/promises";
import { type Dtype, dtypeOf, type Vec } from "@secateur/core";
import { bytesPerElement, HOST_IS_LITTLE_ENDIAN } from "../dtype.ts";
import { toVec } from "../files/convert.ts";
import { nodeFs } from "../files/node-fs.ts";
import { readNpy } from "../files/read-file.ts";
import { elementCount } from "../tensor.ts";
import { MAX_HEADER_BYTES, type NpyHeader, parseNpyHeader } from "./npy-header.ts";

/** Read at a time, by two readers: one call copies with one processor. */
const SLICE_BYTES = 8 * 2 ** 20;
const READERS = 2;

/**
 * Reads the numbers of an .npy file into a place of the caller's, for example a backend's memory. What the file holds as f32 or f64, row-major and in this
 * machine's byte order, is read there slice by slice; everything else is decoded first and copied. Node only.
 *
 * @param path - a file or a pipe
 * @param room - gives a vector [length] of a dtype, which `data` will be; not called before the header and the file's size were checked, and again where the file changes meanwhile
 * @returns row-major `data` in f32 or f64 as `toVec` says
 * @throws what `readNpy` throws
 * @example
 * const { shape, data } = await readNpyInto("G.npy", (length, dtype) => kernels.alloc(length, dtype));
 */
export async function readNpyInto(
  path: string,
  room: (length: number, dtype: Dtype) => Vec,
): Promise<{ readonly shape: readonly number[]; readonly data: Vec }> {
  const found = await readPlain(path, room);
  if (found) return found;
  const tensor = await readNpy(path);
  const decoded = toVec(tensor);
  const data = room(decoded.length, dtypeOf(decoded));
  data.set(decoded);
  return { shape: tensor.shape, data };
}

/** Undefined where the file has to be decoded, and where it cannot be read: whoever decodes it says what is wrong. What `room` throws is thrown. */
async function readPlain(
  path: string,
  room: (length: number, dtype: Dtype) => Vec,
): Promise<{ shape: readonly number[]; data: Vec } | undefined> {
  const { promises } = nodeFs(`reading ${path}`);
  // A pipe can be opened only once.
  const stat = await promises.stat(path).catch(() => undefined);
  const handle = stat?.isFile() ? await promises.open(path, "r").catch(() => undefined) : undefined;
  if (!handle) return undefined;
  try {
    const header = await plainHeader(handle, path).catch(() => undefined);
    if (!header) return undefined;
    const { shape, dtype, dataStart } = header;
    const data = room(elementCount(shape)!, dtype as Dtype);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return (await readSlices(handle, bytes, dataStart)) ? { shape, data } : undefined;
  } finally {
    await handle.close();
  }
}

async function plainHeader(handle: FileHandle, path: string): Promise<NpyHeader | undefined> {
  const { size } = await handle.stat();
  const first = new Uint8Array(Math.min(size, 12 + MAX_HEADER_BYTES));
  const { bytesRead } = await handle.read(first, 0, first.length, 0);
  if (bytesRead < first.length) return undefined;
  const header = parseNpyHeader(first, path);
  const { dtype, shape, fortranOrder, littleEndian, dataStart } = header;
  const isPlain = (dtype === "f32" || dtype === "f64") && littleEndian === HOST_IS_LITTLE_ENDIAN && !fortranOrder;
  const isWhole = size - dataStart === (elementCount(shape) ?? Number.NaN) * bytesPerElement(dtype);
  return isPlain && isWhole ? header : undefined;
}

/** Whether the file held so much and could be read. Ends when no reader writes any more. */
async function readSlices(handle: FileHandle, bytes: Uint8Array, start: number): Promise<boolean> {
  let next = 0;
  let isWhole = true;
  const read = async (): Promise<void> => {
    while (isWhole && next < bytes.length) {
      let at = next;
      next += SLICE_BYTES;
      const end = Math.min(next, bytes.length);
      while (isWhole && at < end) {
        const { bytesRead } = await handle.read(bytes, at, end - at, start + at).catch(() => ({ bytesRead: 0 }));
        // It became shorter, or a disk failed.
        if (bytesRead === 0) isWhole = false;
        at += bytesRead;
      }
    }
  };
  await Promise.all(Array.from({ length: READERS }, read));
  return isWhole;
}
