/** What flows along the edges of a graph: row-major numbers of any shape. */
import type { Dtype, Vec } from "@secateur/core";
import type { GraphTensor } from "./graph-spec.ts";

/** Real numbers are differentiated; whole ones (indices, shapes) and truth values are not. */
export type Kind = "real" | "whole" | "truth";

/** Extents, outermost first; [] is a scalar. */
export type Shape = readonly number[];

/** Real numbers in f32 or f64, whole ones in f64 (exact to 2^53), truth values as bytes 0 and 1. */
export type Numbers = Float32Array | Float64Array | Uint8Array;

/** What is known of a value before anything runs. */
export interface ValueType {
  readonly shape: Shape;
  readonly kind: Kind;
  /** Element type of a constant of whole numbers, as the graph has it. */
  readonly dtype?: string;
}

/** A value. */
export interface Value extends ValueType {
  readonly data: Numbers;
}

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

/** Elements that lie between neighbours along each axis. */
export function stridesOf(shape: Shape): readonly number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/** The shape that both shapes stretch to, or undefined where they do not (numpy's rule). */
export function broadcastShape(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const out: number[] = [];
  for (let i = 0; i < rank; i++) {
    const [x, y] = [a[a.length - rank + i] ?? 1, b[b.length - rank + i] ?? 1];
    if (x !== y && x !== 1 && y !== 1) return undefined;
    out.push(x === 1 ? y : x);
  }
  return out;
}

/** An array for numbers of a kind. @param dtype - of real numbers */
export function numbersOf(kind: Kind, length: number, dtype: Dtype): Numbers {
  if (kind === "truth") return new Uint8Array(length);
  return kind === "real" && dtype === "f32" ? new Float32Array(length) : new Float64Array(length);
}

/** The kind that an element type is; undefined for those that are not computed with. */
export function kindOfDtype(dtype: string): Kind | undefined {
  if (/^(f16|bf16|f32|f64)$/.test(dtype)) return "real";
  if (/^[iu](8|16|32|64)$/.test(dtype)) return "whole";
  return dtype === "bool" ? "truth" : undefined;
}

/** A tensor of the graph as a value, copied; undefined where its elements are not read. */
export function tensorValue({ dtype, shape, data }: GraphTensor, real: Dtype): Value | undefined {
  const kind = kindOfDtype(dtype);
  if (kind === undefined || data === undefined) return undefined;
  const out = numbersOf(kind, data.length, real);
  if (dtype === "f16") for (let i = 0; i < out.length; i++) out[i] = halfToNumber(Number(data[i]));
  else if (dtype === "bf16") fillFromBfloat16(data as Uint16Array, out);
  else for (let i = 0; i < out.length; i++) out[i] = Number(data[i]);
  return { kind, shape, data: out, ...(kind === "whole" ? { dtype } : {}) };
}

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function fillFromBfloat16(bits: Uint16Array, out: Numbers): void {
  const wide = new Uint32Array(1);
  const float = new Float32Array(wide.buffer);
  for (let i = 0; i < bits.length; i++) {
    wide[0] = bits[i]! << 16;
    out[i] = float[0]!;
  }
}

/** The real numbers of a value. Whoever asks has checked its kind. */
export function realOf({ data }: Value): Vec {
  return data as Vec;
}
