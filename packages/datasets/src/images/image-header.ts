/** The size of an image, from the first bytes of its file. */
import { badImage } from "../errors.ts";
import { MAX_PIXELS } from "../limits.ts";

/** What an image's header says. */
export interface ImageHeader {
  readonly format: "png" | "jpeg";
  readonly width: number;
  readonly height: number;
  /** without alpha: 1 for greys, 3 for colours */
  readonly channels: 1 | 3;
  /** bits of one value in the file: 1, 2, 4, 8 or 16 */
  readonly depth: number;
}

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/**
 * Reads the header of a PNG or JPEG file, told apart by their content. O(header).
 *
 * @throws ERR_IMAGE when it is neither, truncated, empty or larger than 2^24 pixels
 */
export function imageHeader(bytes: Uint8Array, path: string): ImageHeader {
  const header = pngHeader(bytes) ?? jpegHeader(bytes, path);
  if (header === undefined) {
    const found = bytes.length === 0 ? "an empty file" : "another format";
    throw badImage({ path, found, expected: "a PNG or JPEG file" });
  }
  const { width, height } = header;
  if (width === 0 || height === 0 || width * height > MAX_PIXELS) {
    throw badImage({ path, found: `${width} x ${height} pixels`, expected: `from 1 to ${MAX_PIXELS}` });
  }
  return header;
}

/** Signature, then IHDR: length and name (8 bytes), width, height, depth, colour type. */
function pngHeader(bytes: Uint8Array): ImageHeader | undefined {
  if (bytes.length < 33 || !PNG_SIGNATURE.every((byte, i) => bytes[i] === byte)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const colourType = bytes[25]!;
  // Bit 1 is colour; palettes (3) have it too.
  const channels = (colourType & 2) === 0 ? 1 : 3;
  return { format: "png", width: view.getUint32(16), height: view.getUint32(20), channels, depth: bytes[24]! };
}

/** Segments up to the frame header: FF, marker, length; in SOFn precision, height, width, components. */
function jpegHeader(bytes: Uint8Array, path: string): ImageHeader | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 2; at + 10 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1]!;
    if (marker === 0xff) at++;
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) at += 2;
    else if (isFrameHeader(marker)) {
      const components = bytes[at + 9]!;
      if (components !== 1 && components !== 3) {
        throw badImage({ path, found: `a JPEG of ${components} components`, expected: "grey (1) or colour (3)" });
      }
      const [width, height] = [view.getUint16(at + 7), view.getUint16(at + 5)];
      return { format: "jpeg", width, height, channels: components, depth: bytes[at + 4]! };
    } else at += 2 + view.getUint16(at + 2);
  }
  throw badImage({ path, found: "a JPEG without a frame header", expected: "a whole file (truncated or damaged)" });
}

/** SOF0 to SOF15 without the tables and extensions among them. */
function isFrameHeader(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}
