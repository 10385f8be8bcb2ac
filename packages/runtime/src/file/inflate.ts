import { packedDamaged } from "../errors.ts";

/** Larger files are unpacked piece by piece, so that a server answers others meanwhile. */
const smallBytes = 2 ** 22;

/**
 * Unpacks a gzip stream that holds exactly `length` bytes; a longer one is given up as soon as it shows.
 *
 * @throws ERR_PACKED_DAMAGED
 */
export async function inflate(stored: Uint8Array<ArrayBuffer>, length: number): Promise<Uint8Array> {
  const { process } = globalThis as { process?: NodeJS.Process };
  // The first stream of a Node process loads some fifty modules, which takes longer than a small network.
  const isSmall = stored.length < smallBytes && length < 8 * smallBytes;
  if (isSmall && typeof process?.getBuiltinModule === "function")
    return inflateAtOnce(process.getBuiltinModule("node:zlib"), stored, length);
  const out = new Uint8Array(length);
  let at = 0;
  const reader = new Blob([stored]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  for (;;) {
    let part: ReadableStreamReadResult<Uint8Array>;
    try {
      part = await reader.read();
    } catch (cause) {
      throw packedDamaged("compressed data", "they are no whole gzip stream", cause);
    }
    if (part.done) break;
    if (at + part.value.length > length) {
      await reader.cancel();
      throw tooLong(length);
    }
    out.set(part.value, at);
    at += part.value.length;
  }
  if (at !== length) throw tooShort(at, length);
  return out;
}

function inflateAtOnce(zlib: typeof import("node:zlib"), stored: Uint8Array, length: number): Uint8Array {
  let found: Uint8Array | { readonly buffer: Uint8Array; readonly engine: { readonly bytesWritten: number } };
  try {
    // Typed as what it gives without `info`, which runtimes that stand in for Node may not know.
    found = zlib.gunzipSync(stored, { maxOutputLength: Math.max(1, length), info: true }) as unknown as typeof found;
  } catch (cause) {
    if ((cause as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") throw tooLong(length);
    throw packedDamaged("compressed data", "they are no whole gzip stream", cause);
  }
  if ("engine" in found && found.engine.bytesWritten !== stored.length)
    throw packedDamaged("compressed data", "they are no whole gzip stream");
  const { buffer, byteOffset, byteLength } = "engine" in found ? found.buffer : found;
  if (byteLength !== length) throw tooShort(byteLength, length);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function tooLong(length: number): Error {
  return packedDamaged("compressed data", `they hold more than the ${length} bytes that the prefix promises`);
}

function tooShort(found: number, length: number): Error {
  return packedDamaged("compressed data", `they hold ${found} of the ${length} bytes that the prefix promises`);
}
