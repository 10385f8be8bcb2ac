/**
 * Small programs over numbers: out[i] = f(a[i], b[i], ...), where f is a chain of functions and each input is read by strides, so that one
 * call stretches, transposes, slices and computes in a single pass over memory. Beside the types, the definition in plain TypeScript.
 */
import type { Mat, Vec } from "../problem/matrix.ts";
import { erf } from "./erf.ts";

/** Functions of a program. `prelu(a, b)` is a < 0 ? a b : a, `select(c, a, b)` is c ≠ 0 ? a : b. NaN stays NaN in all of them; the sign of a zero is not part of a result, and exp may be 0 below -87 and Infinity above 88.37. */
export type ElementwiseFunction =
  | "add"
  | "subtract"
  | "multiply"
  | "divide"
  | "max"
  | "min"
  | "prelu"
  | "select"
  | "negate"
  | "abs"
  | "sqrt"
  | "exp"
  | "sigmoid"
  | "tanh"
  | "erf";

/** An input: one number, or numbers of which element (i0, i1, ...) of `out` sees the one at offset + i0 strides[0] + i1 strides[1] + ... */
export type ElementwiseInput =
  | number
  | { readonly data: Vec; readonly offset?: number; readonly strides: readonly number[] };

/** A function of earlier values, by number: inputs first, then the steps before. */
export type ElementwiseStep = readonly [name: ElementwiseFunction, ...values: number[]];

/**
 * out = the last step, or the only input where there are no steps. Nothing but numbers in arrays is changed after a call: a backend may keep what it
 * makes of the same objects.
 */
export interface ElementwiseSpec {
  /** Extents of `out`, outermost first. */
  readonly shape: readonly number[];
  readonly inputs: readonly ElementwiseInput[];
  readonly steps: readonly ElementwiseStep[];
  /** Row-major; may be an input that is read in the order in which it lies. */
  readonly out: Vec;
}

/** out = the softmax of each row, or its logarithm. A row whose numbers are all -Infinity becomes NaN. */
export interface SoftmaxSpec {
  readonly a: Mat;
  /** [a.rows, a.cols]; may be `a` */
  readonly out: Mat;
  readonly isLogarithm: boolean;
}

/** Number of values that each function takes. */
const arity: Readonly<Record<ElementwiseFunction, number>> = {
  ...{ add: 2, subtract: 2, multiply: 2, divide: 2, max: 2, min: 2, prelu: 2, select: 3 },
  ...{ negate: 1, abs: 1, sqrt: 1, exp: 1, sigmoid: 1, tanh: 1, erf: 1 },
};

const functions: Readonly<Record<ElementwiseFunction, (a: number, b: number, c: number) => number>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  max: (a, b) => Math.max(a, b),
  min: (a, b) => Math.min(a, b),
  prelu: (a, b) => (a < 0 ? a * b : a),
  select: (c, a, b) => (c !== 0 ? a : b),
  negate: (a) => -a,
  abs: Math.abs,
  sqrt: Math.sqrt,
  exp: Math.exp,
  sigmoid: (a) => 1 / (1 + Math.exp(-a)),
  tanh: Math.tanh,
  erf,
};

/** @throws RangeError for inputs that do not reach over the shape, steps of values that are not there yet, or an `out` of another size */
export function checkElementwiseProgram({ shape, inputs, steps, out }: ElementwiseSpec): void {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const fits = out.length === size && inputs.length + steps.length > 0;
  const reach = (input: ElementwiseInput): boolean => {
    if (typeof input === "number") return true;
    const { data, offset = 0, strides } = input;
    if (strides.length !== shape.length || data.BYTES_PER_ELEMENT !== out.BYTES_PER_ELEMENT) return false;
    let [low, high] = [offset, offset];
    strides.forEach((stride, axis) => {
      const way = stride * (shape[axis]! - 1);
      if (way < 0) low += way;
      else high += way;
    });
    return size === 0 || (low >= 0 && high < data.length);
  };
  const isOrdered = steps.every(([name, ...values], s) => {
    return values.length === arity[name] && values.every((value) => value >= 0 && value < inputs.length + s);
  });
  const isOne = steps.length > 0 || inputs.length === 1;
  if (!fits || !isOne || !isOrdered || !inputs.every(reach)) throw new RangeError("elementwise: operands do not fit");
}

/** @throws RangeError for matrices of two shapes */
export function checkSoftmax({ a, out }: SoftmaxSpec): void {
  const fits = a.rows === out.rows && a.cols === out.cols && a.data.BYTES_PER_ELEMENT === out.data.BYTES_PER_ELEMENT;
  if (!fits) throw new RangeError("softmax: out is not of the shape and dtype of a");
}

/** A program by its definition, slow; every step of f32 numbers is rounded to f32. */
export function referenceElementwise(spec: ElementwiseSpec): void {
  checkElementwiseProgram(spec);
  const { shape, inputs, steps, out } = spec;
  const at = new Array<number>(shape.length).fill(0);
  const values = new (out.BYTES_PER_ELEMENT === 8 ? Float64Array : Float32Array)(inputs.length + steps.length);
  for (let i = 0; i < out.length; i++) {
    inputs.forEach((input, k) => {
      if (typeof input === "number") values[k] = input;
      else
        values[k] =
          input.data[input.strides.reduce((sum, stride, axis) => sum + stride * at[axis]!, input.offset ?? 0)]!;
    });
    steps.forEach(([name, a, b = 0, c = 0], s) => {
      values[inputs.length + s] = functions[name](values[a!]!, values[b]!, values[c]!);
    });
    out[i] = values[values.length - 1]!;
    for (let axis = shape.length - 1; axis >= 0 && ++at[axis]! === shape[axis]; axis--) at[axis] = 0;
  }
}

/** Softmax by its definition, in f64, slow. */
export function referenceSoftmax(spec: SoftmaxSpec): void {
  checkSoftmax(spec);
  const { a, out, isLogarithm } = spec;
  for (let start = 0; start < a.data.length; start += a.cols) {
    const x = Float64Array.from(a.data.subarray(start, start + a.cols));
    const most = x.reduce((m, value) => (value <= m ? m : value), Number.NEGATIVE_INFINITY);
    const sum = x.reduce((total, value) => total + Math.exp(value - most), 0);
    out.data.set(
      x.map((value) => (isLogarithm ? value - most - Math.log(sum) : Math.exp(value - most) / sum)),
      start,
    );
  }
}
