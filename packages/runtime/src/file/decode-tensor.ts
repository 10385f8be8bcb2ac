/** One tensor of a packed file: its kept values, put where its mask says. */
import { packedDamaged, quoted } from "../errors.ts";
import { fromHalf } from "./half.ts";
import type { PackedTensor, TensorEntry } from "./packed-model.ts";

/** Smaller numbers are subnormal, on which processors are many times slower; they count as zero. */
const smallestNormal = 2 ** -126;
/** Of f32. */
const largest = (2 - 2 ** -23) * 2 ** 127;

function sizeOf({ dims }: Pick<TensorEntry, "dims">): number {
  return dims.reduce((product, extent) => product * extent, 1);
}

/** Bytes of its mask: one bit a weight, the first in the lowest bit; none where nothing is pruned. */
export function maskLength(entry: TensorEntry): number {
  return entry.kept === undefined ? 0 : Math.ceil(sizeOf(entry) / 8);
}

/** Bytes of its scales and values. */
export function valueLength(entry: TensorEntry): number {
  const kept = entry.kept ?? sizeOf(entry);
  const scales = entry.values.startsWith("int") ? 4 * (entry.dims[0] ?? 1) : 0;
  const bits = { f32: 32, f16: 16, int8: 8, int4: 4 }[entry.values];
  return scales + Math.ceil((kept * bits) / 8);
}

/**
 * @param mask - `maskLength` bytes @param stored - `valueLength` bytes
 * @returns all numbers, row-major, and the scales of int8 and int4
 * @throws ERR_PACKED_DAMAGED
 */
export function decodeTensor(
  entry: TensorEntry,
  mask: Uint8Array,
  stored: Uint8Array,
): Pick<PackedTensor, "data" | "scales"> {
  const size = sizeOf(entry);
  const refuse = (problem: string): never => {
    throw packedDamaged(`tensor ${quoted(entry.name)}`, problem);
  };
  const rows = entry.dims[0] ?? 1;
  const isScaled = entry.values.startsWith("int");
  const scales = isScaled ? new Float32Array(stored.slice(0, 4 * rows).buffer) : undefined;
  const kept = keptValues(entry, stored, scales ? 4 * rows : 0);
  const rowLength = size / rows;
  const data = entry.kept === undefined ? kept : new Float32Array(size);
  if (entry.kept !== undefined) {
    const next = spread(kept, mask, data);
    const isBehind = size % 8 > 0 && mask.at(-1)! >> (size % 8) > 0;
    if (next > kept.length || isBehind) refuse("its mask keeps more than it has values");
    if (next !== kept.length) refuse(`its mask keeps ${next} and it has ${kept.length} values`);
  }
  for (let row = 0; scales && row < rows; row++) {
    const scale = scales[row]!;
    for (let k = row * rowLength, end = k + rowLength; k < end; k++) data[k] = data[k]! * scale;
  }
  // Whole numbers times usual scales are neither too large nor too small.
  if (scales?.every((scale) => scale === 0 || (scale >= smallestNormal && scale <= 1e30))) return { data, scales };
  for (let i = 0; i < size; i++) {
    const value = data[i]!;
    // Also of NaN, which is neither.
    if (!(Math.abs(value) <= largest)) refuse(`its number ${i} is ${value}`);
    if (value !== 0 && Math.abs(value) < smallestNormal) data[i] = 0;
  }
  return scales ? { data, scales } : { data };
}

/** Puts kept values where a mask's bits are 1. @returns how many are */
function spread(kept: Float32Array, mask: Uint8Array, data: Float32Array): number {
  let next = 0;
  for (let byte = 0, first = 0; byte < mask.length; byte++, first += 8) {
    for (let bits = mask[byte]!, i = first; bits !== 0; bits >>= 1, i++) {
      // Written over where the bit is 0 or the values have ended: a branch on it would be guessed wrong every other time.
      // What is added makes 0 of -0.
      data[i] = (bits & 1) * kept[next]! + 0;
      next += bits & 1;
    }
  }
  return next;
}

function keptValues(entry: TensorEntry, stored: Uint8Array, from: number): Float32Array {
  const count = entry.kept ?? sizeOf(entry);
  const bytes = stored.slice(from);
  switch (entry.values) {
    case "f32":
      return new Float32Array(bytes.buffer, 0, count);
    case "f16": {
      const out = new Float32Array(count);
      fromHalf(new Uint16Array(bytes.buffer), out);
      return out;
    }
    case "int8":
      return new Float32Array(new Int8Array(bytes.buffer));
    case "int4": {
      const out = new Float32Array(count);
      // Two's complement, the first in the low half of its byte.
      for (let i = 0; i < count; i++) out[i] = (bytes[i >> 1]! << (i & 1 ? 24 : 28)) >> 28;
      return out;
    }
    default:
      return entry.values satisfies never;
  }
}
