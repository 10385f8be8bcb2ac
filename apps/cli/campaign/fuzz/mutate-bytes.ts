/** Damage to bytes that knows nothing of their format. */
import type { Rng } from "@secateur/core";

/** Numbers at which readers go wrong: ends of ranges, and one beside them. */
const EDGES = [
  0, 1, 2, 4, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
];

/** One of a list that is not empty. */
export function oneOf<T>(rng: Rng, list: readonly T[]): T {
  return list[rng.integer(list.length)]!;
}

/**
 * A copy with one to four changes: bits turned, bytes set to edges, whole numbers of 1, 2, 4 or 8 bytes replaced, pieces cut
 * out, repeated, moved or taken from another file, the end cut off.
 */
export function mutateBytes(rng: Rng, bytes: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  let out: Uint8Array = bytes.slice();
  const changes = 1 + rng.integer(4);
  for (let i = 0; i < changes && out.length > 0; i++) out = changedOnce(rng, out, others);
  return out;
}

function changedOnce(rng: Rng, bytes: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  const at = rng.integer(bytes.length);
  const length = 1 + rng.integer(Math.min(64, bytes.length - at));
  switch (rng.integer(8)) {
    case 0:
      bytes[at]! ^= 1 << rng.integer(8);
      return bytes;
    case 1:
      bytes[at] = oneOf(rng, EDGES) & 0xff;
      return bytes;
    case 2:
      return withNumber(rng, bytes, at);
    case 3:
      return joined(bytes.subarray(0, at), bytes.subarray(at + length));
    case 4:
      return joined(bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at));
    case 5: {
      const other = oneOf(rng, others);
      const from = rng.integer(Math.max(1, other.length));
      return joined(bytes.subarray(0, at), other.subarray(from, from + length), bytes.subarray(at));
    }
    case 6:
      return bytes.slice(0, at);
    default: {
      const to = rng.integer(bytes.length);
      bytes.copyWithin(to, at, at + length);
      return bytes;
    }
  }
}

function withNumber(rng: Rng, bytes: Uint8Array, at: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = oneOf(
    rng,
    [1, 2, 4, 8].filter((candidate) => at + candidate <= bytes.length),
  );
  const value = rng.next() < 0.8 ? oneOf(rng, EDGES) : rng.integer(2 ** 32);
  const little = rng.next() < 0.7;
  if (width === 1) view.setUint8(at, value & 0xff);
  else if (width === 2) view.setUint16(at, value & 0xffff, little);
  else if (width === 4) view.setUint32(at, value, little);
  else view.setBigUint64(at, BigInt(value) << (rng.next() < 0.2 ? 24n : 0n), little);
  return bytes;
}

/** Pieces one after the other. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Bytes of text whose characters are bytes. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
