/** Conversions from what a file holds to the f32 and f64 that the numerical packages compute in. */
import type { Vec } from "@secateur/core";
import type { Tensor } from "../tensor.ts";

/**
 * The elements as f32. f32 data is handed out as it is, not copied; f16, bf16, bool and integers of up to 16 bits
 * convert exactly; wider integers and f64 round to the nearest f32 (beyond its range to an infinity).
 * O(length) time; 4 bytes an element where a copy is made.
 *
 * @example
 * const weights = toFloat32(checkpoint.tensors[0]);
 */
export function toFloat32(tensor: Tensor): Float32Array {
  switch (tensor.dtype) {
    case "f32":
      return tensor.data;
    case "f16":
      return Float32Array.from(tensor.data, halfToNumber);
    case "bf16":
      return bfloat16ToFloat32(tensor.data);
    case "i64":
    case "u64":
      return Float32Array.from(tensor.data, Number);
    default:
      return new Float32Array(tensor.data);
  }
}

/**
 * The elements as f64. f64 data is handed out as it is, not copied; everything but i64 and u64 beyond 2^53 converts
 * exactly. O(length) time; 8 bytes an element where a copy is made.
 */
export function toFloat64(tensor: Tensor): Float64Array {
  switch (tensor.dtype) {
    case "f64":
      return tensor.data;
    case "f16":
      return Float64Array.from(tensor.data, halfToNumber);
    case "bf16":
      return new Float64Array(bfloat16ToFloat32(tensor.data));
    case "i64":
    case "u64":
      return Float64Array.from(tensor.data, Number);
    default:
      return new Float64Array(tensor.data);
  }
}

/**
 * The elements in the narrower of f32 and f64 that loses nothing: f64, and integers of 32 and 64 bits, as f64
 * (64-bit ones beyond 2^53 round); everything else as f32. f32 and f64 data is not copied.
 */
export function toVec(tensor: Tensor): Vec {
  switch (tensor.dtype) {
    case "f64":
    case "i32":
    case "u32":
    case "i64":
    case "u64":
      return toFloat64(tensor);
    default:
      return toFloat32(tensor);
  }
}

/** The value of IEEE 754 half-precision bits: 1 sign, 5 exponent (bias 15), 10 fraction bits. Exact. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i]! << 16;
  return new Float32Array(wide.buffer);
}
