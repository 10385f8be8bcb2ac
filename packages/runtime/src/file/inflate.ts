import { packedDamaged } from "../errors.ts";

/**
 * Unpacks a gzip stream that holds exactly `length` bytes; a longer one is given up as soon as it shows.
 *
 * @throws ERR_PACKED_DAMAGED
 */
export async function inflate(stored: Uint8Array<ArrayBuffer>, length: number): Promise<Uint8Array<ArrayBuffer>> {
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
      throw packedDamaged("compressed data", `they hold more than the ${length} bytes that the prefix promises`);
    }
    out.set(part.value, at);
    at += part.value.length;
  }
  if (at !== length)
    throw packedDamaged("compressed data", `they hold ${at} of the ${length} bytes that the prefix promises`);
  return out;
}
