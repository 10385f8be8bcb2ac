// Second moments of the windows of images, stride and dilation 1, without writing a window. Taps t and t' of one window read pixels q and q + d, d = t' - t, so
//
//   sum over windows of w_t (w_t')' = sum over pixels q of x(q) x(q + d)',
//
// the same sum for every pair of taps a displacement d apart, but for which pixels at the border take part: those are cut into rectangles, of which
// each pair takes some. Half of the displacements are enough, the other halves are transposes. For 3 x 3 taps that are 13 products of all channels a
// pixel, where the windows' own product takes 40. The tables are made by src/convolution/window-gram.ts:
//   displacements  (bytes from q to q + d, first rectangle, end of its rectangles, 0) of each; the first is 0
//   rectangles     (top, bottom, left, right) of each, ends excluded: never empty, and q + d lies in the image
//   pairs          (t, t', first part, end of its parts) of each, t <= t'
//   parts          rectangles, in the order in which they are added up
import { crossRuns } from "./cross";
import { lanes } from "./simd";
import { TILE_VECTORS } from "./tile";

/** Pixels of a rectangle that are multiplied at a time, in bytes: they are read once for every few channels, from the first-level cache. */
const BLOCK_BYTES: u32 = 12 * 1024;

/**
 * A unit is one displacement of one chunk of images. It writes partials[chunk]: [rectangles, count, count], and for the displacement 0, where
 * `sums` is an address, sums[chunk]: the sums of pixels in f64, [its rectangles, count].
 */
export function windowCorrelations<T>(
  begin: u32, end: u32, images: usize, displacements: usize, displacementCount: u32, rectangles: usize,
  height: u32, width: u32, channels: u32, count: u32, batch: u32, chunkImages: u32, partials: usize, partialBytes: usize, sums: usize, sumsBytes: usize,
): void {
  const pixel = <usize>channels * sizeof<T>(), row = width * pixel;
  const square = <usize>count * count * sizeof<T>();
  for (let unit = begin; unit < end; unit++) {
    const chunk = unit / displacementCount, which = unit % displacementCount;
    const displacement = displacements + (<usize>which << 4);
    const shift = load<u32>(displacement), firstRectangle = load<u32>(displacement, 4), lastRectangle = load<u32>(displacement, 8);
    const partial = partials + chunk * partialBytes;
    const first = chunk * chunkImages, last = min(first + chunkImages, batch);
    for (let n = first; n < last; n++) {
      const image = images + <usize>n * height * row;
      for (let r = firstRectangle; r < lastRectangle; r++) {
        const rectangle = rectangles + (<usize>r << 4);
        const top = load<u32>(rectangle), bottom = load<u32>(rectangle, 4), left = load<u32>(rectangle, 8), right = load<u32>(rectangle, 12);
        const from = image + top * row + left * pixel;
        correlate<T>(from, from + shift, bottom - top, right - left, pixel, row, count, partial + r * square, n > first);
        if (which == 0 && sums != 0) addPixels<T>(from, bottom - top, right - left, pixel, row, count, sums + chunk * sumsBytes + (<usize>r * count << 3), n > first);
      }
    }
  }
}

/** c [count, count] = sum over the pixels of a rectangle of a(q) b(q)' (+ c) */
function correlate<T>(a: usize, b: usize, rows: u32, cols: u32, pixel: usize, row: usize, count: u32, c: usize, isSum: bool): void {
  const NR = TILE_VECTORS * lanes<T>();
  const step = max(1, BLOCK_BYTES / (cols * <u32>pixel));
  const jump = row - cols * pixel, ldc = <usize>count * sizeof<T>();
  for (let y: u32 = 0; y < rows; y += step) {
    const runs = min(step, rows - y);
    for (let j: u32 = 0; j < count; j += NR) {
      const at = <usize>j * sizeof<T>();
      crossRuns<T>(count, runs, cols, a, pixel, jump, b + at, pixel, jump, c + at, ldc, isSum || y > 0, min(NR, count - j));
    }
    a += runs * row;
    b += runs * row;
  }
}

/** sums [count], f64 = the pixels of a rectangle added up (+ sums) */
function addPixels<T>(from: usize, rows: u32, cols: u32, pixel: usize, row: usize, count: u32, sums: usize, isSum: bool): void {
  for (let c: u32 = 0; c < count; c += 2) {
    let sum = isSum ? v128.load(sums) : i32x4.splat(0);
    for (let y: u32 = 0; y < rows; y++) {
      let at = from + y * row + c * sizeof<T>();
      for (let x: u32 = 0; x < cols; x++) {
        sum = f64x2.add(sum, sizeof<T>() == 8 ? v128.load(at) : f64x2.promote_low_f32x4(v128.load64_zero(at)));
        at += pixel;
      }
    }
    v128.store(sums, sum);
    sums += 16;
  }
}

/** A unit is one row, of all channels, of the block of one pair of taps; it is written to out [taps * count, taps * count] on both sides of the diagonal, or added. */
export function windowBlocks<T>(begin: u32, end: u32, squares: usize, pairs: usize, parts: usize, count: u32, taps: u32, out: usize, isSum: bool): void {
  const stride = <usize>taps * count * sizeof<T>();
  const line = <usize>count * sizeof<T>();
  for (let unit = begin; unit < end; unit++) {
    const pair = pairs + (<usize>(unit / count) << 4), c = unit % count;
    const upper = load<u32>(pair) * count, lower = load<u32>(pair, 4) * count, firstPart = load<u32>(pair, 8), lastPart = load<u32>(pair, 12);
    const from = squares + c * line;
    const to = out + (upper + c) * stride + <usize>lower * sizeof<T>();
    let mirrored = out + lower * stride + <usize>(upper + c) * sizeof<T>();
    for (let j: usize = 0; j < line; j += 16) {
      let sum = isSum ? v128.load(to + j) : i32x4.splat(0);
      for (let part = firstPart; part < lastPart; part++) {
        sum = v128.add<T>(sum, v128.load(from + <usize>load<u32>(parts + (<usize>part << 2)) * count * line + j));
      }
      v128.store(to + j, sum);
      if (upper == lower) continue;
      for (let lane: u32 = 0; lane < lanes<T>(); lane++) {
        store<T>(mirrored, load<T>(to + j + lane * sizeof<T>()));
        mirrored += stride;
      }
    }
  }
}
