/** Copies of output files compressed beside them, for hosts that send NAME.gz or NAME.br where a browser takes it and compress nothing themselves. */
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { checkOutput, writeFileAtomic } from "@secateur/formats";
import { formatBytes, plainText } from "@secateur/report/text";
import type { EncodedFile } from "./encode-model.ts";

/** A compressed copy: the path of the file and its length. */
export interface CompressedCopy {
  readonly file: string;
  readonly bytes: number;
}

/** Refuses places where copies could not be written, before the work starts. @throws as `checkOutput` */
export async function checkCopies(paths: readonly string[], options: { readonly overwrite: boolean }): Promise<void> {
  for (const path of paths) for (const ending of [".gz", ".br"]) await checkOutput(path + ending, options);
}

/**
 * Writes NAME.gz and NAME.br beside each file, whole or not at all. A packed network has gzip inside, so it gets NAME.br alone, of the
 * file as it would be without.
 *
 * @param files - paths and contents; of a .secateur file the contents with nothing compressed
 */
export async function writeCopies(
  files: readonly EncodedFile[],
  options: { readonly overwrite: boolean; readonly signal?: AbortSignal },
): Promise<readonly CompressedCopy[]> {
  const copies: CompressedCopy[] = [];
  for (const [path, bytes] of files) {
    const compressed: (readonly [string, Uint8Array])[] = [[".br", await brotli(bytes)]];
    if (!path.endsWith(".secateur")) compressed.unshift([".gz", await promisify(gzip)(bytes, { level: 9 })]);
    for (const [ending, content] of compressed) {
      await writeFileAtomic(path + ending, content, options);
      copies.push({ file: path + ending, bytes: content.length });
    }
  }
  return copies;
}

/** The copies in words, and where it stands how hosts send them. */
export function copiesText(copies: readonly CompressedCopy[] | undefined): string {
  if (!copies) return "";
  const lines = copies.map(({ file, bytes }) => `${plainText(file)}, ${formatBytes(bytes)}\n`);
  return `${lines.join("")}docs/hosting.md has the lines with which each host sends them.\n`;
}

/** Quality 11 takes minutes for a hundred megabytes. */
const bestBelow = 2 ** 24;

/** Compressed by brotli, as small as it gets in seconds. */
export async function brotli(bytes: Uint8Array): Promise<Uint8Array> {
  return await promisify(brotliCompress)(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: bytes.length < bestBelow ? 11 : 9,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
}
