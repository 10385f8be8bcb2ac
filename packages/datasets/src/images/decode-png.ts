/**
 * PNG files as bytes, by fast-png. It inflates without bound and fills up what is missing, so the data's size is checked
 * before; and it gets no chunk but those that make the pixels.
 */
import { isPruneError } from "@secateur/core";
import { badImage } from "../errors.ts";
import { nodeModule } from "../node-files.ts";
import type { ImageHeader } from "./image-header.ts";

/** Decodes one image to interleaved bytes, [height, width, channels] as its header says. */
export type ImageDecoder = (bytes: Uint8Array, header: ImageHeader, path: string) => Uint8Array;

/** The decoder, loaded when the first PNG is met. Alpha is dropped, 16 bits keep their upper 8. */
export async function loadPngDecoder(): Promise<ImageDecoder> {
  const { decode } = await import("fast-png");
  return (bytes, header, path) => {
    try {
      return toBytes(decode(pixelChunks(bytes, path), { checkCrc: true }), header);
    } catch (cause) {
      if (isPruneError(cause)) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw badImage({ path, found: `a damaged PNG (${reason})`, expected: "a whole file", cause });
    }
  };
}

interface DecodedPng {
  readonly width: number;
  readonly height: number;
  readonly data: ArrayLike<number>;
  readonly depth: number;
  readonly channels: number;
  readonly palette?: readonly (readonly number[])[];
}

const SIGNATURE_BYTES = 8;
const PIXEL_CHUNKS = ["IHDR", "PLTE", "IDAT", "IEND"];

/** Bits of a value by colour type: grey, colour, palette, grey with alpha, colour with alpha. */
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

/** The file without all other chunks, once its data are found to inflate to exactly what its header needs. */
function pixelChunks(bytes: Uint8Array, path: string): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept: Uint8Array[] = [bytes.subarray(0, SIGNATURE_BYTES)];
  const data: Uint8Array[] = [];
  const types: string[] = [];
  for (let at = SIGNATURE_BYTES; ; ) {
    const length = at + 12 <= bytes.length ? view.getUint32(at) : Number.POSITIVE_INFINITY;
    if (at + 12 + length > bytes.length) {
      throw badImage({
        path,
        found: "a PNG that ends inside a chunk",
        expected: "a whole file (truncated or damaged)",
      });
    }
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const chunk = bytes.subarray(at, at + 12 + length);
    if (PIXEL_CHUNKS.includes(type)) kept.push(chunk);
    if (PIXEL_CHUNKS.includes(type) && (type !== "IDAT" || types.at(-1) !== "IDAT")) types.push(type);
    if (type === "IDAT") data.push(chunk.subarray(8, 8 + length));
    if (type === "IEND") break;
    at += 12 + length;
  }
  checkChunks({ bytes, types, path });
  checkInflated({ bytes, data, path });
  return new Uint8Array(nodeModule("node:buffer").Buffer.concat(kept));
}

/** One IHDR, a palette where indices need one, one run of IDAT, IEND, in this order; what else there is makes no pixels. */
function checkChunks(spec: { bytes: Uint8Array; types: readonly string[]; path: string }): void {
  const { bytes, types, path } = spec;
  const [depth = 0, colourType = 0] = bytes.subarray(24, 26);
  if (DEPTHS[colourType]?.includes(depth) !== true) {
    const found = `a PNG of colour type ${colourType} with ${depth} bits`;
    throw badImage({ path, found, expected: "one of the PNG standard's" });
  }
  const needed = colourType === 3 ? ["IHDR,PLTE,IDAT,IEND"] : ["IHDR,IDAT,IEND", "IHDR,PLTE,IDAT,IEND"];
  if (!needed.includes(types.join())) {
    const found = `a PNG with the chunks ${types.slice(0, 8).join(", ")}`;
    throw badImage({ path, found, expected: needed[0]!.replaceAll(",", ", ") });
  }
}

function checkInflated(spec: { bytes: Uint8Array; data: readonly Uint8Array[]; path: string }): void {
  const { bytes, data, path } = spec;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height, depth, colourType, interlaced] = [
    view.getUint32(16),
    view.getUint32(20),
    bytes[24]!,
    bytes[25]!,
    bytes[28]!,
  ];
  const samples = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[colourType] ?? 0;
  if (interlaced !== 0 && depth < 8) {
    throw badImage({ path, found: `an interlaced PNG of ${depth} bits`, expected: "one that is not interlaced" });
  }
  const passes = interlaced === 0 ? [{ columns: width, rows: height }] : adam7Passes(width, height);
  const expected = passes
    .filter(({ columns, rows }) => columns > 0 && rows > 0)
    .reduce((sum, { columns, rows }) => sum + rows * (1 + Math.ceil((columns * samples * depth) / 8)), 0);
  const packed = nodeModule("node:buffer").Buffer.concat(data);
  // One byte more than expected is enough to see that there is too much.
  const inflated = nodeModule("node:zlib").inflateSync(packed, { maxOutputLength: expected + 1 }).length;
  if (inflated !== expected) {
    throw badImage({ path, found: `${inflated} bytes of pixels`, expected: `${expected} for ${width} x ${height}` });
  }
}

/** Columns and rows of the seven passes: first column and row, and the step from one to the next. */
function adam7Passes(width: number, height: number): { columns: number; rows: number }[] {
  const passes = [
    [0, 0, 8, 8],
    [4, 0, 8, 8],
    [0, 4, 4, 8],
    [2, 0, 4, 4],
    [0, 2, 2, 4],
    [1, 0, 2, 2],
    [0, 1, 1, 2],
  ];
  return passes.map(([column = 0, row = 0, stepX = 1, stepY = 1]) => ({
    columns: Math.ceil((width - column) / stepX),
    rows: Math.ceil((height - row) / stepY),
  }));
}

/** Samples of 1 to 16 bits, or indices into a palette, as bytes without alpha. */
function toBytes(png: DecodedPng, { channels }: ImageHeader): Uint8Array {
  const { width, height, depth, palette } = png;
  const samples = depth < 8 ? unpacked(png) : png.data;
  const out = new Uint8Array(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const from = pixel * png.channels;
    const colour = palette?.[samples[from]!];
    if (palette !== undefined && colour === undefined) throw new Error("a palette without one of its colours");
    for (let channel = 0; channel < channels; channel++) {
      const value = colour === undefined ? samples[from + channel]! : colour[channel]!;
      out[pixel * channels + channel] = depth === 16 ? value >> 8 : value;
    }
  }
  return out;
}

/** Samples of 1, 2 or 4 bits, the first in the upper bits, each row on a byte of its own; greys are scaled to 0..255. */
function unpacked({ data, width, height, depth, palette }: DecodedPng): Uint8Array {
  const rowBytes = Math.ceil((width * depth) / 8);
  const most = 2 ** depth - 1;
  const scale = palette === undefined ? 255 / most : 1;
  const out = new Uint8Array(width * height);
  for (let i = 0; i < out.length; i++) {
    const row = Math.floor(i / width);
    const bit = (i % width) * depth;
    const byte = data[row * rowBytes + (bit >> 3)]!;
    out[i] = ((byte >> (8 - depth - (bit & 7))) & most) * scale;
  }
  return out;
}
