// The transforms of single tiles in winograd.ts: B' x B of images, A d A' of deltas, A' m A of products, tiles that hang over the border.
import { lanes, madd, nmadd, positive } from "./simd";
import { TILE_VECTORS } from "./tile";

export const POINTS: u32 = 36;
export const S: f64 = 1.4142135623730951;

/** Bytes from one point of a block of transformed tiles to the next; the odd line keeps points off the same cache sets. */
// @ts-ignore: decorator
@inline
export function pointStride<T>(tiles: u32, channels: u32): usize {
  return (<usize>tiles * channels * sizeof<T>() + 63) / 64 * 64 + 64;
}

/** Workspace of a thread: the vectors of one tile, the padded tile, and two blocks of transformed tiles. */
// @ts-ignore: decorator
@inline
export function blocksAt<T>(workspace: usize, channels: u32): usize {
  return workspace + 1024 + (<usize>POINTS * channels * sizeof<T>() + 63) / 64 * 64;
}

/**
 * B' x B of one tile, all channels. `row` and `pixel` are the bytes from one row or pixel of the source to the next. Channel c of a point
 * goes to to + point * stride + c, or, `isPanelled`, to panels of two vectors of channels that are `panel` bytes apart (pack.ts).
 */
// @ts-ignore: decorator
@inline
export function transformTile<T>(
  from: usize, row: usize, pixel: usize, channels: u32, tmp: usize,
  to: usize, stride: usize, isPanelled: bool, tile: u32, panel: usize,
): void {
  const V = lanes<T>();
  const minusTwo = v128.splat<T>(<T>-2), minusHalf = v128.splat<T>(<T>-0.5), minusMore = v128.splat<T>(<T>-2.5);
  const s = v128.splat<T>(<T>S), h = v128.splat<T>(<T>(S / 2));
  const row2 = row + row, row3 = row2 + row, row4 = row2 + row2, row5 = row3 + row2;
  for (let c: u32 = 0; c < channels; c += V) {
    let source = from + c * sizeof<T>();
    for (let x: usize = 0; x < 96; x += 16) {
      const d0 = v128.load(source), d1 = v128.load(source + row), d2 = v128.load(source + row2);
      const d3 = v128.load(source + row3), d4 = v128.load(source + row4), d5 = v128.load(source + row5);
      const even1 = madd<T>(minusTwo, d2, d4), odd1 = nmadd<T>(s, d1, v128.mul<T>(h, d3));
      const even2 = madd<T>(minusHalf, d2, d4), odd2 = nmadd<T>(h, d1, v128.mul<T>(s, d3));
      v128.store(tmp + x, madd<T>(minusMore, d2, v128.add<T>(d0, d4)));
      v128.store(tmp + x, v128.add<T>(even1, odd1), 96);
      v128.store(tmp + x, v128.sub<T>(even1, odd1), 192);
      v128.store(tmp + x, v128.add<T>(even2, odd2), 288);
      v128.store(tmp + x, v128.sub<T>(even2, odd2), 384);
      v128.store(tmp + x, madd<T>(minusMore, d3, v128.add<T>(d1, d5)), 480);
      source += pixel;
    }
    let place = to + (isPanelled ? panelOffset<T>(c, channels, tile, panel) : c * sizeof<T>());
    for (let y: usize = 0; y < 576; y += 96) {
      const d0 = v128.load(tmp + y), d1 = v128.load(tmp + y, 16), d2 = v128.load(tmp + y, 32);
      const d3 = v128.load(tmp + y, 48), d4 = v128.load(tmp + y, 64), d5 = v128.load(tmp + y, 80);
      const even1 = madd<T>(minusTwo, d2, d4), odd1 = nmadd<T>(s, d1, v128.mul<T>(h, d3));
      const even2 = madd<T>(minusHalf, d2, d4), odd2 = nmadd<T>(h, d1, v128.mul<T>(s, d3));
      v128.store(place, madd<T>(minusMore, d2, v128.add<T>(d0, d4))); place += stride;
      v128.store(place, v128.add<T>(even1, odd1)); place += stride;
      v128.store(place, v128.sub<T>(even1, odd1)); place += stride;
      v128.store(place, v128.add<T>(even2, odd2)); place += stride;
      v128.store(place, v128.sub<T>(even2, odd2)); place += stride;
      v128.store(place, madd<T>(minusMore, d3, v128.add<T>(d1, d5))); place += stride;
    }
  }
}

