// Convolutions as products of windows and packed weights, some rows of windows at a time, which are written, multiplied and finished while they
// lie in the caches:
//
//   out = f(scale (windows B) + bias + out)
//
// Windows have their channels innermost, (tap, c); B [taps c, outputs] is packed in blocks of `kc` steps (pack.ts). Sums run over blocks
// of kc as those of gemm.ts, so that bytes are those of a product with windows that were written out.
import { lanes, positive } from "./simd";
import { paddedColumns } from "./pack";
import { panelProduct, TILE_VECTORS } from "./tile";
import { copyWindow } from "./windows";

/**
 * A unit is `rowsPerUnit` of the `rows` output positions. `space` is a thread's own: a tile's spill (256 bytes), then room for the windows of a
 * unit, where the image is not its own windows (`isImage`), then, where sums are scaled and added to what out holds, for the sums.
 * `mode`: 1 = onto what is there, 2 = the positive part; `scale` and `bias` are addresses or 0.
 */
export function windowProducts<T>(
  begin: u32, end: u32, space: usize, images: usize, packed: usize, scale: usize, bias: usize, out: usize,
  height: i32, width: i32, channels: u32, outputs: u32, kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32,
  outHeight: i32, outWidth: i32, rows: u32, rowsPerUnit: u32, kc: u32, isImage: bool, mode: u32,
): void {
  const NR = TILE_VECTORS * lanes<T>();
  const k = <u32>(kernelHeight * kernelWidth) * channels;
  const pixel = <usize>channels * sizeof<T>(), outPixel = <usize>outputs * sizeof<T>(), window = <usize>k * sizeof<T>();
  const columns = paddedColumns<T>(outputs);
  const ownWindows = space + 256;
  const isApart = scale != 0 && (mode & 1) != 0;
  const ownSums = ownWindows + (isImage ? 0 : (rowsPerUnit * window + 15) & ~15);
  const positions = <u32>(outHeight * outWidth);
  for (let unit = begin; unit < end; unit++) {
    const from = unit * rowsPerUnit, count = min(rowsPerUnit, rows - from);
    const target = out + <usize>from * outPixel;
    const sums = isApart ? ownSums : target;
    let left = images + <usize>from * pixel;
    if (!isImage) {
      left = ownWindows;
      let n = from / positions, oy = <i32>(from % positions) / outWidth, ox = <i32>(from % positions) % outWidth;
      for (let r: u32 = 0; r < count; r++) {
        const image = images + <usize>n * height * width * pixel;
        const to = ownWindows + r * window;
        copyWindow<T>(image, to, oy * stride - padding, ox * stride - padding, height, width, pixel, channels, kernelHeight, kernelWidth, dilation);
        if (++ox == outWidth) {
          ox = 0;
          if (++oy == outHeight) {
            oy = 0;
            n++;
          }
        }
      }
    }
    for (let p: u32 = 0; p < k; p += kc) {
      const kb = min(kc, k - p);
      const block = packed + <usize>p * columns * sizeof<T>();
      const beta: T = p > 0 || ((mode & 1) != 0 && !isApart) ? 1 : 0;
      const isFinished = p + kb == k && (scale != 0 || bias != 0 || (mode & 2) != 0);
      for (let j: u32 = 0; j < outputs; j += NR) {
        const shift = <usize>j * sizeof<T>(), across = min(NR, outputs - j);
        panelProduct<T>(
          count, kb, left + p * sizeof<T>(), window, block + <usize>j * kb * sizeof<T>(), sums + shift, outPixel,
          <T>1, beta, across, space,
        );
        if (!isFinished) continue;
        const ownScale = scale != 0 ? scale + shift : 0, ownBias = bias != 0 ? bias + shift : 0;
        finishColumns<T>(sums + shift, target + shift, outPixel, count, across, ownScale, ownBias, isApart, (mode & 2) != 0);
      }
    }
  }
}

/** to = f(scale from + bias + to) for some columns of rows that are `stride` bytes apart, while they lie in the first-level cache. */
function finishColumns<T>(
  from: usize, to: usize, stride: usize, rows: u32, columns: u32, scale: usize, bias: usize, adds: bool, isRectified: bool,
): void {
  const bytes = <usize>columns * sizeof<T>(), whole = bytes & ~15;
  const zero = v128.splat<T>(<T>0);
  for (let i: usize = 0; i < whole; i += 16) {
    const factor = scale != 0 ? v128.load(scale + i) : zero, shift = bias != 0 ? v128.load(bias + i) : zero;
    let at = i;
    for (let r: u32 = 0; r < rows; r++) {
      let x = v128.load(from + at);
      if (scale != 0) x = v128.mul<T>(x, factor);
      if (bias != 0) x = v128.add<T>(x, shift);
      if (adds) x = v128.add<T>(x, v128.load(to + at));
      if (isRectified) x = positive<T>(x);
      v128.store(to + at, x);
      at += stride;
    }
  }
  for (let i = whole; i < bytes; i += sizeof<T>()) {
    let at = i;
    for (let r: u32 = 0; r < rows; r++) {
      let x = load<T>(from + at);
      if (scale != 0) x *= load<T>(scale + i);
      if (bias != 0) x += load<T>(bias + i);
      if (adds) x += load<T>(to + at);
      // Written so that NaN stays.
      store<T>(to + at, isRectified && x <= 0 ? <T>0 : x);
      at += stride;
    }
  }
}
