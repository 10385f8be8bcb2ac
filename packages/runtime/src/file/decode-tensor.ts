/** One tensor of a packed file: its kept values, put where its mask says. */
import { packedDamaged, quoted } from "../errors.ts";
import { fromHalf } from "./half.ts";
import { knowNonzeros } from "./nonzeros.ts";
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
  if (entry.kept === undefined) {
    if (scales) scaleAll(kept, scales);
    const wrong = settle(kept);
    if (wrong >= 0) refuse(`its number ${wrong} is ${kept[wrong]}`);
    return scales ? { data: kept, scales } : { data: kept };
  }
  const data = new Float32Array(size);
  const { count, wrong, value } = spread({ kept, mask, data, scales, rowLength: size / rows });
  const isBehind = size % 8 > 0 && mask.at(-1)! >> (size % 8) > 0;
  if (count > kept.length || isBehind) refuse("its mask keeps more than it has values");
  if (count !== kept.length) refuse(`its mask keeps ${count} and it has ${kept.length} values`);
  if (wrong >= 0) refuse(`its number ${wrong} is ${value}`);
  return scales ? { data, scales } : { data };
}

/** Numbers times the scale of their row. */
function scaleAll(data: Float32Array, scales: Float32Array): void {
  const rowLength = data.length / scales.length;
  for (let row = 0, k = 0; row < scales.length; row++) {
    const scale = scales[row]!;
    for (const end = (row + 1) * rowLength; k < end; k++) data[k] = data[k]! * scale;
  }
}

/** Makes zeros of subnormal numbers. @returns the place of one that is not finite, or -1 */
function settle(data: Float32Array): number {
  for (let i = 0; i < data.length; i++) {
    const distance = Math.abs(data[i]!);
    // Also of NaN, which is neither.
    if (!(distance <= largest)) return i;
    if (distance < smallestNormal && distance > 0) data[i] = 0;
  }
  return -1;
}

/**
 * Puts kept values, times the scale of their row, where a mask's bits are 1, and says where those are that are not zero. One loop does all of it:
 * in a new process what a loop costs is mostly the time until it is compiled.
 *
 * @returns how many bits are 1, and the place and value of a number that is not finite, or -1
 */
function spread(spec: {
  readonly kept: Float32Array;
  readonly mask: Uint8Array;
  readonly data: Float32Array;
  readonly scales: Float32Array | undefined;
  readonly rowLength: number;
}): { readonly count: number; readonly wrong: number; readonly value: number } {
  const { kept, mask, data, scales, rowLength } = spec;
  const words = new Uint32Array(Math.ceil(mask.length / 4));
  new Uint8Array(words.buffer).set(mask);
  const places = new Uint32Array(kept.length);
  const held = kept.length;
  let [count, nonzeros, row, end, wrong] = [0, 0, 0, scales ? rowLength : Number.POSITIVE_INFINITY, -1];
  let scale = scales?.[0] ?? 1;
  for (let w = 0; w < words.length; w++) {
    // From the lowest bit, which is the first of the lowest byte.
    for (let bits = words[w]! | 0; bits !== 0; bits &= bits - 1, count++) {
      if (count >= held) continue;
      const place = 32 * w + 31 - Math.clz32(bits & -bits);
      for (; place >= end; end += rowLength) scale = scales![++row]!;
      const value = Math.fround(kept[count]! * scale);
      const distance = Math.abs(value);
      if (distance <= largest && distance >= smallestNormal) {
        data[place] = value;
        places[nonzeros++] = place;
      } else if (!(distance <= largest) && wrong < 0) {
        wrong = place;
        data[place] = value;
      }
    }
  }
  knowNonzeros(data, places.subarray(0, nonzeros));
  return { count, wrong, value: data[wrong] ?? 0 };
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
