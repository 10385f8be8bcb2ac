// What is done number by number. A unit is a plane: a channel of an image, a feature of many positions, or a whole vector.
import { exponential, logarithm } from "./exponential";
import { activated, combined, normal } from "./simd";
import { real, word } from "./step";

/** Numbers of the functions of `unaryUnits`, as src/plan/kernel-numbers.ts has them. */
const SILU: u32 = 3, GELU: u32 = 4, SIGMOID: u32 = 5, TANH: u32 = 6, HARD_SWISH: u32 = 7, HARD_SIGMOID: u32 = 8;
const SQRT: u32 = 9, EXP: u32 = 10, LOG: u32 = 11, ABS: u32 = 12, RECIPROCAL: u32 = 13, ERF: u32 = 14, SOFTPLUS: u32 = 15;
const LEAKY_RELU: u32 = 16, ELU: u32 = 17, MISH: u32 = 18, FLOOR: u32 = 19, CEIL: u32 = 20, ROUND: u32 = 21;

/** out = f(in). Words: 2 in, 3 out, 4 and 5 from plane to plane, 6 vectors, 7 mask of positions or 0, 8 f, 9 low, 10 high. */
export function unaryUnits(step: usize, begin: u32, end: u32): void {
  const vectors = word(step, 6), f = word(step, 8), low = real(step, 9), high = real(step, 10);
  for (let plane = begin; plane < end; plane++) {
    const from = word(step, 2) + plane * word(step, 4), to = word(step, 3) + plane * word(step, 5);
    for (let i: u32 = 0; i < vectors; i++) {
      const at = i << 4;
      let v = apply(v128.load(from + at), f, low, high);
      if (word(step, 7) != 0) v = v128.and(v, v128.load(word(step, 7) + at));
      v128.store(to + at, v);
    }
  }
}

// @ts-ignore: decorator
@inline
function apply(x: v128, f: u32, low: f32, high: f32): v128 {
  const one = f32x4.splat(1);
  switch (f) {
    case SILU: return normal(f32x4.div(x, f32x4.add(one, exponential(f32x4.neg(x)))));
    case SIGMOID: return normal(f32x4.div(one, f32x4.add(one, exponential(f32x4.neg(x)))));
    // From the side on which nothing cancels: tanh |x| = 1 - 2 / (exp(2 |x|) + 1).
    case TANH: return normal(hyperbolicTangent(x));
    case GELU: return normal(f32x4.mul(f32x4.mul(x, f32x4.splat(0.5)), f32x4.add(one, errorFunction(f32x4.mul(x, f32x4.splat(0.70710678))))));
    case HARD_SWISH: return normal(f32x4.mul(x, hardSigmoid(x, 1.0 / 6)));
    // With its slope in `low`.
    case HARD_SIGMOID: return normal(hardSigmoid(x, low));
    case SQRT: return f32x4.sqrt(x);
    case EXP: return exponential(x);
    case LOG: return normal(logarithm(x));
    case ABS: return f32x4.abs(x);
    case RECIPROCAL: return normal(f32x4.div(one, x));
    case ERF: return normal(errorFunction(x));
    case SOFTPLUS: return normal(softplus(x));
    // Slope below zero in `low`.
    case LEAKY_RELU: return normal(v128.bitselect(f32x4.mul(x, f32x4.splat(low)), x, f32x4.lt(x, f32x4.splat(0))));
    case ELU: return normal(v128.bitselect(f32x4.mul(f32x4.splat(low), f32x4.sub(exponential(x), one)), x, f32x4.lt(x, f32x4.splat(0))));
    case FLOOR: return f32x4.floor(x);
    case CEIL: return f32x4.ceil(x);
    case ROUND: return f32x4.nearest(x);
    case MISH: return normal(f32x4.mul(x, hyperbolicTangent(softplus(x))));
    default: return activated(x, f, low, high);
  }
}

// @ts-ignore: decorator
@inline
function hardSigmoid(x: v128, slope: f32): v128 {
  return f32x4.max(f32x4.splat(0), f32x4.min(f32x4.splat(1), f32x4.add(f32x4.mul(x, f32x4.splat(slope)), f32x4.splat(0.5))));
}

// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)), in which nothing overflows.
function softplus(x: v128): v128 {
  const rest = logarithm(f32x4.add(f32x4.splat(1), exponential(f32x4.neg(f32x4.abs(x)))));
  return f32x4.add(f32x4.max(x, f32x4.splat(0)), rest);
}

