// Images as rows of windows (im2col) and back (col2im). Images are NHWC, `count` of the `channels` from `first` take part.
// Sums run over output positions in order, one addition at a time, so that bytes are those of the reference.
import { lanes } from "./simd";
import { transposeInto } from "./transpose";

/** Copies n entries. */
// @ts-ignore: decorator
@inline
function copy<T>(from: usize, to: usize, n: u32): void {
  for (; n >= lanes<T>(); n -= lanes<T>()) {
    v128.store(to, v128.load(from));
    from += 16; to += 16;
  }
  for (; n > 0; n--) {
    store<T>(to, load<T>(from));
    from += sizeof<T>(); to += sizeof<T>();
  }
}

/** Zeros n entries. */
// @ts-ignore: decorator
@inline
function clear<T>(to: usize, n: u32): void {
  const zero = i32x4.splat(0);
  for (; n >= lanes<T>(); n -= lanes<T>()) {
    v128.store(to, zero);
    to += 16;
  }
  for (; n > 0; n--) {
    store<T>(to, 0);
    to += sizeof<T>();
  }
}

/** Adds n entries to others. */
// @ts-ignore: decorator
@inline
function addTo<T>(from: usize, to: usize, n: u32): void {
  for (; n >= lanes<T>(); n -= lanes<T>()) {
    v128.store(to, v128.add<T>(v128.load(to), v128.load(from)));
    from += 16; to += 16;
  }
  for (; n > 0; n--) {
    store<T>(to, load<T>(to) + load<T>(from));
    from += sizeof<T>(); to += sizeof<T>();
  }
}

/** One window of an image, channels `tap` bytes of a pixel: tap (ky, kx) meets the image at (top + ky dilation, left + kx dilation), zeros outside. */
// @ts-ignore: decorator
@inline
export function copyWindow<T>(
  image: usize, to: usize, top: i32, left: i32, height: i32, width: i32, pixel: usize, count: u32,
  kernelHeight: i32, kernelWidth: i32, dilation: i32,
): void {
  const tap = <usize>count * sizeof<T>();
  const tapRow = <usize>kernelWidth * tap;
  // Taps of one row of a window lie together in the image, too.
  const isRun = dilation == 1 && tap == pixel;
  for (let ky = 0; ky < kernelHeight; ky++) {
    const y = top + ky * dilation;
    if (y < 0 || y >= height) {
      clear<T>(to, kernelWidth * count);
      to += tapRow;
      continue;
    }
    const row = image + <usize>(y * width) * pixel;
    if (isRun) {
      const from = max(0, -left), upto = min(kernelWidth, width - left);
      if (from >= upto) {
        clear<T>(to, kernelWidth * count);
      } else {
        if (from > 0) clear<T>(to, from * count);
        copy<T>(row + <usize>(left + from) * pixel, to + <usize>from * tap, (upto - from) * count);
        if (upto < kernelWidth) clear<T>(to + <usize>upto * tap, (kernelWidth - upto) * count);
      }
      to += tapRow;
      continue;
    }
    for (let kx = 0; kx < kernelWidth; kx++) {
      const x = left + kx * dilation;
      if (x < 0 || x >= width) clear<T>(to, count);
      else copy<T>(row + <usize>x * pixel, to, count);
      to += tap;
    }
  }
}

/** The windows of an image; a unit is one row of output positions, (n, oy). */
// @ts-ignore: decorator
@inline
export function gatherWindows<T>(
  begin: u32, end: u32, images: usize, windows: usize, height: i32, width: i32, channels: u32, first: u32, count: u32,
  kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32,
): void {
  const pixel = <usize>channels * sizeof<T>();
  const window = <usize>(kernelHeight * kernelWidth) * count * sizeof<T>();
  let to = windows + <usize>begin * outWidth * window;
  for (let unit = begin; unit < end; unit++) {
    const image = images + <usize>(unit / outHeight) * height * width * pixel + <usize>first * sizeof<T>();
    const top = <i32>(unit % outHeight) * stride - padding;
    for (let ox = 0; ox < outWidth; ox++) {
      copyWindow<T>(image, to, top, ox * stride - padding, height, width, pixel, count, kernelHeight, kernelWidth, dilation);
      to += window;
    }
  }
}

/** Sums windows back into images; a unit is one row of an image, (n, y). */
// @ts-ignore: decorator
@inline
export function scatterWindows<T>(
  begin: u32, end: u32, images: usize, windows: usize, height: i32, width: i32, channels: u32, first: u32, count: u32,
  kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32,
): void {
  const pixel = <usize>channels * sizeof<T>();
  const tap = <usize>count * sizeof<T>();
  const window = <usize>(kernelHeight * kernelWidth) * tap;
  for (let unit = begin; unit < end; unit++) {
    const n = <i32>unit / height;
    const y = <i32>unit % height;
    let to = images + (<usize>unit * width * channels + first) * sizeof<T>();
    for (let x = 0; x < width; x++) {
      clear<T>(to, count);
      // Taps backwards are output positions forwards.
      for (let ky = kernelHeight - 1; ky >= 0; ky--) {
        const down = y + padding - ky * dilation;
        if (down < 0 || down % stride != 0 || down / stride >= outHeight) continue;
        const line = windows + <usize>((n * outHeight + down / stride) * outWidth) * window;
        for (let kx = kernelWidth - 1; kx >= 0; kx--) {
          const across = x + padding - kx * dilation;
          if (across < 0 || across % stride != 0 || across / stride >= outWidth) continue;
          addTo<T>(line + <usize>(across / stride) * window + <usize>(ky * kernelWidth + kx) * tap, to, count);
        }
      }
      to += pixel;
    }
  }
}

/** Matrices [rows, cols], one after the other, each transposed; a unit is one of them. */
// @ts-ignore: decorator
@inline
export function transposeBlocks<T>(begin: u32, end: u32, a: usize, rows: u32, cols: u32, out: usize): void {
  const bytes = <usize>rows * cols * sizeof<T>();
  for (let unit = begin; unit < end; unit++) {
    const from = a + unit * bytes, to = out + unit * bytes;
    transposeInto<T>(rows, cols, from, <usize>cols * sizeof<T>(), to, <usize>rows * sizeof<T>());
  }
}