/** Where channel c of a tile lies among panels of two vectors of channels (one, if no more are left for the last). */
// @ts-ignore: decorator
@inline
function panelOffset<T>(c: u32, channels: u32, tile: u32, panel: usize): usize {
  const V = lanes<T>(), NR = TILE_VECTORS * V;
  const width = channels - c / NR * NR > V ? NR : V;
  return c / NR * panel + (<usize>tile * width + c % NR) * sizeof<T>();
}

/** A d A' of one tile of 4 x 4, all channels. */
// @ts-ignore: decorator
@inline
export function expandTile<T>(from: usize, row: usize, pixel: usize, channels: u32, tmp: usize, to: usize, stride: usize): void {
  const V = lanes<T>();
  // Powers of the points: s, s^2 = 2, s^3 = 2 s and 1/s = s/2, 1/2, s/4.
  const two = v128.splat<T>(<T>2), half = v128.splat<T>(<T>0.5);
  const s = v128.splat<T>(<T>S), h = v128.splat<T>(<T>(S / 2));
  for (let c: u32 = 0; c < channels; c += V) {
    let source = from + c * sizeof<T>();
    for (let x: usize = 0; x < 64; x += 16) {
      const d0 = v128.load(source), d1 = v128.load(source + row), d2 = v128.load(source + 2 * row), d3 = v128.load(source + 3 * row);
      const even1 = madd<T>(half, d2, d0), odd1 = v128.mul<T>(h, madd<T>(half, d3, d1));
      const even2 = madd<T>(two, d2, d0), odd2 = v128.mul<T>(s, madd<T>(two, d3, d1));
      v128.store(tmp + x, d0);
      v128.store(tmp + x, v128.add<T>(even1, odd1), 64);
      v128.store(tmp + x, v128.sub<T>(even1, odd1), 128);
      v128.store(tmp + x, v128.add<T>(even2, odd2), 192);
      v128.store(tmp + x, v128.sub<T>(even2, odd2), 256);
      v128.store(tmp + x, d3, 320);
      source += pixel;
    }
    let place = to + c * sizeof<T>();
    for (let y: usize = 0; y < 384; y += 64) {
      const d0 = v128.load(tmp + y), d1 = v128.load(tmp + y, 16), d2 = v128.load(tmp + y, 32), d3 = v128.load(tmp + y, 48);
      const even1 = madd<T>(half, d2, d0), odd1 = v128.mul<T>(h, madd<T>(half, d3, d1));
      const even2 = madd<T>(two, d2, d0), odd2 = v128.mul<T>(s, madd<T>(two, d3, d1));
      v128.store(place, d0); place += stride;
      v128.store(place, v128.add<T>(even1, odd1)); place += stride;
      v128.store(place, v128.sub<T>(even1, odd1)); place += stride;
      v128.store(place, v128.add<T>(even2, odd2)); place += stride;
      v128.store(place, v128.sub<T>(even2, odd2)); place += stride;
      v128.store(place, d3); place += stride;
    }
  }
}

