// Depthwise convolutions: every channel has one window of its own,
//
//   out[c, y, x] = activation(bias[c] + residual[c, y, x] + sum over (i, j) of weight[c, i, j] in[c, strideY y + i - top, strideX x + j - left])
//
// over zero-padded planes, with a stride of rows or columns (of columns at most 2): the image is read as it lies. Without strides a tap is one
// distance, and the products of sparse-planes.ts are as fast. Each sum runs over its taps in the order they are stored. The last vector of a row is moved back to end with the row, so that nothing is written between rows.
//
// Words: 2 in, at the first tap of position (0, 0); 3 out; 4, 5 from plane to plane; 6, 7 from row to row; 8 height and 9 width of out; 10 weights
// [channels, taps]; 11 bias; 12 channels; 13 height and 14 width of the window; 15 stride of rows, 16 of columns; 17 residual or 0, 18 its
// planes; 19 activation, 20 low, 21 high. A unit is a plane. Width is at least 4.
import { CLIP, curved } from "./activation";
import { guarded, settled } from "./guarded-sum";
import { madd } from "./simd";
import { real, word } from "./step";

export function depthwiseUnits(step: usize, begin: u32, end: u32): void {
  const taps = word(step, 13) * word(step, 14), channels = word(step, 12);
  const isSquare = word(step, 13) == 3 && word(step, 14) == 3;
  for (let plane = begin; plane < end; plane++) {
    const from = word(step, 2) + plane * word(step, 4), to = word(step, 3) + plane * word(step, 5);
    const channel = plane % channels;
    const weights = word(step, 10) + channel * (taps << 2), bias = word(step, 11) + (channel << 2);
    const residual = word(step, 17) == 0 ? 0 : word(step, 17) + plane * word(step, 18);
    if (isSquare && word(step, 16) == 2) halvedPlane(step, from, to, weights, bias, residual);
    else anyPlane(step, from, to, weights, bias, residual);
  }
}

/** Every second column of 3 x 3 windows. */
function halvedPlane(step: usize, from: usize, to: usize, weights: usize, bias: usize, residual: usize): void {
  const inRow = word(step, 6), outRow = word(step, 7), height = word(step, 8), lastX = (word(step, 9) - 4) << 2;
  const code = word(step, 19), low = real(step, 20), high = real(step, 21);
  const first = guarded(bias), inStep = word(step, 15) * inRow;
  const w0 = v128.load32_splat(weights), w1 = v128.load32_splat(weights, 4), w2 = v128.load32_splat(weights, 8);
  const w3 = v128.load32_splat(weights, 12), w4 = v128.load32_splat(weights, 16), w5 = v128.load32_splat(weights, 20);
  const w6 = v128.load32_splat(weights, 24), w7 = v128.load32_splat(weights, 28), w8 = v128.load32_splat(weights, 32);
  for (let y: u32 = 0; y < height; y++) {
    for (let x: u32 = 0; ; x = min(x + 16, lastX)) {
      const at = y * outRow + x;
      let p = from + y * inStep + (x << 1);
      let c = first;
      if (residual != 0) c = f32x4.add(c, v128.load(residual + at));
      let a = v128.load(p), b = v128.load(p, 16);
      c = madd(evens(a, b), w0, c);
      c = madd(odds(a, b), w1, c);
      c = madd(evens(v128.load(p, 8), v128.load(p, 24)), w2, c);
      p += inRow;
      a = v128.load(p), b = v128.load(p, 16);
      c = madd(evens(a, b), w3, c);
      c = madd(odds(a, b), w4, c);
      c = madd(evens(v128.load(p, 8), v128.load(p, 24)), w5, c);
      p += inRow;
      a = v128.load(p), b = v128.load(p, 16);
      c = madd(evens(a, b), w6, c);
      c = madd(odds(a, b), w7, c);
      c = madd(evens(v128.load(p, 8), v128.load(p, 24)), w8, c);
      store4(to + at, c, code, low, high);
      if (x == lastX) break;
    }
  }
}

/** Any window. */
function anyPlane(step: usize, from: usize, to: usize, weights: usize, bias: usize, residual: usize): void {
  const inRow = word(step, 6), outRow = word(step, 7), height = word(step, 8), lastX = (word(step, 9) - 4) << 2;
  const code = word(step, 19), low = real(step, 20), high = real(step, 21);
  const first = guarded(bias), inStep = word(step, 15) * inRow;
  const rows = word(step, 13), columns = word(step, 14) << 2, stride = word(step, 16);
  for (let y: u32 = 0; y < height; y++) {
    for (let x: u32 = 0; ; x = min(x + 16, lastX)) {
      const at = y * outRow + x;
      let row = from + y * inStep + stride * x, w = weights;
      let c = first;
      if (residual != 0) c = f32x4.add(c, v128.load(residual + at));
      for (let i: u32 = 0; i < rows; i++, row += inRow) {
        for (let p = row; p < row + columns; p += 4, w += 4) {
          const v = stride == 1 ? v128.load(p) : evens(v128.load(p), v128.load(p, 16));
          c = madd(v, v128.load32_splat(w), c);
        }
      }
      store4(to + at, c, code, low, high);
      if (x == lastX) break;
    }
  }
}

// @ts-ignore: decorator
@inline
function evens(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 0, 2, 4, 6);
}

// @ts-ignore: decorator
@inline
function odds(a: v128, b: v128): v128 {
  return v128.shuffle<f32>(a, b, 1, 3, 5, 7);
}

// @ts-ignore: decorator
@inline
function store4(to: usize, sum: v128, code: u32, low: f32, high: f32): void {
  let v = settled(sum, code, low, high);
  if (code > CLIP) v = curved(v, code, low, high);
  v128.store(to, v);
}
