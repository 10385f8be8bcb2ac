/** Values as the file stores them: f32, f16, or whole numbers times a scale an output, q = round(w / scale), scale = max |w| / (2^(bits-1) - 1). */
import type { ValueType } from "../file/packed-model.ts";
import type { DenseTensor } from "./pack-graph.ts";
import { toHalf } from "./to-half.ts";

/** Weights as asked for; biases, scales and the like as f16 beside few bits, where f16 holds them to 2^-11; what is exact as f32. */
export function storedType({ dims, data, exact }: DenseTensor, values: ValueType): ValueType {
  if (exact || values === "f32") return "f32";
  if (dims.length >= 2) return values;
  return data.every((value) => value === 0 || (Math.abs(value) >= 2 ** -14 && Math.abs(value) <= 65504))
    ? "f16"
    : "f32";
}

/** The value stream of a tensor: scales, then kept values. @param kept - indices in ascending order; undefined: all */
export function storedValues(
  tensor: { readonly dims: readonly number[]; readonly data: Float32Array },
  values: ValueType,
  kept: Uint32Array | undefined,
): Uint8Array {
  const { data } = tensor;
  const count = kept?.length ?? data.length;
  const at = (i: number): number => data[kept ? kept[i]! : i]!;
  if (values === "f32") return bytesOf(Float32Array.from({ length: count }, (_, i) => at(i)));
  if (values === "f16") return bytesOf(Uint16Array.from({ length: count }, (_, i) => toHalf(at(i))));
  const rows = tensor.dims[0] ?? 1;
  const length = data.length / rows;
  const most = values === "int8" ? 127 : 7;
  const scales = Float32Array.from({ length: rows }, (_, row) => {
    let largest = 0;
    for (let i = row * length; i < (row + 1) * length; i++) largest = Math.max(largest, Math.abs(data[i]!));
    return largest / most;
  });
  const whole = Int8Array.from({ length: count }, (_, i) => {
    const scale = scales[Math.floor((kept ? kept[i]! : i) / length)]!;
    return scale === 0 ? 0 : Math.max(-most, Math.min(most, Math.round(at(i) / scale)));
  });
  const packed = values === "int8" ? bytesOf(whole) : nibbles(whole);
  const out = new Uint8Array(4 * rows + packed.length);
  out.set(bytesOf(scales));
  out.set(packed, 4 * rows);
  return out;
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
