// Depthwise convolutions: every channel has one window of its own,
//
//   out[c, y, x] = activation(bias[c] + residual[c, y, x] + sum over (i, j) of weight[c, i, j] in[c, strideY y + i - top, strideX x + j - left])
//
// over zero-padded planes, with a stride of rows or columns (of columns at most 2): the image is read as it lies. Without strides a tap is one
// distance, and the products of sparse-planes.ts are as fast. Each sum runs over its taps in the
// order they are stored. What a vector computes beyond the end of a row is masked or written over by the next row, which comes later; the last
// vector of a plane is moved back instead, so that nothing beyond the plane is written.
//
// Words: 2 in, at the first tap of position (0, 0); 3 out; 4, 5 from plane to plane; 6, 7 from row to row; 8 height and 9 width of out; 10 vectors
// of a plane of out; 11 weights [channels, taps]; 12 bias; 13 channels; 14 height and 15 width of the window; 16 stride of rows, 17 of columns;
// 18 residual or 0, 19 its planes; 20 mask of positions or 0; 21 activation, 22 low, 23 high. A unit is a plane. Width is at least 4.
import { CLIP, curved } from "./activation";
import { guarded, settled } from "./guarded-sum";
import { madd } from "./simd";
import { real, word } from "./step";

export function depthwiseUnits(step: usize, begin: u32, end: u32): void {
  const taps = word(step, 14) * word(step, 15), channels = word(step, 13);
  const isSquare = word(step, 14) == 3 && word(step, 15) == 3;
  for (let plane = begin; plane < end; plane++) {
    const from = word(step, 2) + plane * word(step, 4), to = word(step, 3) + plane * word(step, 5);
    const channel = plane % channels;
    const weights = word(step, 11) + channel * (taps << 2), bias = word(step, 12) + (channel << 2);
    const residual = word(step, 18) == 0 ? 0 : word(step, 18) + plane * word(step, 19);
    if (isSquare && word(step, 17) == 2) halvedPlane(step, from, to, weights, bias, residual);
    else anyPlane(step, from, to, weights, bias, residual);
  }
}

/** Every second column of 3 x 3 windows. */
function halvedPlane(step: usize, from: usize, to: usize, weights: usize, bias: usize, residual: usize): void {
  const inRow = word(step, 6), outRow = word(step, 7), height = word(step, 8), width = word(step, 9), mask = word(step, 20);
  const code = word(step, 21), low = real(step, 22), high = real(step, 23);
  const last = <i32>((word(step, 10) - 1) << 4), first = guarded(bias), inStep = word(step, 16) * inRow;
  const w0 = v128.load32_splat(weights), w1 = v128.load32_splat(weights, 4), w2 = v128.load32_splat(weights, 8);
  const w3 = v128.load32_splat(weights, 12), w4 = v128.load32_splat(weights, 16), w5 = v128.load32_splat(weights, 20);
  const w6 = v128.load32_splat(weights, 24), w7 = v128.load32_splat(weights, 28), w8 = v128.load32_splat(weights, 32);
  for (let y: u32 = 0; y < height; y++) {
    for (let x: u32 = 0; x < width; x += 4) {
      const back = max(0, <i32>(y * outRow + (x << 2)) - last);
      const place = <usize>(<i32>(x << 2) - back), at = y * outRow + place;
      let p = from + y * inStep + (place << 1);
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
      store4(to, at, mask, c, code, low, high);
    }
  }
}

/** Any window. */
function anyPlane(step: usize, from: usize, to: usize, weights: usize, bias: usize, residual: usize): void {
  const inRow = word(step, 6), outRow = word(step, 7), height = word(step, 8), width = word(step, 9), mask = word(step, 20);
  const code = word(step, 21), low = real(step, 22), high = real(step, 23);
  const last = <i32>((word(step, 10) - 1) << 4), first = guarded(bias), inStep = word(step, 16) * inRow;
  const rows = word(step, 14), columns = word(step, 15) << 2, stride = word(step, 17);
  for (let y: u32 = 0; y < height; y++) {
    for (let x: u32 = 0; x < width; x += 4) {
      const back = max(0, <i32>(y * outRow + (x << 2)) - last);
      const place = <usize>(<i32>(x << 2) - back), at = y * outRow + place;
      let row = from + y * inStep + stride * place, w = weights;
      let c = first;
      if (residual != 0) c = f32x4.add(c, v128.load(residual + at));
      for (let i: u32 = 0; i < rows; i++, row += inRow) {
        for (let p = row; p < row + columns; p += 4, w += 4) {
          const v = stride == 1 ? v128.load(p) : evens(v128.load(p), v128.load(p, 16));
          c = madd(v, v128.load32_splat(w), c);
        }
      }
      store4(to, at, mask, c, code, low, high);
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
function store4(to: usize, at: usize, mask: usize, sum: v128, code: u32, low: f32, high: f32): void {
  let v = settled(sum, code, low, high);
  if (code > CLIP) v = curved(v, code, low, high);
  if (mask != 0) v = v128.and(v, v128.load(mask + at));
  v128.store(to + at, v);
}
