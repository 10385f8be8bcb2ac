// Convolutions with 3 x 3 taps, stride 1, by the minimal filtering of Winograd, F(4 x 4, 3 x 3), after Lavin and Gray, "Fast Algorithms
// for Convolutional Neural Networks" (2016): a tile of 4 x 4 outputs takes 36 products a pair of channels instead of 144.
//
//   y = A' [ (G w G') .* (B' x B) ] A,      dw = G' [ sum over tiles (B' x B) .* (A d A') ] G
//
// with 6 x 6 tiles x of the image that overlap by two. The points are 0, +-s, +-1/s and infinity, s = sqrt 2: their powers stay near 1,
// which keeps about one digit more than 0, +-1, +-2 do (Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd
// Convolution", 2020). The sums over channels, and over tiles for dw, are 36 matrix products on the tiles of tile.ts.
// Images are NHWC; outputs are whole vectors, and so are `channels`, of which images have the first `own` (the rest counts as zeros); "points" are the 36 entries of a transformed tile.
import { lanes, madd } from "./simd";
import { paddedColumns } from "./pack";
import { panelProduct, TILE_VECTORS } from "./tile";
import { crossProduct } from "./cross";
import { POINTS, S, pointStride, blocksAt, transformTile, expandTile, contractTile, padTile } from "./winograd-tiles";

/**
 * G w G' of every pair of channels, packed for the products: 36 matrices, each k x n in panels (pack.ts, one block). `isBack`: k = outputs
 * and n = channels, taps turned round, which carries deltas back; else k = channels, n = outputs. A unit is one panel of columns, all points.
 */
export function transformWeights<T>(begin: u32, end: u32, tmp: usize, w: usize, outputs: u32, channels: u32, isBack: bool, packed: usize): void {
  const V = lanes<T>(), NR = TILE_VECTORS * V;
  const k = isBack ? outputs : channels, n = isBack ? channels : outputs;
  const point = <usize>k * paddedColumns<T>(n) * sizeof<T>();
  // From one output to the next, and from one channel to the next.
  const outputStride = <usize>channels * 9 * sizeof<T>(), channelStride: usize = 9 * sizeof<T>();
  const lane = isBack ? channelStride : outputStride, step = isBack ? outputStride : channelStride;
  for (let unit = begin; unit < end; unit++) {
    const j = unit * NR;
    const width = n - j > V ? NR : V;
    for (let p: u32 = 0; p < k; p++) {
      const to = packed + (<usize>j * k + <usize>p * width) * sizeof<T>();
      for (let q: u32 = 0; q < width; q += V) {
        transformTaps<T>(w + <usize>p * step + <usize>(j + q) * lane, lane, isBack, tmp, to + q * sizeof<T>(), point);
      }
    }
  }
}

// A vector of neighbouring pairs at a time. Rows of G: 1, +-h and s points, infinity, over the derivative of the nodal polynomial.
// @ts-ignore: decorator
@inline
function transformTaps<T>(w: usize, lane: usize, isBack: bool, tmp: usize, to: usize, point: usize): void {
  const a1 = v128.splat<T>(<T>(-2.0 / 3.0)), c1 = v128.splat<T>(<T>(-1.0 / 3.0)), b1 = v128.splat<T>(<T>(-S / 3.0));
  const a2 = v128.splat<T>(<T>(1.0 / 6.0)), c2 = v128.splat<T>(<T>(1.0 / 3.0)), b2 = v128.splat<T>(<T>(S / 6.0));
  for (let y: usize = 0; y < 3; y++) {
    const row = w + (isBack ? 2 - y : y) * 3 * sizeof<T>();
    const first = gatherLanes<T>(row, lane), b = gatherLanes<T>(row + sizeof<T>(), lane), last = gatherLanes<T>(row + 2 * sizeof<T>(), lane);
    const a = isBack ? last : first, c = isBack ? first : last;
    const even1 = madd<T>(a1, a, v128.mul<T>(c1, c)), odd1 = v128.mul<T>(b1, b);
    const even2 = madd<T>(a2, a, v128.mul<T>(c2, c)), odd2 = v128.mul<T>(b2, b);
    const line = tmp + y * 96;
    v128.store(line, a);
    v128.store(line, v128.add<T>(even1, odd1), 16);
    v128.store(line, v128.sub<T>(even1, odd1), 32);
    v128.store(line, v128.add<T>(even2, odd2), 48);
    v128.store(line, v128.sub<T>(even2, odd2), 64);
    v128.store(line, c, 80);
  }
  for (let x: usize = 0; x < 96; x += 16) {
    const a = v128.load(tmp + x), b = v128.load(tmp + x, 96), c = v128.load(tmp + x, 192);
    const even1 = madd<T>(a1, a, v128.mul<T>(c1, c)), odd1 = v128.mul<T>(b1, b);
    const even2 = madd<T>(a2, a, v128.mul<T>(c2, c)), odd2 = v128.mul<T>(b2, b);
    v128.store(to, a);
    v128.store(to + 6 * point, v128.add<T>(even1, odd1));
    v128.store(to + 12 * point, v128.sub<T>(even1, odd1));
    v128.store(to + 18 * point, v128.add<T>(even2, odd2));
    v128.store(to + 24 * point, v128.sub<T>(even2, odd2));
    v128.store(to + 30 * point, c);
    to += point;
  }
}

