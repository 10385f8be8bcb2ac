// What every kernel needs of SIMD, generic over f32 and f64.

/** Elements of one 128-bit vector: 4 for f32, 2 for f64. */
// @ts-ignore: decorator
@inline
export function lanes<T>(): u32 {
  return 16 / sizeof<T>();
}

/** x * y + sum; rounded once in the relaxed build, twice in the plain one. Each build does the same everywhere. */
// @ts-ignore: decorator
@inline
export function madd<T>(x: v128, y: v128, sum: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.relaxed_madd<T>(x, y, sum);
  return v128.add<T>(sum, v128.mul<T>(x, y));
}

/** sum - x * y, rounded like `madd`. */
// @ts-ignore: decorator
@inline
export function nmadd<T>(x: v128, y: v128, sum: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.relaxed_nmadd<T>(x, y, sum);
  return v128.sub<T>(sum, v128.mul<T>(x, y));
}

/** The lanes of a vector added up in f64, in a fixed order. */
// @ts-ignore: decorator
@inline
export function sumOfLanes<T>(v: v128): f64 {
  if (sizeof<T>() == 8) return v128.extract_lane<f64>(v, 0) + v128.extract_lane<f64>(v, 1);
  return (
    (<f64>v128.extract_lane<f32>(v, 0) + <f64>v128.extract_lane<f32>(v, 1)) +
    (<f64>v128.extract_lane<f32>(v, 2) + <f64>v128.extract_lane<f32>(v, 3))
  );
}

/** The upper two f32 lanes as f64. */
// @ts-ignore: decorator
@inline
export function promoteHigh(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i32>(v, v, 2, 3, 0, 1));
}

/** max(x, 0) with NaN kept: of two numbers that do not compare pmax takes the first, and the sum makes +0 of -0. Two instructions, where max has eight. */
// @ts-ignore: decorator
@inline
export function positive<T>(x: v128): v128 {
  const zero = v128.splat<T>(<T>0);
  return v128.add<T>(v128.pmax<T>(x, zero), zero);
}
