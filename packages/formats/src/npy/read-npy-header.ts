import { isPruneError } from "@secateur/core";
import { bytesPerElement } from "../dtype.ts";
import { badNpy, fileNotFound, fileNotReadable } from "../errors.ts";
import { nodeFs, systemErrorCode } from "../files/node-fs.ts";
import { elementCount } from "../tensor.ts";
import { MAX_HEADER_BYTES, type NpyHeader, parseNpyHeader } from "./npy-header.ts";

/**
 * Reads the header of an .npy file and leaves the data where they are, for arrays that are larger than memory. Node only. O(header).
 *
 * @throws ERR_NPY also where the file is shorter or longer than its header says; ERR_DTYPE, ERR_FILE_NOT_FOUND, ERR_FILE_NOT_READABLE
 */
export async function readNpyHeader(path: string): Promise<NpyHeader> {
  const fs = nodeFs(`reading ${path}`);
  try {
    const handle = await fs.promises.open(path, "r");
    try {
      const first = new Uint8Array(12 + MAX_HEADER_BYTES);
      const { bytesRead } = await handle.read(first, 0, first.length, 0);
      const { size } = await handle.stat();
      const header = parseNpyHeader(first.subarray(0, bytesRead), path, size);
      const expected = header.dataStart + (elementCount(header.shape) ?? Number.NaN) * bytesPerElement(header.dtype);
      if (size !== expected) {
        throw badNpy({
          source: path,
          found: `a file of ${size} bytes`,
          expected: `${expected} bytes, as its header says`,
        });
      }
      return header;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isPruneError(error)) throw error;
    throw systemErrorCode(error) === "ENOENT" ? fileNotFound(path, error) : fileNotReadable(path, error);
  }
}
