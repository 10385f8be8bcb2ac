import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { throwIfAborted } from "@secateur/core";

/**
 * Sizes after gzip (level 6, as `gzip FILE`) and brotli (quality 9, as web servers use for files they keep; 11 would take
 * minutes for 100 MB and save a few percent more). An abort does not wait for them.
 */
export async function compressedSizes(
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<{ gzipBytes: number; brotliBytes: number }> {
  throwIfAborted(signal);
  const sizes = Promise.all([
    promisify(gzip)(bytes, { level: 6 }),
    promisify(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: 9,
        [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
  ]);
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener(
      "abort",
      () => {
        try {
          throwIfAborted(signal);
        } catch (error) {
          reject(error);
        }
      },
      { once: true },
    );
  });
  const [zipped, brotli] = await Promise.race([sizes, aborted]);
  return { gzipBytes: zipped.length, brotliBytes: brotli.length };
}
