// Products of a matrix [outputs, taps] with many positions, over planes: channel after channel, each its positions row by row, with zeros
// around them, so that a tap of a convolution is a distance from the output's position and nothing has to be gathered.
//
//   out[n, m] = activation(bias[n] + sum over taps i of weight[n, i] in[m + offset[n, i]] + residual[n, m])
//
// `sparseUnits` holds one output and up to 32 positions in registers: a kept weight is one offset, one number, and a product for every
// vector of positions. `blockUnits` holds four outputs that share their taps and up to 12 positions: dense products, and masks in blocks
// of four outputs. Each sum runs over its taps in the order they are stored, so that its bytes do not depend on how work is cut.
import { activated, CLIP, curveStored } from "./activation";
import { madd } from "./simd";
import { real, word } from "./step";

/**
 * A unit is up to 32 positions of one image by one range of outputs. Words: 2 in, 3 from image to image of in; 4 out, 5 from plane to
 * plane, 6 from image to image; 7 ends: for every output the address behind its taps, word -1 of it the first address; 8 bias; 9 residual
 * or 0, 10 its planes, 11 its images; 12 mask of positions or 0; 13 vectors of positions; 14 tiles of an image; 15 ranges of outputs;
 * 16 outputs; 17 activation, 18 low, 19 high. A tap is an offset in bytes (u32) and a weight (f32).
 */
export function sparseUnits(step: usize, begin: u32, end: u32): void {
  const tiles = word(step, 14), ranges = word(step, 15), vectors = word(step, 13), outputs = word(step, 16);
  for (let unit = begin; unit < end; unit++) {
    const range = unit % ranges, tile = unit / ranges % tiles, image = unit / ranges / tiles;
    const first = tile * vectors / tiles, count = (tile + 1) * vectors / tiles - first;
    const from = range * outputs / ranges, to = (range + 1) * outputs / ranges;
    switch (count) {
      case 8: sparse8(step, image, first, from, to); break;
      case 7: sparse7(step, image, first, from, to); break;
      case 6: sparse6(step, image, first, from, to); break;
      case 5: sparse5(step, image, first, from, to); break;
      case 4: sparse4(step, image, first, from, to); break;
      case 3: sparse3(step, image, first, from, to); break;
      case 2: sparse2(step, image, first, from, to); break;
      default: sparse1(step, image, first, from, to); break;
    }
  }
}

function sparse8(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(8, step, image, first, from, to); }
function sparse7(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(7, step, image, first, from, to); }
function sparse6(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(6, step, image, first, from, to); }
function sparse5(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(5, step, image, first, from, to); }
function sparse4(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(4, step, image, first, from, to); }
function sparse3(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(3, step, image, first, from, to); }
function sparse2(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(2, step, image, first, from, to); }
function sparse1(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(1, step, image, first, from, to); }

