/** What a file of a dataset may ask for beyond what its own size explains; docs/limits.md lists the same for users. */

/** Pixels of one image: 4096 x 4096, far above any example of a dataset. */
export const MAX_PIXELS: number = 2 ** 24;

/** Scans of a progressive JPEG; encoders write about ten, and each goes over the whole image. */
export const MAX_SCANS = 64;

/** Pixels that the scans of a JPEG go over together: eight scans of the largest image. */
export const MAX_SCANNED_PIXELS: number = 2 ** 27;

/** Of the decoded images of one split, which are kept. */
export const MAX_SPLIT_BYTES: number = 2 ** 31;

/** Bytes that a gzip file may unpack to: 32 times its size, as images do not, and 64 MiB for small ones. */
export function maxUnpackedBytes(packed: number): number {
  return Math.min(2 ** 31 - 1, Math.max(2 ** 26, 32 * packed));
}
