// Products of a matrix [outputs, features] with one vector,
//
//   out[n] = activation(bias[n] + sum over kept f of weight[n, f] in[f] + residual[n])
//
// by rows, and in blocks of 4 or 16 outputs that share their kept features; a dense matrix is blocks of 16 that keep every feature.
// Words of a step: 2 in; 3 out; 4 table; 5 bias; 6 residual or 0; 7 outputs; 8 outputs of a unit; 9 activation, 10 low, 11 high; 12 of rows:
// whether offsets are u32. The table has three words a block: where its weights begin, where its offsets (bytes from `in`, u32), how many taps.
// Bias, out and residual have room for whole blocks.
import { activated } from "./activation";
import { madd } from "./simd";
import { real, word } from "./step";

/**
 * Rows of any features, four at a time that keep about as many: a tap is a weight and an offset (u16 where they are below 65536) for each. The
 * four numbers that they read are put into one vector, which is multiplied at once. A shorter row ends with zeros times what it read last (an
 * empty one: times feature 0), so that infinity there gives NaN. A block has eight words in the table: the
 * three, an unused one, and the numbers of its outputs. A unit is some blocks.
 */
export function rowUnits(step: usize, begin: u32, end: u32): void {
  const x = word(step, 2), out = word(step, 3), table = word(step, 4), bias = word(step, 5), residual = word(step, 6);
  const code = word(step, 9), low = real(step, 10), high = real(step, 11), isWide = word(step, 12) != 0;
  const perUnit = word(step, 8) >> 2, last = min(end * perUnit, (word(step, 7) + 3) >> 2);
  for (let n = begin * perUnit; n < last; n++) {
    const row = table + (n << 5);
    const weight: usize = load<u32>(row), offset: usize = load<u32>(row, 4), taps = load<u32>(row, 8);
    const i0 = load<u32>(row, 16) << 2, i1 = load<u32>(row, 20) << 2, i2 = load<u32>(row, 24) << 2, i3 = load<u32>(row, 28) << 2;
    let sum = isWide ? rowSums<u32>(x, weight, offset, taps) : rowSums<u16>(x, weight, offset, taps);
    sum = f32x4.add(sum, gathered(bias + i0, bias + i1, bias + i2, bias + i3));
    if (residual != 0) sum = f32x4.add(sum, gathered(residual + i0, residual + i1, residual + i2, residual + i3));
    const v = activated(sum, code, low, high);
    v128.store_lane<f32>(out + i0, v, 0);
    v128.store_lane<f32>(out + i1, v, 1);
    v128.store_lane<f32>(out + i2, v, 2);
    v128.store_lane<f32>(out + i3, v, 3);
  }
}

// @ts-ignore: decorator
@inline
function rowSums<T>(x: usize, weight: usize, offset: usize, taps: u32): v128 {
  const size = sizeof<T>();
  let c = f32x4.splat(0), d = c;
  const end = weight + ((taps & ~1) << 4);
  for (; weight < end; weight += 32, offset += 8 * size) {
    const v = gathered(x + load<T>(offset), x + load<T>(offset, size), x + load<T>(offset, 2 * size), x + load<T>(offset, 3 * size));
    c = madd(v128.load(weight), v, c);
    const w = gathered(x + load<T>(offset, 4 * size), x + load<T>(offset, 5 * size), x + load<T>(offset, 6 * size), x + load<T>(offset, 7 * size));
    d = madd(v128.load(weight, 16), w, d);
  }
  if (taps & 1) {
    const v = gathered(x + load<T>(offset), x + load<T>(offset, size), x + load<T>(offset, 2 * size), x + load<T>(offset, 3 * size));
    c = madd(v128.load(weight), v, c);
  }
  return f32x4.add(c, d);
}

/** Four numbers from four places. */
// @ts-ignore: decorator
@inline
function gathered(a: usize, b: usize, c: usize, d: usize): v128 {
  let v = v128.load32_zero(a);
  v = v128.load_lane<f32>(b, v, 1);
  v = v128.load_lane<f32>(c, v, 2);
  return v128.load_lane<f32>(d, v, 3);
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
