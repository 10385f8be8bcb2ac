/** .npz archives: arrays by name in a zip file, stored as `np.savez` writes them or deflated as `np.savez_compressed` does. */
import { isPruneError, type Vec } from "@secateur/core";
import { badNpz } from "../errors.ts";
import { nodeZlib } from "../files/node-fs.ts";
import { numbersOf, readFileBytes } from "../files/read-file.ts";
import { maxInflatedBytes } from "../limits.ts";
import { readZipDirectory, zipEntryBytes } from "../pytorch/zip-archive.ts";
import { decodeNpy } from "./decode-npy.ts";

/**
 * Reads the arrays of an .npz archive, each as `readNpyNumbers` does. Compressed entries are unpacked to the size that the directory says and no
 * further; all together to at most 64 MiB or 32 times the archive's size, whichever is more. Node only.
 *
 * @returns by their names in the archive, without ".npy"
 * @throws what `readFileBytes` and `decodeNpy` throw; ERR_NPY for what is no such archive
 */
export async function readNpzNumbers(
  path: string,
): Promise<ReadonlyMap<string, { shape: readonly number[]; data: Uint8Array | Vec }>> {
  const bytes = await readFileBytes(path);
  const arrays = new Map<string, { shape: readonly number[]; data: Uint8Array | Vec }>();
  // "PK", with which every zip archive begins.
  if (bytes[0] !== 0x50 || bytes[1] !== 0x4b) throw badNpz(path, { found: "no zip archive", remedy: "check the path" });
  const { inflateRawSync } = nodeZlib(`reading ${path}`);
  const inflate = (packed: Uint8Array, size: number): Uint8Array =>
    // One byte more than expected is enough to see that there is too much.
    new Uint8Array(inflateRawSync(packed, { maxOutputLength: size + 1 }));
  try {
    const entries = [...readZipDirectory(bytes, path)].filter(([name]) => name.endsWith(".npy"));
    const packed = entries.filter(([, { method }]) => method !== 0);
    const unpacked = packed.reduce((sum, [, { size }]) => sum + size, 0);
    const limit = maxInflatedBytes(bytes.length);
    if (unpacked > limit) {
      const found = `entries of ${unpacked} bytes, compressed to ${bytes.length}, where at most ${limit} are unpacked`;
      throw badNpz(path, { found, remedy: "save it with np.savez, which does not compress" });
    }
    for (const [name, entry] of entries) {
      const tensor = decodeNpy(zipEntryBytes(bytes, entry, path, inflate), `${path}: ${name}`);
      arrays.set(name.slice(0, -4), numbersOf(tensor));
    }
  } catch (cause) {
    if (!isPruneError(cause) || cause.code !== "ERR_PYTORCH") throw cause;
    const { found = "a damaged archive" } = cause.details as { readonly found?: string };
    throw badNpz(path, { found, remedy: "save it again", cause });
  }
  return arrays;
}
