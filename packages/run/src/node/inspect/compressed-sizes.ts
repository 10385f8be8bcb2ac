/** What a file would take compressed, as a whole or estimated from pieces of it. */
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { throwIfAborted } from "@secateur/core";

/** Sizes in bytes after gzip (level 6, as `gzip FILE`) and brotli (quality 9, as web servers use for files they keep). */
export interface CompressedSizes {
  readonly gzipBytes: number;
  readonly brotliBytes: number;
  /** How many bytes were compressed, where the sizes are estimated from them; absent where the whole file was. */
  readonly sampledBytes?: number;
}

/** Pieces that are compressed of a larger file, evenly spread over it, and the length of each in bytes: longer than gzip's window of 32 kB. */
const pieces = 16;
const pieceLength = 128 * 1024;
/** Brotli's window for pieces, 64 kB. With longer ones it keeps a table of 32 MB; estimates of weights move by less than a hundredth. */
const pieceWindowBits = 16;

/**
 * Compresses the whole. Quality 11 of brotli would take minutes for 100 MB and save a few percent more. An abort does not wait for it.
 *
 * @throws ERR_ABORTED
 */
export async function compressedSizes(bytes: Uint8Array, signal: AbortSignal): Promise<CompressedSizes> {
  return await compressed(bytes, constants.BROTLI_MAX_WINDOW_BITS, signal);
}

async function compressed(bytes: Uint8Array, windowBits: number, signal: AbortSignal): Promise<CompressedSizes> {
  throwIfAborted(signal);
  const sizes = Promise.all([
    promisify(gzip)(bytes, { level: 6 }),
    promisify(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: 9,
        [constants.BROTLI_PARAM_LGWIN]: windowBits,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
  ]);
  let listener = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    listener = () => {
      try {
        throwIfAborted(signal);
      } catch (error) {
        reject(error);
      }
    };
    signal.addEventListener("abort", listener, { once: true });
  });
  try {
    const [zipped, brotli] = await Promise.race([sizes, aborted]);
    return { gzipBytes: zipped.length, brotliBytes: brotli.length };
  } finally {
    signal.removeEventListener("abort", listener);
  }
}

/**
 * Sizes of a file of any length in the time of 2 MB: larger ones are estimated from 16 pieces of 128 kB, each compressed by itself, in proportion
 * to their length. What repeats further apart than a piece is long is not seen, so estimates are rather too high than too low.
 *
 * @throws ERR_ABORTED
 */
export async function sampledSizes(bytes: Uint8Array, signal: AbortSignal): Promise<CompressedSizes> {
  const sampledBytes = pieces * pieceLength;
  if (bytes.length <= 2 * sampledBytes) return await compressedSizes(bytes, signal);
  let [gzipBytes, brotliBytes] = [0, 0];
  for (let i = 0; i < pieces; i++) {
    const start = Math.floor((i * (bytes.length - pieceLength)) / (pieces - 1));
    const piece = await compressed(bytes.subarray(start, start + pieceLength), pieceWindowBits, signal);
    gzipBytes += piece.gzipBytes;
    brotliBytes += piece.brotliBytes;
  }
  const share = bytes.length / sampledBytes;
  return { gzipBytes: Math.round(gzipBytes * share), brotliBytes: Math.round(brotliBytes * share), sampledBytes };
}