/** Entries `stride` bytes apart. */
// @ts-ignore: decorator
@inline
function gatherLanes<T>(from: usize, stride: usize): v128 {
  let v = v128.splat<T>(load<T>(from));
  v = v128.replace_lane<T>(v, 1, load<T>(from + stride));
  if (sizeof<T>() == 4) {
    v = v128.replace_lane<T>(v, 2, load<T>(from + 2 * stride));
    v = v128.replace_lane<T>(v, 3, load<T>(from + 3 * stride));
  }
  return v;
}

/**
 * A unit is a block of `blockTiles` tiles of all images' `tilesDown` x `tilesAcross`: out [n, outHeight, outWidth, outputs].
 * A thread's workspace is `first` + its number * `bytes`; threads are told apart by their scratch.
 */
export function winogradTiles<T>(
  begin: u32, end: u32, workspace: usize, images: usize, packed: usize, scale: usize, bias: usize, out: usize,
  height: i32, width: i32, own: u32, channels: u32, outputs: u32, padding: i32, outHeight: i32, outWidth: i32,
  tiles: u32, blockTiles: u32, mode: u32,
): void {
  const NR = TILE_VECTORS * lanes<T>();
  const ownPixel = <usize>own * sizeof<T>(), pixel = <usize>channels * sizeof<T>(), outPixel = <usize>outputs * sizeof<T>();
  const tilesAcross = (outWidth + 3) / 4, tilesOfImage = tilesAcross * ((outHeight + 3) / 4);
  const tmp = workspace, padded = workspace + 1024, left = blocksAt<T>(workspace, channels);
  const leftStride = pointStride<T>(blockTiles, channels), rightStride = pointStride<T>(blockTiles, outputs);
  const right = left + POINTS * leftStride;
  const point = <usize>channels * paddedColumns<T>(outputs) * sizeof<T>();
  for (let unit = begin; unit < end; unit++) {
    const from = unit * blockTiles, count = min(blockTiles, tiles - from);
    for (let t: u32 = 0; t < count; t++) {
      const n = <i32>(from + t) / tilesOfImage, tile = <i32>(from + t) % tilesOfImage;
      const y = tile / tilesAcross * 4 - padding, x = tile % tilesAcross * 4 - padding;
      const image = images + <usize>(n * height) * width * ownPixel;
      const to = left + <usize>t * pixel;
      if (own == channels && y >= 0 && x >= 0 && y + 6 <= height && x + 6 <= width) {
        transformTile<T>(image + <usize>(y * width + x) * pixel, width * pixel, pixel, channels, tmp, to, leftStride, false, 0, 0);
      } else {
        padTile<T>(image, y, x, height, width, ownPixel, pixel, 6, padded);
        transformTile<T>(padded, 6 * pixel, pixel, channels, tmp, to, leftStride, false, 0, 0);
      }
    }
    for (let p: u32 = 0; p < POINTS; p++) {
      for (let j: u32 = 0; j < outputs; j += NR) {
        panelProduct<T>(
          count, channels, left + p * leftStride, pixel, packed + p * point + <usize>j * channels * sizeof<T>(),
          right + p * rightStride + j * sizeof<T>(), outPixel, <T>1, <T>0, min(NR, outputs - j), tmp,
        );
      }
    }
    for (let t: u32 = 0; t < count; t++) {
      const n = <i32>(from + t) / tilesOfImage, tile = <i32>(from + t) % tilesOfImage;
      const y = tile / tilesAcross * 4, x = tile % tilesAcross * 4;
      contractTile<T>(
        right + <usize>t * outPixel, rightStride, outputs, tmp, scale, bias,
        out + <usize>((n * outHeight + y) * outWidth + x) * outPixel, outWidth * outPixel, outPixel,
        min(4, outHeight - y), min(4, outWidth - x), mode,
      );
    }
  }
}

