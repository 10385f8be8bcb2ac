/**
 * The idx format of MNIST: two zero bytes, the element type (8 = unsigned byte), the rank, then one extent a dimension
 * as a big-endian u32, then the elements, row-major. Source: the description on the MNIST page (LeCun, Cortes, Burges).
 */
import { badIdx } from "../errors.ts";

/** Bytes with a shape. */
export interface IdxArray {
  /** extents, outermost first; none is 0 but the first */
  readonly shape: readonly number[];
  /** row-major elements, a view of the file */
  readonly data: Uint8Array;
}

const UNSIGNED_BYTE = 8;

/**
 * Reads a whole idx file of unsigned bytes. O(rank); the elements are a view of `bytes`.
 *
 * @param bytes - the whole file, unpacked
 * @param options.rank - how many dimensions it must have: 3 for images, 1 for labels
 * @param options.source - name of the file, for messages
 * @throws ERR_IDX for another magic number, rank or element type, and when the file is truncated or goes on after its data
 */
export function decodeIdx(bytes: Uint8Array, options: { rank: number; source: string }): IdxArray {
  const { rank, source } = options;
  const dataStart = 4 + 4 * rank;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) {
    const found = bytes.length === 0 ? "an empty file" : `a file of ${bytes.length} bytes`;
    throw badIdx({ source, found, expected: `at least ${dataStart} bytes of header` });
  }
  const magic = view.getUint32(0);
  if (magic !== (UNSIGNED_BYTE << 8) + rank) {
    throw badIdx({ source, found: describeMagic(magic), expected: `${describeMagic((UNSIGNED_BYTE << 8) + rank)}` });
  }
  if (bytes.length < dataStart) {
    throw badIdx({
      source,
      found: `a file of ${bytes.length} bytes`,
      expected: `${dataStart} bytes of header (truncated)`,
    });
  }
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  if (shape.slice(1).includes(0)) {
    throw badIdx({ source, found: `images of ${shape.slice(1).join(" x ")}`, expected: "at least one pixel" });
  }
  // Beyond 2^53 the product is inexact but still far above any file's size, so the comparison holds.
  const expected = shape.reduce((product, extent) => product * extent, 1);
  const found = bytes.length - dataStart;
  if (found !== expected) {
    const reason = found < expected ? "truncated" : "there is more after the data";
    throw badIdx({
      source,
      found: `${found} bytes of data`,
      expected: `${expected} bytes for its shape ${shape.join(" x ")} (${reason})`,
    });
  }
  return { shape, data: bytes.subarray(dataStart) };
}

function describeMagic(magic: number): string {
  const hex = `the magic number 0x${magic.toString(16).padStart(8, "0")}`;
  if (magic >>> 16 !== 0) return hex;
  const rank = magic & 0xff;
  const type = magic >>> 8 === UNSIGNED_BYTE ? "bytes" : `elements of type 0x${(magic >>> 8).toString(16)}`;
  return `${hex} (${type} in ${rank} dimension${rank === 1 ? "" : "s"})`;
}
