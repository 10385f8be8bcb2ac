/** CRC-32 as gzip and PNG use it (polynomial edb88320), eight bytes a round with eight tables. */

let tables: readonly Uint32Array[] | undefined;

/** Node's own (since 22.2 and 20.15), which is faster than a loop that a new process has to compile first. */
const { process } = globalThis as { process?: NodeJS.Process };
const native: ((bytes: Uint8Array, before: number) => number) | undefined =
  process?.getBuiltinModule?.("node:zlib")?.crc32;

/** Checksum of bytes behind those that gave `before`. @param before - 0 at the start */
export function crc32(bytes: Uint8Array, before = 0): number {
  return native ? native(bytes, before) : crc32ByTables(bytes, before);
}

/** The same without Node. */
export function crc32ByTables(bytes: Uint8Array, before: number): number {
  tables ??= makeTables();
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  let crc = ~before;
  let i = 0;
  for (; i + 8 <= bytes.length; i += 8) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc =
      t7[crc & 255]! ^
      t6[(crc >>> 8) & 255]! ^
      t5[(crc >>> 16) & 255]! ^
      t4[crc >>> 24]! ^
      t3[bytes[i + 4]!]! ^
      t2[bytes[i + 5]!]! ^
      t1[bytes[i + 6]!]! ^
      t0[bytes[i + 7]!]!;
  }
  for (; i < bytes.length; i++) crc = t0[(crc ^ bytes[i]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function makeTables(): readonly Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    return value;
  });
  const all = [first];
  for (let t = 1; t < 8; t++) all.push(all[t - 1]!.map((value) => first[value & 255]! ^ (value >>> 8)));
  return all;
}
