/**
 * JPEG files as bytes, by libjpeg-turbo in WebAssembly: the decoder that PIL and torchvision use, so that a network sees
 * the pixels that it was trained on.
 */
import { isPruneError } from "@secateur/core";
import { badImage } from "../errors.ts";
import type { ImageDecoder } from "./decode-png.ts";
import type { ImageHeader } from "./image-header.ts";
import { checkScans } from "./jpeg-scans.ts";

/** Each damaged image leaves some of the codec's stack in use; after some 5,000 it fails for every image. */
const MAX_FAILURES = 64;

/** How large the memory of a codec that is used again may have become; it starts with 50 MiB and never shrinks. */
const MAX_MEMORY_BYTES = 2 ** 27;

type Codec = Awaited<ReturnType<typeof import("@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs")["default"]>>;

/** A codec in use, and how many images it has refused. */
interface Loaded {
  readonly codec: Codec;
  failures: number;
}

/** The last one, for as long as somebody decodes with it: compiling another takes longer than most images do. */
let last: WeakRef<Loaded> | undefined;

/** A decoder, by a codec that is loaded when the first JPEG is met. After an error load another: that may be another codec. */
export async function loadJpegDecoder(): Promise<ImageDecoder> {
  const loaded = last?.deref() ?? { codec: await loadCodec(), failures: 0 };
  last = new WeakRef(loaded);
  return (bytes, header, path) => {
    checkScans(bytes, header, path);
    try {
      return pixelsOf(loaded.codec, { bytes, header, path });
    } catch (cause) {
      if (isPruneError(cause)) throw cause;
      loaded.failures++;
      // What libjpeg refuses is thrown as the number of an exception; anything else came from the codec itself.
      const isUsable = typeof cause === "number" && loaded.failures < MAX_FAILURES;
      if (!isUsable || loaded.codec.HEAPU8.length > MAX_MEMORY_BYTES) last = undefined;
      throw badImage({ path, found: "a damaged JPEG", expected: "a whole file (truncated or damaged)", cause });
    }
  };
}

async function loadCodec(): Promise<Codec> {
  const { default: load } = await import("@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs");
  const ignore = (): void => {};
  // What it prints to the console is in the error that it throws.
  return await load({ print: ignore, printErr: ignore });
}

function pixelsOf(codec: Codec, image: { bytes: Uint8Array; header: ImageHeader; path: string }): Uint8Array {
  const { bytes, header, path } = image;
  const decoder = new codec.JPEGDecoder();
  try {
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    const { width, height, componentCount } = decoder.getFrameInfo();
    if (width !== header.width || height !== header.height || componentCount !== header.channels) {
      const found = `a JPEG of ${width} x ${height} x ${componentCount} behind a header of another size`;
      throw badImage({ path, found, expected: "one frame" });
    }
    return decoder.getDecodedBuffer().slice();
  } finally {
    decoder.delete();
  }
}
