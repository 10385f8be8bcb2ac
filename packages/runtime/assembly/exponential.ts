// exp of four f32: x = n ln 2 + r with |r| <= ln 2 / 2, exp(r) by the polynomial of Cephes' expf (S. L. Moshier 1992), times 2^n. Within two
// units in the last place; beyond [-87, 88] the value of the nearer end, so that nothing subnormal or infinite comes out. NaN stays.

export function exponential(x: v128): v128 {
  const inside = f32x4.pmax(f32x4.pmin(x, f32x4.splat(88)), f32x4.splat(-87));
  const n = f32x4.nearest(f32x4.mul(inside, f32x4.splat(1.44269504)));
  // ln 2 in two parts, so that the product of the first with a whole number is exact.
  let r = f32x4.sub(inside, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  let p = f32x4.add(f32x4.mul(f32x4.splat(1.9875691500e-4), r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
  const value = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return f32x4.mul(value, power);
}

/** log of four f32, by way of f64: -Infinity for 0, NaN below. */
export function logarithm(x: v128): v128 {
  let out = f32x4.splat(<f32>Math.log(<f64>f32x4.extract_lane(x, 0)));
  out = f32x4.replace_lane(out, 1, <f32>Math.log(<f64>f32x4.extract_lane(x, 1)));
  out = f32x4.replace_lane(out, 2, <f32>Math.log(<f64>f32x4.extract_lane(x, 2)));
  return f32x4.replace_lane(out, 3, <f32>Math.log(<f64>f32x4.extract_lane(x, 3)));
}