/**
 * Gradients of the weights: a unit is `chunkImages` images of one segment of `group` (the last chunk and segment may have fewer), `chunks` of
 * them a segment; it writes partials[unit] [outputs, channels, 3, 3].
 */
export function winogradGradients<T>(
  begin: u32, end: u32, workspace: usize, images: usize, deltas: usize, partials: usize,
  height: i32, width: i32, own: u32, channels: u32, outputs: u32, padding: i32, outHeight: i32, outWidth: i32,
  batch: u32, group: u32, chunks: u32, chunkImages: u32, blockTiles: u32,
): void {
  const V = lanes<T>(), NR = TILE_VECTORS * V;
  const ownPixel = <usize>own * sizeof<T>(), pixel = <usize>channels * sizeof<T>(), outPixel = <usize>outputs * sizeof<T>();
  const tilesAcross = (outWidth + 3) / 4, tilesOfImage = tilesAcross * ((outHeight + 3) / 4);
  const tmp = workspace, padded = workspace + 1024;
  const right = blocksAt<T>(workspace, max(channels, outputs));
  const columns = paddedColumns<T>(channels);
  const rightStride = pointStride<T>(blockTiles, columns), leftStride = pointStride<T>(blockTiles, outputs);
  const left = right + POINTS * rightStride;
  const sums = left + POINTS * leftStride;
  const sumStride = pointStride<T>(outputs, channels);
  const panel = <usize>NR * blockTiles * sizeof<T>();
  for (let unit = begin; unit < end; unit++) {
    const segment = unit / chunks;
    const firstImage = segment * group + unit % chunks * chunkImages;
    const lastImage = min(min(firstImage + chunkImages, (segment + 1) * group), batch);
    const total = firstImage < lastImage ? (lastImage - firstImage) * tilesOfImage : 0;
    for (let from: u32 = 0; from < max(total, 1); from += blockTiles) {
      const count = min(blockTiles, total - from);
      for (let t: u32 = 0; t < count; t++) {
        const n = firstImage + (from + t) / tilesOfImage, tile = <i32>((from + t) % tilesOfImage);
        const y = tile / tilesAcross * 4, x = tile % tilesAcross * 4;
        const image = images + <usize>(n * height) * width * ownPixel;
        const inY = y - padding, inX = x - padding;
        if (own == channels && inY >= 0 && inX >= 0 && inY + 6 <= height && inX + 6 <= width) {
          transformTile<T>(image + <usize>(inY * width + inX) * pixel, width * pixel, pixel, channels, tmp, right, rightStride, true, t, panel);
        } else {
          padTile<T>(image, inY, inX, height, width, ownPixel, pixel, 6, padded);
          transformTile<T>(padded, 6 * pixel, pixel, channels, tmp, right, rightStride, true, t, panel);
        }
        const delta = deltas + <usize>(n * outHeight) * outWidth * outPixel;
        const to = left + <usize>t * outPixel;
        if (y + 4 <= outHeight && x + 4 <= outWidth) {
          expandTile<T>(delta + <usize>(y * outWidth + x) * outPixel, outWidth * outPixel, outPixel, outputs, tmp, to, leftStride);
        } else {
          padTile<T>(delta, y, x, outHeight, outWidth, outPixel, outPixel, 4, padded);
          expandTile<T>(padded, 4 * outPixel, outPixel, outputs, tmp, to, leftStride);
        }
      }
      for (let p: u32 = 0; p < POINTS; p++) {
        for (let j: u32 = 0; j < channels; j += NR) {
          crossProduct<T>(
            outputs, count, left + p * leftStride, outPixel, right + p * rightStride + j / NR * panel,
            sums + p * sumStride + j * sizeof<T>(), pixel, from > 0, min(NR, channels - j),
          );
        }
      }
    }
    contractTaps<T>(sums, sumStride, outputs * channels, tmp, partials + <usize>unit * outputs * channels * 9 * sizeof<T>());
  }
}

