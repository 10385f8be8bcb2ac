/**
 * Values as the file stores them: f32, f16, or whole numbers times a scale an output, q = round(w / scale). The scale of 8 bits is max |w| / 127; with
 * fewer bits it is the one of nine shares of max |w| / (2^(bits-1) - 1), from 1 to .6, that leaves the least squared error. Those of 5 and 6 bits lie in bytes as those of 8 do: fewer different ones are what gzip makes smaller.
 */
import type { DenseTensor } from "./pack-graph.ts";
import { type PackedValues, packedMost } from "./packed-values.ts";
import { toHalf } from "./to-half.ts";

/**
 * Tensors of fewer numbers than this, and than a 16th of all, are stored as f16 beside few bits: they are a small part of the file, and hold the depthwise and first
 * layers, whose outputs are sums of few products, so that their rounding errors do not average out. PP-OCRv4's recogniser, half of it pruned, reads
 * 97.3 % of the characters of 128 lines with f32, 96.0 % with all in 8 bits, 97.7 % with these in more, for 1.7 % more bytes.
 */
export function smallTensor(tensors: Iterable<DenseTensor>): number {
  let total = 0;
  for (const { dims, data } of tensors) if (dims.length >= 2) total += data.length;
  return Math.min(4096, total / 16);
}

/**
 * Weights as asked for; small tensors, biases, scales and the like as f16 beside few bits, where f16 holds them; what is exact as f32.
 *
 * @param small - of the network: see `smallTensor`
 */
export function storedType(
  { dims, data, exact }: DenseTensor,
  { values, small }: { readonly values: PackedValues; readonly small: number },
): PackedValues {
  if (exact || values === "f32") return "f32";
  if (dims.length >= 2 && (values === "f16" || data.length >= small)) return values;
  const least = dims.length < 2 ? 2 ** -14 : 0;
  // To 2^-11 of itself; of weights to 2^-25, which beside others of 2^-12 is less than the rounding of 8 bits.
  const holds = data.every((value) => value === 0 || (Math.abs(value) >= least && Math.abs(value) <= 65504));
  return holds && (dims.length < 2 || data.some((value) => Math.abs(value) >= 2 ** -12)) ? "f16" : "f32";
}

/** The value stream of a tensor: scales, then kept values. @param kept - indices in ascending order; undefined: all */
export function storedValues(
  tensor: { readonly dims: readonly number[]; readonly data: Float32Array },
  values: PackedValues,
  kept: Uint32Array | undefined,
): Uint8Array {
  const { data } = tensor;
  const count = kept?.length ?? data.length;
  const at = (i: number): number => data[kept ? kept[i]! : i]!;
  if (values === "f32") return bytesOf(Float32Array.from({ length: count }, (_, i) => at(i)));
  if (values === "f16") return bytesOf(Uint16Array.from({ length: count }, (_, i) => toHalf(at(i))));
  const rows = tensor.dims[0] ?? 1;
  const length = data.length / rows;
  const most = packedMost[values];
  const scales = Float32Array.from({ length: rows }, (_, row) =>
    scaleOf(data.subarray(row * length, (row + 1) * length), most),
  );
  const whole = Int8Array.from({ length: count }, (_, i) => {
    const scale = scales[Math.floor((kept ? kept[i]! : i) / length)]!;
    return wholeOf(at(i), scale, most);
  });
  const packed = values === "int4" ? nibbles(whole) : bytesOf(whole);
  const out = new Uint8Array(4 * rows + packed.length);
  out.set(bytesOf(scales));
  out.set(packed, 4 * rows);
  return out;
}

/** Shares of the largest number that whole numbers of few bits may reach. */
const reaches = [1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6] as const;

/**
 * The scale by which whole numbers up to `most` are nearest to an output's weights, in the sum of squares: of few bits it pays to cut the largest
 * numbers off.
 */
function scaleOf(row: Float32Array, most: number): number {
  let largest = 0;
  for (const weight of row) largest = Math.max(largest, Math.abs(weight));
  if (most === packedMost.int8) return largest / most;
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  for (const reach of reaches) {
    const scale = Math.fround((reach * largest) / most);
    let sum = 0;
    for (const weight of row) sum += (weight - scale * wholeOf(weight, scale, most)) ** 2;
    if (sum < least) [best, least] = [scale, sum];
  }
  return best;
}

/** The nearest whole number of scales, as far as there is one. */
function wholeOf(weight: number, scale: number, most: number): number {
  return scale === 0 ? 0 : Math.max(-most, Math.min(most, Math.round(weight / scale)));
}

/** Two's complement of four bits, the first in the low half of its byte. */
function nibbles(whole: Int8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil(whole.length / 2));
  whole.forEach((value, i) => {
    out[i >> 1]! |= (value & 15) << (i & 1 ? 4 : 0);
  });
  return out;
}

function bytesOf(array: Float32Array | Uint16Array | Int8Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