// Inlined into each variant above, where `vectors` is a constant: the tests on it vanish.
// @ts-ignore: decorator
@inline
function sparseTile(vectors: u32, step: usize, image: u32, first: u32, from: u32, to: u32): void {
  const a = word(step, 2) + image * word(step, 3) + (first << 4);
  const outPlane = word(step, 5), ends = word(step, 7), biases = word(step, 8), residualPlane = word(step, 10);
  let out = word(step, 4) + image * word(step, 6) + from * outPlane + (first << 4);
  let residual = word(step, 9);
  if (residual != 0) residual += image * word(step, 11) + from * residualPlane + (first << 4);
  let mask = word(step, 12);
  if (mask != 0) mask += first << 4;
  const wanted = word(step, 17), low = real(step, 18), high = real(step, 19), code = wanted > CLIP ? 0 : wanted;
  let tap: usize = load<u32>(ends + (from << 2) - 4);
  for (let n = from; n < to; n++) {
    let c0 = v128.load32_splat(biases + (n << 2)), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
    const stop: usize = load<u32>(ends + (n << 2));
    for (; tap < stop; tap += 8) {
      const p = a + load<u32>(tap), w = v128.load32_splat(tap, 4);
      c0 = madd(v128.load(p), w, c0);
      if (vectors > 1) c1 = madd(v128.load(p, 16), w, c1);
      if (vectors > 2) c2 = madd(v128.load(p, 32), w, c2);
      if (vectors > 3) c3 = madd(v128.load(p, 48), w, c3);
      if (vectors > 4) c4 = madd(v128.load(p, 64), w, c4);
      if (vectors > 5) c5 = madd(v128.load(p, 80), w, c5);
      if (vectors > 6) c6 = madd(v128.load(p, 96), w, c6);
      if (vectors > 7) c7 = madd(v128.load(p, 112), w, c7);
    }
    if (residual != 0) {
      c0 = f32x4.add(c0, v128.load(residual));
      if (vectors > 1) c1 = f32x4.add(c1, v128.load(residual, 16));
      if (vectors > 2) c2 = f32x4.add(c2, v128.load(residual, 32));
      if (vectors > 3) c3 = f32x4.add(c3, v128.load(residual, 48));
      if (vectors > 4) c4 = f32x4.add(c4, v128.load(residual, 64));
      if (vectors > 5) c5 = f32x4.add(c5, v128.load(residual, 80));
      if (vectors > 6) c6 = f32x4.add(c6, v128.load(residual, 96));
      if (vectors > 7) c7 = f32x4.add(c7, v128.load(residual, 112));
      residual += residualPlane;
    }
    if (code == 1) {
      c0 = activated(c0, 1, low, high);
      if (vectors > 1) c1 = activated(c1, 1, low, high);
      if (vectors > 2) c2 = activated(c2, 1, low, high);
      if (vectors > 3) c3 = activated(c3, 1, low, high);
      if (vectors > 4) c4 = activated(c4, 1, low, high);
      if (vectors > 5) c5 = activated(c5, 1, low, high);
      if (vectors > 6) c6 = activated(c6, 1, low, high);
      if (vectors > 7) c7 = activated(c7, 1, low, high);
    } else {
      c0 = activated(c0, code, low, high);
      if (vectors > 1) c1 = activated(c1, code, low, high);
      if (vectors > 2) c2 = activated(c2, code, low, high);
      if (vectors > 3) c3 = activated(c3, code, low, high);
      if (vectors > 4) c4 = activated(c4, code, low, high);
      if (vectors > 5) c5 = activated(c5, code, low, high);
      if (vectors > 6) c6 = activated(c6, code, low, high);
      if (vectors > 7) c7 = activated(c7, code, low, high);
    }
    if (mask != 0) {
      // Between the rows of an image stand zeros; sums that fall there are dropped.
      c0 = v128.and(c0, v128.load(mask));
      if (vectors > 1) c1 = v128.and(c1, v128.load(mask, 16));
      if (vectors > 2) c2 = v128.and(c2, v128.load(mask, 32));
      if (vectors > 3) c3 = v128.and(c3, v128.load(mask, 48));
      if (vectors > 4) c4 = v128.and(c4, v128.load(mask, 64));
      if (vectors > 5) c5 = v128.and(c5, v128.load(mask, 80));
      if (vectors > 6) c6 = v128.and(c6, v128.load(mask, 96));
      if (vectors > 7) c7 = v128.and(c7, v128.load(mask, 112));
    }
    v128.store(out, c0);
    if (vectors > 1) v128.store(out, c1, 16);
    if (vectors > 2) v128.store(out, c2, 32);
    if (vectors > 3) v128.store(out, c3, 48);
    if (vectors > 4) v128.store(out, c4, 64);
    if (vectors > 5) v128.store(out, c5, 80);
    if (vectors > 6) v128.store(out, c6, 96);
    if (vectors > 7) v128.store(out, c7, 112);
    if (wanted > CLIP) curveStored(out, vectors, mask, wanted, low, high);
    out += outPlane;
  }
}

/**
 * As `sparseUnits`, with tiles of 12 positions and ranges of whole blocks: word 7 holds an address a block, 15 ranges of blocks. A tap is
 * an offset and the weights of four outputs, those beyond the last output zero.
 */
export function blockUnits(step: usize, begin: u32, end: u32): void {
  const tiles = word(step, 14), ranges = word(step, 15), vectors = word(step, 13), blocks = (word(step, 16) + 3) >> 2;
  for (let unit = begin; unit < end; unit++) {
    const range = unit % ranges, tile = unit / ranges % tiles, image = unit / ranges / tiles;
    const first = tile * vectors / tiles, count = (tile + 1) * vectors / tiles - first;
    const from = range * blocks / ranges, to = (range + 1) * blocks / ranges;
    if (count == 3) block3(step, image, first, from, to);
    else if (count == 2) block2(step, image, first, from, to);
    else block1(step, image, first, from, to);
  }
}

function block3(step: usize, image: u32, first: u32, from: u32, to: u32): void { blockTile(3, step, image, first, from, to); }
function block2(step: usize, image: u32, first: u32, from: u32, to: u32): void { blockTile(2, step, image, first, from, to); }
function block1(step: usize, image: u32, first: u32, from: u32, to: u32): void { blockTile(1, step, image, first, from, to); }

