// Products of a matrix [outputs, taps] with many positions, over planes: channel after channel, each its positions row by row, with zeros
// around them, so that a tap of a convolution is a distance from the output's position and nothing has to be gathered.
//
//   out[n, m] = activation(bias[n] + residual[n, m] + sum over taps i of weight[n, i] in[m + offset[n, i]])
//
// One output and up to 40 positions are held in registers: a kept weight is one offset, one number, and a product for every vector of
// positions. Each sum runs over its taps in the order they are stored, so that its bytes do not depend on how work is cut.
//
// Where the positions of all channels are more than the nearest cache holds, the taps come in rounds, each over some channels: the sums so far
// wait in `out` from one round to the next.
import { CLIP, curveStored, RELU } from "./activation";
import { guarded, settled } from "./guarded-sum";
import { madd } from "./simd";
import { real, word } from "./step";

/**
 * A unit is up to 40 positions of one image by one range of outputs. Words: 2 in, 3 from image to image of in; 4 out, 5 from plane to
 * plane, 6 from image to image; 7 ends: for every output the address behind its taps, word -1 of it the first address; 8 bias; 9 residual
 * or 0, 10 its planes, 11 its images; 12 mask of positions or 0; 13 vectors of positions; 14 tiles of an image; 15 ranges of outputs;
 * 16 outputs; 17 activation, 18 low, 19 high. A tap is an offset in bytes (u32) and a weight (f32).
 */
export function sparseUnits(step: usize, begin: u32, end: u32): void {
  const tiles = word(step, 14), ranges = word(step, 15), vectors = word(step, 13), outputs = word(step, 16);
  for (let unit = begin; unit < end; unit++) {
    const range = unit % ranges, tile = unit / ranges % tiles, image = unit / ranges / tiles;
    const first = tile * vectors / tiles, count = (tile + 1) * vectors / tiles - first;
    sparseVectors(count, step, image, first, range * outputs / ranges, (range + 1) * outputs / ranges);
  }
}

/** All positions of an image by outputs `from` to `to` - 1. */
export function sparseOutputs(step: usize, image: u32, from: u32, to: u32): void {
  const tiles = word(step, 14), vectors = word(step, 13);
  for (let tile: u32 = 0; tile < tiles; tile++) {
    const first = tile * vectors / tiles;
    sparseVectors((tile + 1) * vectors / tiles - first, step, image, first, from, to);
  }
}

