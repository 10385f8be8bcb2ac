// Vectors of four f32, and what every kernel does to a number before it stores it.

/** x * y + sum; rounded once in the relaxed build, twice in the plain one. Each build does the same everywhere. */
// @ts-ignore: decorator
@inline
export function madd(x: v128, y: v128, sum: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(x, y, sum);
  return f32x4.add(sum, f32x4.mul(x, y));
}

/** The smallest normal f32. Subnormal numbers make products some thirty times slower, so that no kernel stores one. */
export const SMALLEST: f32 = 1.17549435e-38;

/** Subnormal numbers become zero; NaN and infinity stay. */
// @ts-ignore: decorator
@inline
export function normal(v: v128): v128 {
  return v128.andnot(v, f32x4.lt(f32x4.abs(v), f32x4.splat(SMALLEST)));
}

// @ts-ignore: decorator
@inline
export function normalScalar(v: f32): f32 {
  return abs<f32>(v) < SMALLEST ? 0 : v;
}

/** Operations of two numbers. */
export const ADD: u32 = 0;
export const MUL: u32 = 1;
export const SUB: u32 = 2;
export const DIV: u32 = 3;
export const MIN: u32 = 4;
export const MAX: u32 = 5;

/** x + y, x y, x - y, x / y, the smaller, the larger (NaN stays), and x where y is not zero, else 0. */
// @ts-ignore: decorator
@inline
export function combined(x: v128, y: v128, operation: u32): v128 {
  switch (operation) {
    case ADD: return f32x4.add(x, y);
    case MUL: return f32x4.mul(x, y);
    case SUB: return f32x4.sub(x, y);
    case DIV: return f32x4.div(x, y);
    case MIN: return f32x4.min(x, y);
    case MAX: return f32x4.max(x, y);
    default: return v128.and(x, f32x4.ne(y, f32x4.splat(0)));
  }
}