function hyperbolicTangent(x: v128): v128 {
  const size = f32x4.abs(x), one = f32x4.splat(1);
  const far = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(exponential(f32x4.add(size, size)), one)));
  // Below 1/8, where that form loses digits, the series x - x^3/3 + 2 x^5/15 - 17 x^7/315 is exact to the last place.
  const square = f32x4.mul(x, x);
  let series = f32x4.add(f32x4.splat(2.0 / 15), f32x4.mul(square, f32x4.splat(-17.0 / 315)));
  series = f32x4.add(f32x4.splat(-1.0 / 3), f32x4.mul(square, series));
  const near = f32x4.add(size, f32x4.mul(f32x4.mul(size, square), series));
  const value = v128.bitselect(near, far, f32x4.lt(size, f32x4.splat(0.125)));
  return v128.or(value, v128.and(x, i32x4.splat(0x80000000)));
}

// Abramowitz and Stegun, 7.1.26: within 1.5e-7 everywhere.
function errorFunction(x: v128): v128 {
  const size = f32x4.abs(x), one = f32x4.splat(1);
  const t = f32x4.div(one, f32x4.add(one, f32x4.mul(f32x4.splat(0.3275911), size)));
  let p = f32x4.add(f32x4.splat(-1.453152027), f32x4.mul(t, f32x4.splat(1.061405429)));
  p = f32x4.add(f32x4.splat(1.421413741), f32x4.mul(t, p));
  p = f32x4.add(f32x4.splat(-0.284496736), f32x4.mul(t, p));
  p = f32x4.mul(t, f32x4.add(f32x4.splat(0.254829592), f32x4.mul(t, p)));
  const value = f32x4.sub(one, f32x4.mul(p, exponential(f32x4.neg(f32x4.mul(x, x)))));
  return v128.or(value, v128.and(x, i32x4.splat(0x80000000)));
}

/**
 * out = activation(a ? b), ? the operation of word 9 (see `combined`). Words: 2 a, 3 b, 4 out; 5, 6, 7 from plane to plane; 8 vectors; 10 is
 * b one number a plane; 11 activation, 12 low, 13 high; 14 mask of positions or 0.
 */
export function binaryUnits(step: usize, begin: u32, end: u32): void {
  const vectors = word(step, 8), operation = word(step, 9), code = word(step, 11), low = real(step, 12), high = real(step, 13);
  for (let plane = begin; plane < end; plane++) {
    const a = word(step, 2) + plane * word(step, 5), b = word(step, 3) + plane * word(step, 6), out = word(step, 4) + plane * word(step, 7);
    const splat = v128.load32_splat(b);
    for (let i: u32 = 0; i < vectors; i++) {
      const at = i << 4;
      const x = v128.load(a + at), y = word(step, 10) != 0 ? splat : v128.load(b + at);
      let v = activated(combined(x, y, operation), code, low, high);
      if (word(step, 14) != 0) v = v128.and(v, v128.load(word(step, 14) + at));
      v128.store(out + at, v);
    }
  }
}

/**
 * out = activation(scale a + shift), one scale and shift a channel (14 = 0) or an entry of a vector (14 = 1). Words: 2 a, 3 out, 4 and 5
 * from plane to plane, 6 vectors, 7 scale, 8 shift, 9 channels, 10 mask or 0, 11 activation, 12 low, 13 high.
 */
export function affineUnits(step: usize, begin: u32, end: u32): void {
  const vectors = word(step, 6), code = word(step, 11), low = real(step, 12), high = real(step, 13);
  const scales = word(step, 7), shifts = word(step, 8), isByEntry = word(step, 14) != 0;
  for (let plane = begin; plane < end; plane++) {
    const a = word(step, 2) + plane * word(step, 4), out = word(step, 3) + plane * word(step, 5);
    const channel = isByEntry ? 0 : plane % word(step, 9) << 2;
    const scale = v128.load32_splat(scales + channel), shift = v128.load32_splat(shifts + channel);
    for (let i: u32 = 0; i < vectors; i++) {
      const at = i << 4;
      const x = v128.load(a + at);
      const product = f32x4.mul(x, isByEntry ? v128.load(scales + at) : scale);
      let v = activated(f32x4.add(product, isByEntry ? v128.load(shifts + at) : shift), code, low, high);
      if (word(step, 10) != 0) v = v128.and(v, v128.load(word(step, 10) + at));
      v128.store(out + at, v);
    }
  }
}
