// Products over planes as in sparse-planes.ts, by four outputs that share their taps and up to 12 positions: dense products, and masks in
// blocks of four outputs.
import { CLIP, curveStored, RELU } from "./activation";
import { guarded, settled } from "./guarded-sum";
import { madd } from "./simd";
import { real, word } from "./step";

/**
 * As `sparseUnits`, with tiles of 12 positions and ranges of whole blocks: word 7 holds an address a block, 15 ranges of blocks. A tap is
 * an offset and the weights of four outputs, those beyond the last output zero.
 */
export function blockUnits(step: usize, begin: u32, end: u32): void {
  const tiles = word(step, 14), ranges = word(step, 15), vectors = word(step, 13), blocks = (word(step, 16) + 3) >> 2;
  for (let unit = begin; unit < end; unit++) {
    const range = unit % ranges, tile = unit / ranges % tiles, image = unit / ranges / tiles;
    const first = tile * vectors / tiles, count = (tile + 1) * vectors / tiles - first;
    blockVectors(count, step, image, first, range * blocks / ranges, (range + 1) * blocks / ranges);
  }
}

/** All positions of an image by blocks `from` to `to` - 1 of four outputs. */
export function blockOutputs(step: usize, image: u32, from: u32, to: u32): void {
  const tiles = word(step, 14), vectors = word(step, 13);
  for (let tile: u32 = 0; tile < tiles; tile++) {
    const first = tile * vectors / tiles;
    blockVectors((tile + 1) * vectors / tiles - first, step, image, first, from, to);
  }
}

function blockVectors(count: u32, step: usize, image: u32, first: u32, from: u32, to: u32): void {
  if (count == 3) block3(step, image, first, from, to);
  else if (count == 2) block2(step, image, first, from, to);
  else block1(step, image, first, from, to);
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
    let c00 = guarded(bias), c01 = c00, c02 = c00;
    let c10 = guarded(bias + 4), c11 = c10, c12 = c10;
    let c20 = guarded(bias + 8), c21 = c20, c22 = c20;
    let c30 = guarded(bias + 12), c31 = c30, c32 = c30;
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
  const wanted = word(step, 17), low = real(step, 18), high = real(step, 19);
  if (wanted == RELU) {
    c0 = settled(c0, RELU, low, high);
    if (vectors > 1) c1 = settled(c1, RELU, low, high);
    if (vectors > 2) c2 = settled(c2, RELU, low, high);
  } else {
    const code = wanted == CLIP ? CLIP : 0;
    c0 = settled(c0, code, low, high);
    if (vectors > 1) c1 = settled(c1, code, low, high);
    if (vectors > 2) c2 = settled(c2, code, low, high);
  }
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
