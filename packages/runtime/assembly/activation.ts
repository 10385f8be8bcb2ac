// Functions of one number: what products, sums and scales apply as they store, and steps of their own. None gives a subnormal number; NaN stays.
import { exponential, logarithm } from "./exponential";
import { normal, normalScalar, SMALLEST } from "./simd";

/** The numbers stand in src/plan/kernel-numbers.ts, too. */
export const RELU: u32 = 1;
export const CLIP: u32 = 2;
const SILU: u32 = 3, GELU: u32 = 4, SIGMOID: u32 = 5, TANH: u32 = 6, HARD_SWISH: u32 = 7, HARD_SIGMOID: u32 = 8;
const SQRT: u32 = 9, EXP: u32 = 10, LOG: u32 = 11, ABS: u32 = 12, RECIPROCAL: u32 = 13, ERF: u32 = 14, SOFTPLUS: u32 = 15;
const LEAKY_RELU: u32 = 16, ELU: u32 = 17, MISH: u32 = 18, FLOOR: u32 = 19, CEIL: u32 = 20, ROUND: u32 = 21;

/** code 0: v; RELU: max(v, 0); CLIP: v within [low, high]; else `curved`. */
// @ts-ignore: decorator
@inline
export function activated(v: v128, code: u32, low: f32, high: f32): v128 {
  // One comparison serves for the sign and the subnormal numbers; it is false for NaN.
  if (code == RELU) return v128.andnot(v, f32x4.le(v, f32x4.splat(SMALLEST)));
  if (code == CLIP) v = f32x4.pmax(f32x4.pmin(v, f32x4.splat(high)), f32x4.splat(low));
  else if (code > CLIP) return curved(v, code, low, high);
  return normal(v);
}

// @ts-ignore: decorator
@inline
export function activatedScalar(v: f32, code: u32, low: f32, high: f32): f32 {
  if (code == RELU) return v <= SMALLEST ? 0 : v;
  if (code == CLIP) v = v > high ? high : v < low ? low : v;
  else if (code > CLIP) return f32x4.extract_lane(curved(f32x4.splat(v), code, low, high), 0);
  return normalScalar(v);
}

/** Applies a function beyond CLIP to vectors that a product has stored: its sums need all registers while they are made. */
export function curveStored(at: usize, vectors: u32, mask: usize, code: u32, low: f32, high: f32): void {
  for (let i: u32 = 0; i < vectors; i++) {
    const x = v128.load(at + (i << 4));
    // The one that stands behind most convolutions does without a call.
    let v = code == HARD_SWISH ? hardSwish(x, low, high) : curved(x, code, low, high);
    if (mask != 0) v = v128.and(v, v128.load(mask + (i << 4)));
    v128.store(at + (i << 4), v);
  }
}

/** The functions beyond CLIP, of which a step has one for all its numbers. */
export function curved(x: v128, f: u32, low: f32, high: f32): v128 {
  const one = f32x4.splat(1);
  switch (f) {
    case SILU: return normal(f32x4.div(x, f32x4.add(one, exponential(f32x4.neg(x)))));
    case SIGMOID: return normal(f32x4.div(one, f32x4.add(one, exponential(f32x4.neg(x)))));
    // From the side on which nothing cancels: tanh |x| = 1 - 2 / (exp(2 |x|) + 1).
    case TANH: return normal(hyperbolicTangent(x));
    case GELU: return normal(f32x4.mul(f32x4.mul(x, f32x4.splat(0.5)), f32x4.add(one, errorFunction(f32x4.mul(x, f32x4.splat(0.70710678))))));
    case HARD_SWISH: return hardSwish(x, low, high);
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
    default: return x;
  }
}

/** scale x clip(x / 6 + 1/2, 0, 1) + shift */
// @ts-ignore: decorator
@inline
function hardSwish(x: v128, scale: f32, shift: f32): v128 {
  return normal(f32x4.add(f32x4.mul(f32x4.mul(x, hardSigmoid(x, 1.0 / 6)), f32x4.splat(scale)), f32x4.splat(shift)));
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

// Abramowitz and Stegun, 7.1.26, which is within 1.5e-7, summed in f32: within 4.5e-7.
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

