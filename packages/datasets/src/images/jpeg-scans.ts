/** How often a JPEG's decoder goes over the image: once a scan, and a progressive file may have as many as it likes. */
import { badImage } from "../errors.ts";
import { MAX_SCANNED_PIXELS, MAX_SCANS } from "../limits.ts";
import type { ImageHeader } from "./image-header.ts";

const START_OF_SCAN = 0xda;
const END_OF_IMAGE = 0xd9;

/**
 * Refuses a JPEG whose scans would take far longer than its size explains. O(bytes).
 *
 * @throws ERR_IMAGE above 64 scans, or where scans and pixels together are above 2^27
 */
export function checkScans(bytes: Uint8Array, { width, height }: ImageHeader, path: string): void {
  const scans = countScans(bytes);
  const most = Math.min(MAX_SCANS, Math.floor(MAX_SCANNED_PIXELS / (width * height)));
  if (scans <= most) return;
  const found = `a JPEG of ${scans} scans over ${width} x ${height} pixels`;
  throw badImage({ path, found, expected: `at most ${most} scans at this size` });
}

/** Segments carry their length; the coded data after a scan's header go on to the next marker that is no restart. */
function countScans(bytes: Uint8Array): number {
  let scans = 0;
  for (let at = 2; at + 3 < bytes.length; ) {
    const marker = bytes[at + 1]!;
    const isMarker = bytes[at] === 0xff && marker !== 0 && marker !== 0xff && !(marker >= 0xd0 && marker <= 0xd7);
    if (!isMarker) {
      at++;
      continue;
    }
    if (marker === END_OF_IMAGE) break;
    if (marker === START_OF_SCAN) scans++;
    at += 2 + 256 * bytes[at + 2]! + bytes[at + 3]!;
  }
  return scans;
}