/** Adds A' m A of one tile, times `scale` where that is an address, to the bias and stores the part inside the image, rows x cols; `mode`: 1 = onto what is there, 2 = its positive part. */
// @ts-ignore: decorator
@inline
export function contractTile<T>(
  from: usize, stride: usize, channels: u32, tmp: usize, scale: usize, bias: usize,
  to: usize, row: usize, pixel: usize, rows: u32, cols: u32, mode: u32,
): void {
  const V = lanes<T>();
  const stride6 = 6 * stride, stride12 = 12 * stride, stride18 = 18 * stride, stride24 = 24 * stride, stride30 = 30 * stride;
  const two = v128.splat<T>(<T>2), half = v128.splat<T>(<T>0.5), zero = v128.splat<T>(<T>0);
  const s = v128.splat<T>(<T>S), h = v128.splat<T>(<T>(S / 2)), s3 = v128.splat<T>(<T>(2 * S)), h3 = v128.splat<T>(<T>(S / 4));
  for (let c: u32 = 0; c < channels; c += V) {
    let place = from + c * sizeof<T>();
    for (let x: usize = 0; x < 96; x += 16) {
      const m0 = v128.load(place), m1 = v128.load(place + stride6), m2 = v128.load(place + stride12);
      const m3 = v128.load(place + stride18), m4 = v128.load(place + stride24), m5 = v128.load(place + stride30);
      const even1 = v128.add<T>(m1, m2), odd1 = v128.sub<T>(m1, m2), even2 = v128.add<T>(m3, m4), odd2 = v128.sub<T>(m3, m4);
      v128.store(tmp + x, v128.add<T>(m0, v128.add<T>(even1, even2)));
      v128.store(tmp + x, madd<T>(h, odd1, v128.mul<T>(s, odd2)), 96);
      v128.store(tmp + x, madd<T>(half, even1, v128.mul<T>(two, even2)), 192);
      v128.store(tmp + x, madd<T>(h3, odd1, madd<T>(s3, odd2, m5)), 288);
      place += stride;
    }
    const shift = bias != 0 ? v128.load(bias + c * sizeof<T>()) : zero;
    if (scale != 0) scaleTile<T>(tmp, rows, v128.load(scale + c * sizeof<T>()));
    let target = to + c * sizeof<T>();
    for (let y: u32 = 0; y < rows; y++) {
      const line = tmp + <usize>y * 96;
      const m0 = v128.load(line), m1 = v128.load(line, 16), m2 = v128.load(line, 32);
      const m3 = v128.load(line, 48), m4 = v128.load(line, 64), m5 = v128.load(line, 80);
      const even1 = v128.add<T>(m1, m2), odd1 = v128.sub<T>(m1, m2), even2 = v128.add<T>(m3, m4), odd2 = v128.sub<T>(m3, m4);
      put<T>(target, v128.add<T>(shift, v128.add<T>(m0, v128.add<T>(even1, even2))), mode, zero);
      if (cols > 1) put<T>(target + pixel, v128.add<T>(shift, madd<T>(h, odd1, v128.mul<T>(s, odd2))), mode, zero);
      if (cols > 2) put<T>(target + 2 * pixel, v128.add<T>(shift, madd<T>(half, even1, v128.mul<T>(two, even2))), mode, zero);
      if (cols > 3) put<T>(target + 3 * pixel, v128.add<T>(shift, madd<T>(h3, odd1, madd<T>(s3, odd2, m5))), mode, zero);
      target += row;
    }
  }
}

/** The first factor of A' m A times a scale, which goes through the second. */
// @ts-ignore: decorator
@inline
function scaleTile<T>(tmp: usize, rows: u32, scale: v128): void {
  const end = tmp + <usize>rows * 96;
  for (let at = tmp; at < end; at += 16) v128.store(at, v128.mul<T>(v128.load(at), scale));
}

// @ts-ignore: decorator
@inline
function put<T>(to: usize, value: v128, mode: u32, zero: v128): void {
  if (mode & 1) value = v128.add<T>(v128.load(to), value);
  if (mode & 2) value = positive<T>(value);
  v128.store(to, value);
}

/**
 * Copies the part of a tile of `size` x `size` that lies inside the image, zeros around it. A pixel takes `pixel` bytes in the image and
 * `wide` in the copy, zeros behind its own.
 */
// @ts-ignore: decorator
@inline
export function padTile<T>(image: usize, y: i32, x: i32, height: i32, width: i32, pixel: usize, wide: usize, size: i32, to: usize): void {
  const line = <usize>size * wide;
  const first = min(max(0, -x), size), last = max(min(size, width - x), 0);
  const from = <usize>first * wide, upto = <usize>last * wide;
  let source = image + <usize>(y * width + x + first) * pixel;
  for (let r = y; r < y + size; r++) {
    if (r < 0 || r >= height || first >= last) clearLine(to, 0, line);
    else {
      clearLine(to, 0, from);
      if (pixel == wide) {
        for (let i = from, j = source; i < upto; i += 16, j += 16) v128.store(to + i, v128.load(j));
      } else {
        for (let i = from, j = source; i < upto; i += wide, j += pixel) {
          for (let c: usize = 0; c < wide; c += sizeof<T>()) store<T>(to + i + c, c < pixel ? load<T>(j + c) : <T>0);
        }
      }
      clearLine(to, upto, line);
    }
    to += line;
    source += <usize>width * pixel;
  }
}

// Bulk fills are calls out of the module, too slow for a pixel.
// @ts-ignore: decorator
@inline
function clearLine(to: usize, from: usize, upto: usize): void {
  const zero = i32x4.splat(0);
  for (let i = from; i < upto; i += 16) v128.store(to + i, zero);
}
