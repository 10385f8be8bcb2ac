// exp of f32: x = n ln 2 + r with |r| <= ln 2 / 2, exp(r) by the polynomial of Cephes' expf (S. L. Moshier 1992), times 2^n. Within two
// units in the last place; 0 below -87 (nothing subnormal comes out), infinity above 88.37, and NaN stays.
//
// A vector's steps wait for each other, and a processor looks only some sixty operations ahead. So many vectors are reduced to r and 2^n first,
// which lie in scratch, and finished in a second loop: twice as fast as one vector after the other.
import { madd, nmadd } from "./simd";

/** Constants in the order of their use: read from memory they cost one instruction, written out as vectors three. */
const TABLE: usize = memory.data<f32>([
  89, -87, 1.44269504, 12582912, 0.693359375, -2.12194440e-4,
  1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1,
]);

// Places of the constants.
const MOST: usize = 0, LEAST: usize = 1, PER_LN_2: usize = 2, ROUNDER: usize = 3, LN_2_HIGH: usize = 4, LN_2_LOW: usize = 5;
const P0: usize = 6, P1: usize = 7, P2: usize = 8, P3: usize = 9, P4: usize = 10, P5: usize = 11, ONE: usize = 12;

// @ts-ignore: decorator
@inline
function constant(place: usize): v128 {
  return v128.load32_splat(TABLE + (place << 2));
}

/** Bytes that are reduced before they are finished, at most; scratch is twice as many. */
export const REDUCED_BYTES: usize = 2048;

/** Writes r of x to `at` and 2^n behind it. */
// @ts-ignore: decorator
@inline
export function reduce(x: v128, at: usize): void {
  // The rounder is 1.5 2^23: a number added to it is rounded to a whole one, which then stands in the lowest bits.
  const least = constant(LEAST), rounder = constant(ROUNDER);
  const inside = f32x4.pmax(f32x4.pmin(x, constant(MOST)), least);
  const rounded = madd<f32>(inside, constant(PER_LN_2), rounder);
  const n = f32x4.sub(rounded, rounder);
  // ln 2 in two parts, so that the product of the first with a whole number is exact.
  const r = nmadd<f32>(n, constant(LN_2_HIGH), inside);
  v128.store(at, nmadd<f32>(n, constant(LN_2_LOW), r));
  // The bits of the rounder are shifted out.
  const power = i32x4.shl(i32x4.add(rounded, i32x4.splat(127)), 23);
  v128.store(at + REDUCED_BYTES, v128.andnot(power, f32x4.lt(x, least)));
}

/** exp(x) of what `reduce` wrote to `at`. */
// @ts-ignore: decorator
@inline
export function finished(at: usize): v128 {
  const r = v128.load(at);
  let p = madd<f32>(constant(P0), r, constant(P1));
  p = madd<f32>(p, r, constant(P2));
  p = madd<f32>(p, r, constant(P3));
  p = madd<f32>(p, r, constant(P4));
  p = madd<f32>(p, r, constant(P5));
  return f32x4.mul(f32x4.add(madd<f32>(p, f32x4.mul(r, r), r), constant(ONE)), v128.load(at + REDUCED_BYTES));
}

/** exp of one vector. */
// @ts-ignore: decorator
@inline
export function exponential(x: v128, scratch: usize): v128 {
  reduce(x, scratch);
  return finished(scratch);
}

/** to = exp(a), for `bytes` of whole vectors. */
export function exponentials(to: usize, a: usize, bytes: usize, scratch: usize): void {
  for (let from: usize = 0; from < bytes; from += REDUCED_BYTES) {
    const size = min(REDUCED_BYTES, bytes - from);
    for (let i: usize = 0; i < size; i += 16) reduce(v128.load(a + from + i), scratch + i);
    for (let i: usize = 0; i < size; i += 16) v128.store(to + from + i, finished(scratch + i));
  }
}

/** to = 1 / (1 + exp(-a)), for at most REDUCED_BYTES. */
export function sigmoids(to: usize, a: usize, bytes: usize, scratch: usize): void {
  const one = f32x4.splat(1);
  for (let i: usize = 0; i < bytes; i += 16) reduce(f32x4.neg(v128.load(a + i)), scratch + i);
  for (let i: usize = 0; i < bytes; i += 16) v128.store(to + i, f32x4.div(one, f32x4.add(one, finished(scratch + i))));
}

/** to = tanh(a), for at most REDUCED_BYTES, from the side on which nothing cancels: tanh |x| = 1 - 2 / (exp(2 |x|) + 1). */
export function hyperbolicTangents(to: usize, a: usize, bytes: usize, scratch: usize): void {
  const one = f32x4.splat(1);
  for (let i: usize = 0; i < bytes; i += 16) {
    const size = f32x4.abs(v128.load(a + i));
    reduce(f32x4.add(size, size), scratch + i);
  }
  for (let i: usize = 0; i < bytes; i += 16) {
    const x = v128.load(a + i), size = f32x4.abs(x);
    const far = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(finished(scratch + i), one)));
    // Below 1/8, where that form loses digits, the series x - x^3/3 + 2 x^5/15 - 17 x^7/315 is exact to the last place.
    const square = f32x4.mul(x, x);
    let series = f32x4.add(f32x4.splat(2.0 / 15), f32x4.mul(square, f32x4.splat(-17.0 / 315)));
    series = f32x4.add(f32x4.splat(-1.0 / 3), f32x4.mul(square, series));
    const near = f32x4.add(size, f32x4.mul(f32x4.mul(size, square), series));
    const value = v128.bitselect(near, far, f32x4.lt(size, f32x4.splat(0.125)));
    v128.store(to + i, v128.or(value, v128.and(x, i32x4.splat(0x80000000))));
  }
}

/** to = erf(a), for at most REDUCED_BYTES. Abramowitz and Stegun (1964), 7.1.26, which is within 1.5e-7, summed in f32: within 4.5e-7, near 0 too, so that small values have few digits. */
export function errorFunctions(to: usize, a: usize, bytes: usize, scratch: usize): void {
  const one = f32x4.splat(1);
  for (let i: usize = 0; i < bytes; i += 16) {
    const x = v128.load(a + i);
    reduce(f32x4.neg(f32x4.mul(x, x)), scratch + i);
  }
  for (let i: usize = 0; i < bytes; i += 16) {
    const x = v128.load(a + i), size = f32x4.abs(x);
    const t = f32x4.div(one, f32x4.add(one, f32x4.mul(f32x4.splat(0.3275911), size)));
    let p = f32x4.add(f32x4.splat(-1.453152027), f32x4.mul(t, f32x4.splat(1.061405429)));
    p = f32x4.add(f32x4.splat(1.421413741), f32x4.mul(t, p));
    p = f32x4.add(f32x4.splat(-0.284496736), f32x4.mul(t, p));
    p = f32x4.mul(t, f32x4.add(f32x4.splat(0.254829592), f32x4.mul(t, p)));
    const value = f32x4.sub(one, f32x4.mul(p, finished(scratch + i)));
    v128.store(to + i, v128.or(value, v128.and(x, i32x4.splat(0x80000000))));
  }
}
