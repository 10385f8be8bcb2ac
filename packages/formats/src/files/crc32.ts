/** The checksum of zip and PNG: CRC-32 with the reversed polynomial 0xedb88320. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

const nativeCrc32: ((bytes: Uint8Array) => number) | undefined = (
  globalThis as { process?: NodeJS.Process }
).process?.getBuiltinModule?.("node:zlib")?.crc32;

/** The checksum of bytes, unsigned. O(length); at the speed of Node's zlib where that has it (from 20.15 and 22.2 on). */
export function crc32(bytes: Uint8Array): number {
  return nativeCrc32?.(bytes) ?? crc32ByTable(bytes);
}

/** The same without Node. */
export function crc32ByTable(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) value = (value >>> 8) ^ TABLE[(value ^ bytes[i]!) & 0xff]!;
  return (value ^ 0xffffffff) >>> 0;
}
