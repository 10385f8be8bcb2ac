// Sums of products that are never subnormal, at the cost of one subtraction a vector: they begin with 2^-102, a guard, and lose it in the end.
// A sum of at least 2^-103 is a multiple of 2^-126, as the guard is, so that their difference is zero or normal; any smaller sum leaves
// at least 2^-103. Sums above 2^-77 do not notice the guard, others are off by up to 2^-126.
import { CLIP, RELU } from "./activation";

const GUARD: f32 = 1.9721522630525295e-31;

/** What a sum begins with: the bias at an address, and the guard. */
// @ts-ignore: decorator
@inline
export function guarded(bias: usize): v128 {
  return f32x4.add(v128.load32_splat(bias), f32x4.splat(GUARD));
}

/** The sum without the guard, with RELU or CLIP applied. NaN stays. */
// @ts-ignore: decorator
@inline
export function settled(sum: v128, code: u32, low: f32, high: f32): v128 {
  const guard = f32x4.splat(GUARD);
  if (code == RELU) return f32x4.sub(f32x4.pmax(sum, guard), guard);
  const v = f32x4.sub(sum, guard);
  return code == CLIP ? f32x4.pmax(f32x4.pmin(v, f32x4.splat(high)), f32x4.splat(low)) : v;
}
