/** Copies of output files compressed beside them, for hosts that send NAME.gz or NAME.br where a browser takes it and compress nothing themselves. */
import { rm } from "node:fs/promises";
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

/** Whether copies are written, and what of those that lie there already. */
export interface CopyOptions {
  readonly compress: boolean;
  readonly overwrite: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Refuses places where copies cannot be written, or where others lie that would be sent in place of the output, before the work starts.
 *
 * @throws as `checkOutput`
 */
export async function checkCopies(
  paths: readonly string[],
  { overwrite }: Pick<CopyOptions, "overwrite">,
): Promise<void> {
  for (const path of paths) for (const ending of endingsOf(path)) await checkOutput(path + ending, { overwrite });
}

/**
 * With `compress` writes NAME.gz and NAME.br beside each file, whole or not at all; without removes those of an output that was written over.
 * A packed network has gzip inside, so it has NAME.br alone, of the file as it would be without.
 *
 * @param files - paths and contents; of a .secateur file the contents with nothing compressed
 * @returns `copies` where some were written
 */
export async function settleCopies(
  files: readonly EncodedFile[],
  { compress, ...options }: CopyOptions,
): Promise<{ readonly copies?: readonly CompressedCopy[] }> {
  const copies: CompressedCopy[] = [];
  for (const [path, bytes] of files) {
    for (const ending of endingsOf(path)) {
      const file = path + ending;
      if (!compress) {
        await rm(file, { force: true });
        continue;
      }
      const content = await (ending === ".br" ? brotli(bytes) : promisify(gzip)(bytes, { level: 9 }));
      await writeFileAtomic(file, content, options);
      copies.push({ file, bytes: content.length });
    }
  }
  return compress ? { copies } : {};
}

function endingsOf(path: string): readonly string[] {
  return path.endsWith(".secateur") ? [".br"] : [".gz", ".br"];
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
