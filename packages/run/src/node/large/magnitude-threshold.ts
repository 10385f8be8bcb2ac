/**
 * The k largest magnitudes of weights that are not in memory together: their bits without the sign are whole numbers in the order of the magnitudes,
 * of which the upper 16 are counted in a first pass, and in a second the lower 15 of those that share the upper ones of the k-th. Weights that
 * equal it are kept in the order of the file until k are.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { throwIfAborted } from "@secateur/core";
import { fileShrank, weightNotFinite } from "../../errors.ts";
import type { DistantWeight } from "./large-onnx.ts";

/** Bytes of a weight by element type; other types are not pruned in place. */
export const elementBytes: Readonly<Record<string, number>> = { f32: 4, f16: 2, bf16: 2 };

/** Which weights stay: those whose key is above, and the first `ties` of those that equal it. */
export interface Threshold {
  readonly key: number;
  readonly ties: number;
}

const chunkBytes = 2 ** 24;
const lowBits = 15;
/** Bits of infinity; above are those of what is no number. */
const infinite = 0x7f800000;

/** Visits the bytes of a weight, a chunk at a time. The array is valid until the next. */
async function eachChunk(
  weight: DistantWeight,
  signal: AbortSignal,
  visit: (bytes: Uint8Array, at: number) => void,
): Promise<void> {
  const handle = openSync(weight.file, "r");
  try {
    const total = weight.size * elementBytes[weight.dtype]!;
    const buffer = new Uint8Array(Math.min(chunkBytes, total));
    for (let at = 0; at < total; ) {
      // Whoever interrupts is heard between chunks.
      await setImmediate();
      throwIfAborted(signal);
      const read = readSync(handle, buffer, 0, Math.min(buffer.length, total - at), weight.offset + at);
      if (read === 0) throw fileShrank(weight.file);
      visit(buffer.subarray(0, read), at);
      at += read;
    }
  } finally {
    closeSync(handle);
  }
}

/** Bits of the magnitudes of some elements, as f32 has them. */
export function keysOf(bytes: Uint8Array, dtype: string): Uint32Array {
  // A copy starts at a whole element.
  const { buffer } = bytes.slice();
  if (dtype === "f32") {
    const keys = new Uint32Array(buffer);
    for (let i = 0; i < keys.length; i++) keys[i]! &= 0x7fffffff;
    return keys;
  }
  const half = new Uint16Array(buffer);
  if (dtype === "bf16") return Uint32Array.from(half, (bits) => (bits & 0x7fff) << 16);
  const values = Float32Array.from(half, halfMagnitude);
  return new Uint32Array(values.buffer);
}

function halfMagnitude(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0) return fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
  return (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const zeros = new Uint8Array(chunkBytes);

/** Whether all bytes are 0, as in the holes of a sparse file. */
export function areZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, zeros.subarray(0, bytes.length)) === 0;
}

/** What keeps k of all weights. Two passes over their files. @throws ERR_NOT_FINITE, ERR_ABORTED */
export async function thresholdOf(
  weights: readonly DistantWeight[],
  k: number,
  signal: AbortSignal,
): Promise<Threshold> {
  const high = new Float64Array(2 ** 16);
  for (const weight of weights) {
    await eachChunk(weight, signal, (bytes, at) => {
      if (areZero(bytes)) {
        high[0]! += bytes.length / elementBytes[weight.dtype]!;
        return;
      }
      const keys = keysOf(bytes, weight.dtype);
      for (let i = 0; i < keys.length; i++) {
        if (keys[i]! >= infinite) throw weightNotFinite(weight.name, at / elementBytes[weight.dtype]! + i);
        high[keys[i]! >>> lowBits]!++;
      }
    });
  }
  const [upper, above] = binOf(high, k);
  const low = new Float64Array(2 ** lowBits);
  for (const weight of weights) {
    await eachChunk(weight, signal, (bytes) => {
      if (areZero(bytes)) {
        if (upper === 0) low[0]! += bytes.length / elementBytes[weight.dtype]!;
        return;
      }
      const keys = keysOf(bytes, weight.dtype);
      for (let i = 0; i < keys.length; i++) {
        if (keys[i]! >>> lowBits === upper) low[keys[i]! & (2 ** lowBits - 1)]!++;
      }
    });
  }
  const [lower, more] = binOf(low, k - above);
  return { key: upper * 2 ** lowBits + lower, ties: k - above - more };
}

/** The bin in which the k-th largest lies, and how many lie in those above it. */
function binOf(counts: Float64Array, k: number): readonly [bin: number, above: number] {
  let above = 0;
  for (let bin = counts.length - 1; bin > 0; bin--) {
    if (above + counts[bin]! >= k) return [bin, above];
    above += counts[bin]!;
  }
  return [0, above];
}
