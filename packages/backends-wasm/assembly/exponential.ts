// exp of four f32: x = n ln 2 + r with |r| <= ln 2 / 2, exp(r) by the polynomial of Cephes' expf (S. L. Moshier 1992), times 2^n. Within two
// units in the last place; 0 below -87 (nothing subnormal comes out), infinity above 88.37, and NaN stays.
import { madd, nmadd } from "./simd";

/** 1.5 2^23: a number added to it is rounded to a whole one, which then stands in the lowest bits. */
const ROUNDER: f32 = 12582912;

export function exponential(x: v128): v128 {
  const inside = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-87));
  const rounded = madd<f32>(inside, f32x4.splat(1.44269504), f32x4.splat(ROUNDER));
  const n = f32x4.sub(rounded, f32x4.splat(ROUNDER));
  // ln 2 in two parts, so that the product of the first with a whole number is exact.
  let r = nmadd<f32>(n, f32x4.splat(0.693359375), inside);
  r = nmadd<f32>(n, f32x4.splat(-2.12194440e-4), r);
  let p = madd<f32>(f32x4.splat(1.9875691500e-4), r, f32x4.splat(1.3981999507e-3));
  p = madd<f32>(p, r, f32x4.splat(8.3334519073e-3));
  p = madd<f32>(p, r, f32x4.splat(4.1665795894e-2));
  p = madd<f32>(p, r, f32x4.splat(1.6666665459e-1));
  p = madd<f32>(p, r, f32x4.splat(5.0000001201e-1));
  const value = f32x4.add(madd<f32>(p, f32x4.mul(r, r), r), f32x4.splat(1));
  // The bits of the rounder are shifted out.
  const power = i32x4.shl(i32x4.add(rounded, i32x4.splat(127)), 23);
  return v128.andnot(f32x4.mul(value, power), f32x4.lt(x, f32x4.splat(-87)));
}

/** 1 / (1 + exp(-x)) */
// @ts-ignore: decorator
@inline
export function sigmoid(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exponential(f32x4.neg(x))));
}

/** From the side on which nothing cancels: tanh |x| = 1 - 2 / (exp(2 |x|) + 1). */
export function hyperbolicTangent(x: v128): v128 {
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

/** Abramowitz and Stegun (1964), 7.1.26: within 1.5e-7 everywhere. */
export function errorFunction(x: v128): v128 {
  const size = f32x4.abs(x), one = f32x4.splat(1);
  const t = f32x4.div(one, f32x4.add(one, f32x4.mul(f32x4.splat(0.3275911), size)));
  let p = f32x4.add(f32x4.splat(-1.453152027), f32x4.mul(t, f32x4.splat(1.061405429)));
  p = f32x4.add(f32x4.splat(1.421413741), f32x4.mul(t, p));
  p = f32x4.add(f32x4.splat(-0.284496736), f32x4.mul(t, p));
  p = f32x4.mul(t, f32x4.add(f32x4.splat(0.254829592), f32x4.mul(t, p)));
  const value = f32x4.sub(one, f32x4.mul(p, exponential(f32x4.neg(f32x4.mul(x, x)))));
  return v128.or(value, v128.and(x, i32x4.splat(0x80000000)));
}
