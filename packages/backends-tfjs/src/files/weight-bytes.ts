/**
 * Weights as bytes in TensorFlow.js's format, quantised ones included: uint8 and uint16 mean min + scale q, float16 halves.
 * After pruning, zero must be a value of the grid: so new grids put it there, as TensorFlow's own do.
 */
import type { WeightSpec } from "./model-files.ts";

/** Bytes of one stored number; text has none of fixed length. */
const sizes: Readonly<Record<string, number>> = {
  float32: 4,
  int32: 4,
  bool: 1,
  string: Number.NaN,
  complex64: 8,
  uint8: 1,
  uint16: 2,
  float16: 2,
};

/** The types that the manifest of a model may name. */
export const weightDtypes: readonly string[] = Object.keys(sizes);

/** How many bytes a weight takes at the beginning of `bytes`. */
export function storedBytes(spec: WeightSpec, bytes: Uint8Array): number {
  const count = spec.shape.reduce((product, extent) => product * extent, 1);
  if (spec.dtype !== "string") return count * sizes[spec.quantization?.dtype ?? spec.dtype]!;
  // Texts carry their length in four bytes each.
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = 0;
  for (let i = 0; i < count && end + 4 <= bytes.length; i++) end += 4 + view.getUint32(end, true);
  return end;
}

/** A weight's numbers [product of spec.shape], dequantised, from its stored bytes [storedBytes]; undefined for types that are no numbers. */
export function decodeWeight(spec: WeightSpec, bytes: Uint8Array): Float32Array | Int32Array | Uint8Array | undefined {
  const { dtype, quantization } = spec;
  const copy = bytes.slice().buffer;
  if (quantization) {
    if (quantization.dtype === "float16") return Float32Array.from(new Uint16Array(copy), halfToFloat);
    const codes = quantization.dtype === "uint8" ? new Uint8Array(copy) : new Uint16Array(copy);
    const { scale = 1, min = 0 } = quantization;
    return dtype === "int32"
      ? Int32Array.from(codes, (q) => Math.round(q * scale + min))
      : affine(codes, { scale, min });
  }
  if (dtype === "float32") return new Float32Array(copy);
  if (dtype === "int32") return new Int32Array(copy);
  return dtype === "bool" ? new Uint8Array(copy) : undefined;
}

/** What the codes mean, rounded as TensorFlow.js rounds. */
function affine(codes: Uint8Array | Uint16Array, grid: { scale: number; min: number }): Float32Array {
  return Float32Array.from(codes, (q) => q * grid.scale + grid.min);
}

/** New numbers of a weight as the file keeps them. */
export interface EncodedWeight {
  readonly bytes: Uint8Array;
  /** With the new grid of a quantised weight. */
  readonly spec: WeightSpec;
}

/** Encodes f32 numbers in the type of the weight; a quantised weight gets a grid for its new range, with zero on it. */
export function encodeWeight(spec: WeightSpec, values: Float32Array): EncodedWeight {
  const { quantization } = spec;
  if (!quantization) return { bytes: bytesOf(Float32Array.from(values)), spec };
  if (quantization.dtype === "float16") return { bytes: bytesOf(Uint16Array.from(values, floatToHalf)), spec };
  const most = quantization.dtype === "uint8" ? 255 : 65535;
  const grid = gridFor(values, most);
  const codes = Array.from(values, (value) => Math.min(most, Math.max(0, Math.round((value - grid.min) / grid.scale))));
  const bytes = quantization.dtype === "uint8" ? Uint8Array.from(codes) : bytesOf(Uint16Array.from(codes));
  return { bytes, spec: { ...spec, quantization: { ...quantization, ...grid } } };
}

/** The grid of `most` steps over the values and zero; min is a whole number of steps, so that zero is exact. */
function gridFor(values: Float32Array, most: number): { scale: number; min: number } {
  let [low, high] = [0, 0];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low === high) return { scale: 1, min: 0 };
  const scale = (high - low) / most;
  // q * scale + min must round to 0 for the code of zero, so min is minus that very product.
  const zero = Math.round(-low / scale);
  return { scale, min: zero === 0 ? 0 : -(zero * scale) };
}

function bytesOf(values: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

const bits = new Uint32Array(1);
const single = new Float32Array(bits.buffer);

/** IEEE half to single precision. */
export function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** Single to half precision, to nearest with ties to even. */
export function floatToHalf(value: number): number {
  single[0] = value;
  const sign = (bits[0]! >>> 16) & 0x8000;
  const magnitude = Math.abs(single[0]);
  if (Number.isNaN(magnitude)) return sign | 0x7e00;
  // Halves below 2^-14 are multiples of 2^-24; above, 1024 steps a power of two.
  const exponent = magnitude < 2 ** -14 ? -14 : Math.floor(Math.log2(magnitude));
  const step = 2 ** (exponent - 10);
  const steps = roundToEven(magnitude / step);
  if (magnitude < 2 ** -14) return sign | steps; // 1024 steps are 2^-14, whose code follows
  const code = ((exponent + 15) << 10) + (steps - 1024);
  return sign | (code >= 0x7c00 ? 0x7c00 : code);
}

function roundToEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}