/** G' m G of every pair, four (two f64) pairs at a time: to [pairs, 3, 3]. */
// @ts-ignore: decorator
@inline
function contractTaps<T>(from: usize, stride: usize, pairs: u32, tmp: usize, to: usize): void {
  const V = lanes<T>();
  const stride6 = 6 * stride, stride12 = 12 * stride, stride18 = 18 * stride, stride24 = 24 * stride, stride30 = 30 * stride;
  const a1 = v128.splat<T>(<T>(-2.0 / 3.0)), c1 = v128.splat<T>(<T>(-1.0 / 3.0)), b1 = v128.splat<T>(<T>(-S / 3.0));
  const a2 = v128.splat<T>(<T>(1.0 / 6.0)), c2 = v128.splat<T>(<T>(1.0 / 3.0)), b2 = v128.splat<T>(<T>(S / 6.0));
  for (let i: u32 = 0; i < pairs; i += V) {
    let place = from + i * sizeof<T>();
    for (let x: usize = 0; x < 96; x += 16) {
      const m0 = v128.load(place), m1 = v128.load(place + stride6), m2 = v128.load(place + stride12);
      const m3 = v128.load(place + stride18), m4 = v128.load(place + stride24), m5 = v128.load(place + stride30);
      const even1 = v128.add<T>(m1, m2), odd1 = v128.sub<T>(m1, m2), even2 = v128.add<T>(m3, m4), odd2 = v128.sub<T>(m3, m4);
      v128.store(tmp + x, madd<T>(a1, even1, madd<T>(a2, even2, m0)));
      v128.store(tmp + x, madd<T>(b1, odd1, v128.mul<T>(b2, odd2)), 96);
      v128.store(tmp + x, madd<T>(c1, even1, madd<T>(c2, even2, m5)), 192);
      place += stride;
    }
    let target = to + <usize>i * 9 * sizeof<T>();
    for (let y: usize = 0; y < 288; y += 96) {
      const m0 = v128.load(tmp + y), m1 = v128.load(tmp + y, 16), m2 = v128.load(tmp + y, 32);
      const m3 = v128.load(tmp + y, 48), m4 = v128.load(tmp + y, 64), m5 = v128.load(tmp + y, 80);
      const even1 = v128.add<T>(m1, m2), odd1 = v128.sub<T>(m1, m2), even2 = v128.add<T>(m3, m4), odd2 = v128.sub<T>(m3, m4);
      scatterLanes<T>(target, madd<T>(a1, even1, madd<T>(a2, even2, m0)));
      scatterLanes<T>(target + sizeof<T>(), madd<T>(b1, odd1, v128.mul<T>(b2, odd2)));
      scatterLanes<T>(target + 2 * sizeof<T>(), madd<T>(c1, even1, madd<T>(c2, even2, m5)));
      target += 3 * sizeof<T>();
    }
  }
}

/** Stores the lanes nine entries apart. */
// @ts-ignore: decorator
@inline
function scatterLanes<T>(to: usize, v: v128): void {
  store<T>(to, v128.extract_lane<T>(v, 0));
  store<T>(to + 9 * sizeof<T>(), v128.extract_lane<T>(v, 1));
  if (sizeof<T>() == 4) {
    store<T>(to + 18 * sizeof<T>(), v128.extract_lane<T>(v, 2));
    store<T>(to + 27 * sizeof<T>(), v128.extract_lane<T>(v, 3));
  }
}

/** out[s, i] = the partials of segment s added up in order; a unit is 1024 entries of one segment. */
export function addSegments<T>(begin: u32, end: u32, partials: usize, chunks: u32, size: u32, out: usize): void {
  const V = lanes<T>();
  const units = (size + 1023) / 1024;
  for (let unit = begin; unit < end; unit++) {
    const segment = unit / units, from = unit % units * 1024, upto = min(from + 1024, size);
    const source = partials + <usize>segment * chunks * size * sizeof<T>(), to = out + <usize>segment * size * sizeof<T>();
    for (let i = from; i < upto; i++) {
      let sum: T = load<T>(source + <usize>i * sizeof<T>());
      for (let q: u32 = 1; q < chunks; q++) sum += load<T>(source + (<usize>q * size + i) * sizeof<T>());
      store<T>(to + <usize>i * sizeof<T>(), sum);
    }
  }
}