// @ts-ignore: decorator
@inline
function blockTile(vectors: u32, step: usize, image: u32, first: u32, from: u32, to: u32): void {
  const a = word(step, 2) + image * word(step, 3) + (first << 4);
  const outPlane = word(step, 5), ends = word(step, 7), biases = word(step, 8), residualPlane = word(step, 10);
  const outputs = word(step, 16);
  let out = word(step, 4) + image * word(step, 6) + (from << 2) * outPlane + (first << 4);
  let residual = word(step, 9);
  if (residual != 0) residual += image * word(step, 11) + (from << 2) * residualPlane + (first << 4);
  let mask = word(step, 12);
  if (mask != 0) mask += first << 4;
  let tap: usize = load<u32>(ends + (from << 2) - 4);
  for (let n = from; n < to; n++) {
    const bias = biases + (n << 4);
    let c00 = v128.load32_splat(bias), c01 = c00, c02 = c00;
    let c10 = v128.load32_splat(bias, 4), c11 = c10, c12 = c10;
    let c20 = v128.load32_splat(bias, 8), c21 = c20, c22 = c20;
    let c30 = v128.load32_splat(bias, 12), c31 = c30, c32 = c30;
    let x1 = c00, x2 = c00, w: v128;
    const stop: usize = load<u32>(ends + (n << 2));
    for (; tap < stop; tap += 20) {
      const p = a + load<u32>(tap);
      const x0 = v128.load(p);
      if (vectors > 1) x1 = v128.load(p, 16);
      if (vectors > 2) x2 = v128.load(p, 32);
      w = v128.load32_splat(tap, 4);
      c00 = madd(x0, w, c00); if (vectors > 1) c01 = madd(x1, w, c01); if (vectors > 2) c02 = madd(x2, w, c02);
      w = v128.load32_splat(tap, 8);
      c10 = madd(x0, w, c10); if (vectors > 1) c11 = madd(x1, w, c11); if (vectors > 2) c12 = madd(x2, w, c12);
      w = v128.load32_splat(tap, 12);
      c20 = madd(x0, w, c20); if (vectors > 1) c21 = madd(x1, w, c21); if (vectors > 2) c22 = madd(x2, w, c22);
      w = v128.load32_splat(tap, 16);
      c30 = madd(x0, w, c30); if (vectors > 1) c31 = madd(x1, w, c31); if (vectors > 2) c32 = madd(x2, w, c32);
    }
    const rows = outputs - (n << 2);
    storeBlockRow(vectors, step, out, residual, mask, c00, c01, c02);
    if (rows > 1) storeBlockRow(vectors, step, out + outPlane, residual != 0 ? residual + residualPlane : 0, mask, c10, c11, c12);
    if (rows > 2) storeBlockRow(vectors, step, out + 2 * outPlane, residual != 0 ? residual + 2 * residualPlane : 0, mask, c20, c21, c22);
    if (rows > 3) storeBlockRow(vectors, step, out + 3 * outPlane, residual != 0 ? residual + 3 * residualPlane : 0, mask, c30, c31, c32);
    out += outPlane << 2;
    if (residual != 0) residual += residualPlane << 2;
  }
}

// @ts-ignore: decorator
@inline
function storeBlockRow(vectors: u32, step: usize, out: usize, residual: usize, mask: usize, c0: v128, c1: v128, c2: v128): void {
  if (residual != 0) {
    c0 = f32x4.add(c0, v128.load(residual));
    if (vectors > 1) c1 = f32x4.add(c1, v128.load(residual, 16));
    if (vectors > 2) c2 = f32x4.add(c2, v128.load(residual, 32));
  }
  const wanted = word(step, 17), low = real(step, 18), high = real(step, 19), code = wanted > CLIP ? 0 : wanted;
  c0 = activated(c0, code, low, high);
  if (vectors > 1) c1 = activated(c1, code, low, high);
  if (vectors > 2) c2 = activated(c2, code, low, high);
  if (mask != 0) {
    c0 = v128.and(c0, v128.load(mask));
    if (vectors > 1) c1 = v128.and(c1, v128.load(mask, 16));
    if (vectors > 2) c2 = v128.and(c2, v128.load(mask, 32));
  }
  v128.store(out, c0);
  if (vectors > 1) v128.store(out, c1, 16);
  if (vectors > 2) v128.store(out, c2, 32);
  if (wanted > CLIP) curveStored(out, vectors, mask, wanted, low, high);
}
