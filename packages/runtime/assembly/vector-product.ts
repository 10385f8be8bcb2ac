// Products of a matrix [outputs, features] with one vector,
//
//   out[n] = activation(bias[n] + sum over kept f of weight[n, f] in[f] + residual[n])
//
// by rows, and in blocks of 4 or 16 outputs that share their kept features; a dense matrix is blocks of 16 that keep every feature.
// Words of a step: 2 in; 3 out; 4 table; 5 bias; 6 residual or 0; 7 outputs; 8 outputs of a unit; 9 activation, 10 low, 11 high.
// The table has three words a row or block: where its weights begin, where its offsets (bytes from `in`, u32), how many taps. Bias, out
// and residual have room for whole blocks.
import { activated, activatedScalar } from "./activation";
import { madd } from "./simd";
import { real, word } from "./step";

/** A unit is some rows. */
export function rowUnits(step: usize, begin: u32, end: u32): void {
  const x = word(step, 2), out = word(step, 3), table = word(step, 4), bias = word(step, 5), residual = word(step, 6);
  const code = word(step, 9), low = real(step, 10), high = real(step, 11);
  const last = min(end * word(step, 8), word(step, 7));
  for (let n = begin * word(step, 8); n < last; n++) {
    const row = table + n * 12;
    let weight: usize = load<u32>(row), offset: usize = load<u32>(row, 4);
    const taps = load<u32>(row, 8);
    let s0 = load<f32>(bias + (n << 2)), s1: f32 = 0, s2: f32 = 0, s3: f32 = 0;
    let left = taps;
    for (; left >= 4; left -= 4) {
      s0 += load<f32>(weight) * load<f32>(x + load<u32>(offset));
      s1 += load<f32>(weight, 4) * load<f32>(x + load<u32>(offset, 4));
      s2 += load<f32>(weight, 8) * load<f32>(x + load<u32>(offset, 8));
      s3 += load<f32>(weight, 12) * load<f32>(x + load<u32>(offset, 12));
      weight += 16; offset += 16;
    }
    for (; left > 0; left--) {
      s0 += load<f32>(weight) * load<f32>(x + load<u32>(offset));
      weight += 4; offset += 4;
    }
    let sum = (s0 + s1) + (s2 + s3);
    if (residual != 0) sum += load<f32>(residual + (n << 2));
    store<f32>(out + (n << 2), activatedScalar(sum, code, low, high));
  }
}

// @ts-ignore: decorator
@inline
function storeVector(step: usize, at: usize, v: v128): void {
  const residual = word(step, 6);
  if (residual != 0) v = f32x4.add(v, v128.load(residual + at));
  v128.store(word(step, 3) + at, activated(v, word(step, 9), real(step, 10), real(step, 11)));
}

/** A unit is some blocks of 4. */
export function block4Units(step: usize, begin: u32, end: u32): void {
  const x = word(step, 2), table = word(step, 4), bias = word(step, 5), perUnit = word(step, 8) >> 2;
  const last = min(end * perUnit, (word(step, 7) + 3) >> 2);
  for (let n = begin * perUnit; n < last; n++) {
    const row = table + n * 12;
    let weight: usize = load<u32>(row), offset: usize = load<u32>(row, 4);
    let left = load<u32>(row, 8);
    let c0 = v128.load(bias + (n << 4)), c1 = f32x4.splat(0), c2 = c1, c3 = c1;
    for (; left >= 4; left -= 4) {
      c0 = madd(v128.load(weight), v128.load32_splat(x + load<u32>(offset)), c0);
      c1 = madd(v128.load(weight, 16), v128.load32_splat(x + load<u32>(offset, 4)), c1);
      c2 = madd(v128.load(weight, 32), v128.load32_splat(x + load<u32>(offset, 8)), c2);
      c3 = madd(v128.load(weight, 48), v128.load32_splat(x + load<u32>(offset, 12)), c3);
      weight += 64; offset += 16;
    }
    for (; left > 0; left--) {
      c0 = madd(v128.load(weight), v128.load32_splat(x + load<u32>(offset)), c0);
      weight += 16; offset += 4;
    }
    storeVector(step, n << 4, f32x4.add(f32x4.add(c0, c1), f32x4.add(c2, c3)));
  }
}

/** A unit is some blocks of 16. */
export function block16Units(step: usize, begin: u32, end: u32): void {
  const x = word(step, 2), table = word(step, 4), bias = word(step, 5), perUnit = word(step, 8) >> 4;
  const last = min(end * perUnit, (word(step, 7) + 15) >> 4);
  for (let n = begin * perUnit; n < last; n++) {
    const row = table + n * 12;
    let weight: usize = load<u32>(row), offset: usize = load<u32>(row, 4);
    let left = load<u32>(row, 8);
    const from = bias + (n << 6);
    let c0 = v128.load(from), c1 = v128.load(from, 16), c2 = v128.load(from, 32), c3 = v128.load(from, 48);
    let d0 = f32x4.splat(0), d1 = d0, d2 = d0, d3 = d0;
    for (; left >= 2; left -= 2) {
      let t = v128.load32_splat(x + load<u32>(offset));
      c0 = madd(v128.load(weight), t, c0); c1 = madd(v128.load(weight, 16), t, c1);
      c2 = madd(v128.load(weight, 32), t, c2); c3 = madd(v128.load(weight, 48), t, c3);
      t = v128.load32_splat(x + load<u32>(offset, 4));
      d0 = madd(v128.load(weight, 64), t, d0); d1 = madd(v128.load(weight, 80), t, d1);
      d2 = madd(v128.load(weight, 96), t, d2); d3 = madd(v128.load(weight, 112), t, d3);
      weight += 128; offset += 8;
    }
    if (left > 0) {
      const t = v128.load32_splat(x + load<u32>(offset));
      c0 = madd(v128.load(weight), t, c0); c1 = madd(v128.load(weight, 16), t, c1);
      c2 = madd(v128.load(weight, 32), t, c2); c3 = madd(v128.load(weight, 48), t, c3);
    }
    const at = n << 6;
    storeVector(step, at, f32x4.add(c0, d0));
    storeVector(step, at + 16, f32x4.add(c1, d1));
    storeVector(step, at + 32, f32x4.add(c2, d2));
    storeVector(step, at + 48, f32x4.add(c3, d3));
  }
}
