/** Computed numbers back to the element type that a file has. */
import type { Vec } from "@secateur/core";
import type { ArrayOfDtype, TensorDtype } from "../dtype.ts";
import { badTensor } from "../errors.ts";
import { elementCount, type Tensor } from "../tensor.ts";
import { toFloat64 } from "./convert.ts";

/** Floating-point types of files. */
const FLOATS: ReadonlySet<TensorDtype> = new Set(["f16", "bf16", "f32", "f64"]);

/**
 * Numbers as a tensor of the shape and type of another one, rounded to the nearest (ties to even). Where a number is what the other
 * tensor holds there, its very bits are kept. O(length) time.
 *
 * @param data - as many numbers as `like` has elements
 * @throws ERR_TENSOR for whole-number types, and for another number of elements
 */
export function asTensorLike(like: Tensor, data: Vec): Tensor {
  const { dtype, shape } = like;
  if (!FLOATS.has(dtype) || data.length !== elementCount(shape)) {
    throw badTensor({
      name: dtype,
      found: `${data.length} numbers for ${dtype} [${shape.join(", ")}]`,
      expected: "as many, and a type of floats",
    });
  }
  if (dtype === "f32" || dtype === "f64") {
    return { dtype, shape, data: dtype === "f32" ? Float32Array.from(data) : Float64Array.from(data) } as Tensor;
  }
  const before = toFloat64(like);
  const bits = Uint16Array.from(like.data as ArrayOfDtype["f16"]);
  const convert = dtype === "f16" ? toHalf : toBfloat16;
  for (let i = 0; i < bits.length; i++) if (data[i] !== before[i]) bits[i] = convert(data[i]!);
  return { dtype, shape, data: bits } as Tensor;
}

/** The nearest half-precision number, as bits: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
export function toHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(size)) return 0x7e00;
  // Halfway between the largest number and the next one rounds to infinity.
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 1)) || 0);
  const unit = 2 ** (exponent - 10);
  const units = roundToEven(size / unit);
  // Below 2^-14 there is no leading one; a carry out of the fraction is the next exponent.
  return sign | (size < 2 ** -14 ? roundToEven(size / 2 ** -24) : ((exponent + 15) << 10) + (units - 1024));
}

function toBfloat16(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!;
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function roundToEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}