function sparseVectors(count: u32, step: usize, image: u32, first: u32, from: u32, to: u32): void {
  switch (count) {
    case 10: sparse10(step, image, first, from, to); break;
    case 9: sparse9(step, image, first, from, to); break;
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

function sparse10(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(10, step, image, first, from, to); }
function sparse9(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(9, step, image, first, from, to); }
function sparse8(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(8, step, image, first, from, to); }
function sparse7(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(7, step, image, first, from, to); }
function sparse6(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(6, step, image, first, from, to); }
function sparse5(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(5, step, image, first, from, to); }
function sparse4(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(4, step, image, first, from, to); }
function sparse3(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(3, step, image, first, from, to); }
function sparse2(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(2, step, image, first, from, to); }
function sparse1(step: usize, image: u32, first: u32, from: u32, to: u32): void { sparseTile(1, step, image, first, from, to); }

// Inlined into each variant above, where `vectors` is a constant: the tests on it vanish. Sums leave their registers by one of seven ways, so
// that none is moved between registers where ways would meet again.
// @ts-ignore: decorator
@inline
function sparseTile(vectors: u32, step: usize, image: u32, first: u32, from: u32, to: u32): void {
  const a = word(step, 2) + image * word(step, 3) + (first << 4);
  const outPlane = word(step, 5), residualPlane = word(step, 10), outputs = word(step, 16), lastRound = word(step, 20) - 1;
  const firstOut = word(step, 4) + image * word(step, 6) + from * outPlane + (first << 4);
  let mask = word(step, 12);
  if (mask != 0) mask += first << 4;
  const code = word(step, 17), low = real(step, 18), high = real(step, 19);
  const isMasked = mask != 0;
  for (let round: u32 = 0; round <= lastRound; round++) {
    let residual = word(step, 9);
    if (residual != 0) residual += image * word(step, 11) + from * residualPlane + (first << 4);
    const ends = word(step, 7) + (round * outputs << 2), lastEnd = ends + (to << 2);
    let end = ends + (from << 2), bias = word(step, 8) + (from << 2), out = firstOut;
    let tap: usize = load<u32>(end - 4);
    for (; end < lastEnd; end += 4, bias += 4, out += outPlane) {
      let c0 = guarded(bias), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0, c8 = c0, c9 = c0;
      if (round != 0) {
        c0 = v128.load(out);
        if (vectors > 1) c1 = v128.load(out, 16);
        if (vectors > 2) c2 = v128.load(out, 32);
        if (vectors > 3) c3 = v128.load(out, 48);
        if (vectors > 4) c4 = v128.load(out, 64);
        if (vectors > 5) c5 = v128.load(out, 80);
        if (vectors > 6) c6 = v128.load(out, 96);
        if (vectors > 7) c7 = v128.load(out, 112);
        if (vectors > 8) c8 = v128.load(out, 128);
        if (vectors > 9) c9 = v128.load(out, 144);
      } else if (residual != 0) {
        c0 = f32x4.add(c0, v128.load(residual));
        if (vectors > 1) c1 = f32x4.add(c1, v128.load(residual, 16));
        if (vectors > 2) c2 = f32x4.add(c2, v128.load(residual, 32));
        if (vectors > 3) c3 = f32x4.add(c3, v128.load(residual, 48));
        if (vectors > 4) c4 = f32x4.add(c4, v128.load(residual, 64));
        if (vectors > 5) c5 = f32x4.add(c5, v128.load(residual, 80));
        if (vectors > 6) c6 = f32x4.add(c6, v128.load(residual, 96));
        if (vectors > 7) c7 = f32x4.add(c7, v128.load(residual, 112));
        if (vectors > 8) c8 = f32x4.add(c8, v128.load(residual, 128));
        if (vectors > 9) c9 = f32x4.add(c9, v128.load(residual, 144));
        residual += residualPlane;
      }
      const stop: usize = load<u32>(end);
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
        if (vectors > 8) c8 = madd(v128.load(p, 128), w, c8);
        if (vectors > 9) c9 = madd(v128.load(p, 144), w, c9);
      }
      if (round != lastRound) {
        v128.store(out, c0);
        if (vectors > 1) v128.store(out, c1, 16);
        if (vectors > 2) v128.store(out, c2, 32);
        if (vectors > 3) v128.store(out, c3, 48);
        if (vectors > 4) v128.store(out, c4, 64);
        if (vectors > 5) v128.store(out, c5, 80);
        if (vectors > 6) v128.store(out, c6, 96);
        if (vectors > 7) v128.store(out, c7, 112);
        if (vectors > 8) v128.store(out, c8, 128);
        if (vectors > 9) v128.store(out, c9, 144);
      } else if (code == RELU) {
        if (isMasked) storeMasked(vectors, out, mask, RELU, low, high, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9);
        else storePlain(vectors, out, RELU, low, high, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9);
      } else if (code == CLIP) {
        if (isMasked) storeMasked(vectors, out, mask, CLIP, low, high, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9);
        else storePlain(vectors, out, CLIP, low, high, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9);
      } else {
        if (isMasked) storeMasked(vectors, out, mask, 0, low, high, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9);
        else storePlain(vectors, out, 0, low, high, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9);
        if (code != 0) curveStored(out, vectors, mask, code, low, high);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function storePlain(vectors: u32, out: usize, code: u32, low: f32, high: f32, c0: v128, c1: v128, c2: v128, c3: v128, c4: v128, c5: v128, c6: v128, c7: v128, c8: v128, c9: v128): void {
  v128.store(out, settled(c0, code, low, high));
  if (vectors > 1) v128.store(out, settled(c1, code, low, high), 16);
  if (vectors > 2) v128.store(out, settled(c2, code, low, high), 32);
  if (vectors > 3) v128.store(out, settled(c3, code, low, high), 48);
  if (vectors > 4) v128.store(out, settled(c4, code, low, high), 64);
  if (vectors > 5) v128.store(out, settled(c5, code, low, high), 80);
  if (vectors > 6) v128.store(out, settled(c6, code, low, high), 96);
  if (vectors > 7) v128.store(out, settled(c7, code, low, high), 112);
  if (vectors > 8) v128.store(out, settled(c8, code, low, high), 128);
  if (vectors > 9) v128.store(out, settled(c9, code, low, high), 144);
}

// Between the rows of an image stand zeros; sums that fall there are dropped.
// @ts-ignore: decorator
@inline
function storeMasked(vectors: u32, out: usize, mask: usize, code: u32, low: f32, high: f32, c0: v128, c1: v128, c2: v128, c3: v128, c4: v128, c5: v128, c6: v128, c7: v128, c8: v128, c9: v128): void {
  v128.store(out, v128.and(settled(c0, code, low, high), v128.load(mask)));
  if (vectors > 1) v128.store(out, v128.and(settled(c1, code, low, high), v128.load(mask, 16)), 16);
  if (vectors > 2) v128.store(out, v128.and(settled(c2, code, low, high), v128.load(mask, 32)), 32);
  if (vectors > 3) v128.store(out, v128.and(settled(c3, code, low, high), v128.load(mask, 48)), 48);
  if (vectors > 4) v128.store(out, v128.and(settled(c4, code, low, high), v128.load(mask, 64)), 64);
  if (vectors > 5) v128.store(out, v128.and(settled(c5, code, low, high), v128.load(mask, 80)), 80);
  if (vectors > 6) v128.store(out, v128.and(settled(c6, code, low, high), v128.load(mask, 96)), 96);
  if (vectors > 7) v128.store(out, v128.and(settled(c7, code, low, high), v128.load(mask, 112)), 112);
  if (vectors > 8) v128.store(out, v128.and(settled(c8, code, low, high), v128.load(mask, 128)), 128);
  if (vectors > 9) v128.store(out, v128.and(settled(c9, code, low, high), v128.load(mask, 144)), 144);
}
