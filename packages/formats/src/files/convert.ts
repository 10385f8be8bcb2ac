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

/** Dtypes that weights are computed with or rounded to. */
export type FloatDtype = "f16" | "bf16" | "f32" | "f64";

/** Whether a dtype is one of floating-point numbers. */
export function isFloatDtype(dtype: Tensor["dtype"]): dtype is FloatDtype {
  return dtype === "f16" || dtype === "bf16" || dtype === "f32" || dtype === "f64";
}

/**
 * Numbers as a tensor of a floating-point dtype, each rounded to the nearest of that dtype, ties to even; beyond its range to
 * an infinity. Zeros stay zeros. `data` is handed out as it is where it is of that dtype. O(length).
 *
 * @param spec.shape - extents whose product is the length of `data`
 */
export function tensorOf(data: Vec, spec: { shape: readonly number[]; dtype: FloatDtype }): Tensor {
  const { shape, dtype } = spec;
  switch (dtype) {
    case "f32":
      return { dtype, shape, data: data instanceof Float32Array ? data : new Float32Array(data) };
    case "f64":
      return { dtype, shape, data: data instanceof Float64Array ? data : new Float64Array(data) };
    case "f16":
      return { dtype, shape, data: Uint16Array.from(data, numberToHalf) };
    case "bf16":
      return { dtype, shape, data: Uint16Array.from(data, numberToBfloat16) };
  }
}

/** The bits of the nearest half-precision number, ties to even. */
export function numberToHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(size)) return 0x7e00;
  // Halfway between the largest number and the next power of two, which would round up to it.
  if (size >= 65_520) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | roundHalfEven(size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  // log2 may round up to a whole number just below a power of two.
  const power = 2 ** exponent > size ? exponent - 1 : exponent;
  // A fraction that rounds up to 1024 carries into the exponent, as it should.
  return sign | (((power + 15) << 10) + roundHalfEven((size / 2 ** power - 1) * 1024));
}

/** The bits of the nearest bfloat16 number, ties to even. */
function numberToBfloat16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  if (Number.isNaN(value)) return (bits >>> 16) | 0x40;
  const upper = bits >>> 16;
  const lower = bits & 0xffff;
  // Infinities have no lower bits, so nothing carries out of them.
  return lower > 0x8000 || (lower === 0x8000 && (upper & 1) === 1) ? upper + 1 : upper;
}

const scratch = new DataView(new ArrayBuffer(4));

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i]! << 16;
  return new Float32Array(wide.buffer);
}
