/**
 * JPEG files as bytes, by libjpeg-turbo in WebAssembly: the decoder that PIL and torchvision use, so that a network sees
 * the pixels that it was trained on.
 */
import { isPruneError } from "@secateur/core";
import { badImage } from "../errors.ts";
import type { ImageDecoder } from "./decode-png.ts";
import { checkScans } from "./jpeg-scans.ts";

/** The decoder, loaded when the first JPEG is met. After an error it must not be used again: load another. */
export async function loadJpegDecoder(): Promise<ImageDecoder> {
  const { default: load } = await import("@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs");
  const ignore = (): void => {};
  // What it prints to the console is in the error that it throws.
  const codec = await load({ print: ignore, printErr: ignore });
  return (bytes, header, path) => {
    checkScans(bytes, header, path);
    try {
      const decoder = new codec.JPEGDecoder();
      decoder.getEncodedBuffer(bytes.length).set(bytes);
      decoder.decode();
      const { width, height, componentCount } = decoder.getFrameInfo();
      if (width !== header.width || height !== header.height || componentCount !== header.channels) {
        const found = `a JPEG of ${width} x ${height} x ${componentCount} behind a header of another size`;
        throw badImage({ path, found, expected: "one frame" });
      }
      const pixels = decoder.getDecodedBuffer().slice();
      decoder.delete();
      return pixels;
    } catch (cause) {
      if (isPruneError(cause)) throw cause;
      throw badImage({ path, found: "a damaged JPEG", expected: "a whole file (truncated or damaged)", cause });
    }
  };
}
