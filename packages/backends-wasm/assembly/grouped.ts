// Grouped convolutions, depthwise ones by vectors of channels. Images are NHWC. Weights come as [outputs, taps, channels of a group],
// and for depthwise (one channel in, one out, a whole number of vectors of them) as [taps, channels].
// Few products a number read: memory bounds them, so there is nothing to gain from the tiles of a matrix product.
import { lanes, madd, positive } from "./simd";

/** Where tap k of a window that starts at `first` meets an image of `size`: the first tap inside, and one behind the last. */
// @ts-ignore: decorator
@inline
function firstTap(first: i32, dilation: i32): i32 {
  return first < 0 ? (-first + dilation - 1) / dilation : 0;
}
// @ts-ignore: decorator
@inline
function lastTap(first: i32, size: i32, taps: i32, dilation: i32): i32 {
  return first >= size ? 0 : min(taps, (size - 1 - first) / dilation + 1);
}

/** Four neighbours of a row of depthwise outputs whose taps all lie inside across, so that each weight is read once for all of them. */
// @ts-ignore: decorator
@inline
function fourPixels<T>(
  images: usize, weights: usize, scale: usize, bias: usize, to: usize, pixel: usize, down: usize, across: usize, next: usize,
  rows: i32, columns: i32, mode: u32,
): void {
  const zero = v128.splat<T>(<T>0);
  for (let c: usize = 0; c < pixel; c += 16) {
    const target = to + c;
    const shift = bias != 0 ? v128.load(bias + c) : zero;
    let f0 = shift, f1 = shift, f2 = shift, f3 = shift;
    if (mode & 1) {
      f0 = v128.add<T>(f0, v128.load(target));
      f1 = v128.add<T>(f1, v128.load(target + pixel));
      f2 = v128.add<T>(f2, v128.load(target + 2 * pixel));
      f3 = v128.add<T>(f3, v128.load(target + 3 * pixel));
    }
    // What is scaled is the sum alone.
    let s0 = f0, s1 = f1, s2 = f2, s3 = f3;
    if (scale != 0) s0 = s1 = s2 = s3 = zero;
    let line = images + c, taps = weights + c;
    for (let ky = 0; ky < rows; ky++) {
      let from = line;
      for (let kx = 0; kx < columns; kx++) {
        const w = v128.load(taps);
        s0 = madd<T>(v128.load(from), w, s0);
        s1 = madd<T>(v128.load(from + next), w, s1);
        s2 = madd<T>(v128.load(from + 2 * next), w, s2);
        s3 = madd<T>(v128.load(from + 3 * next), w, s3);
        from += across;
        taps += pixel;
      }
      line += down;
    }
    if (scale != 0) {
      const factor = v128.load(scale + c);
      s0 = v128.add<T>(v128.mul<T>(s0, factor), f0);
      s1 = v128.add<T>(v128.mul<T>(s1, factor), f1);
      s2 = v128.add<T>(v128.mul<T>(s2, factor), f2);
      s3 = v128.add<T>(v128.mul<T>(s3, factor), f3);
    }
    if (mode & 2) {
      s0 = positive<T>(s0);
      s1 = positive<T>(s1);
      s2 = positive<T>(s2);
      s3 = positive<T>(s3);
    }
    v128.store(target, s0);
    v128.store(target + pixel, s1);
    v128.store(target + 2 * pixel, s2);
    v128.store(target + 3 * pixel, s3);
  }
}

/** A unit is one row of outputs, (n, oy). `mode`: 1 = onto what is there, 2 = the positive part. */
export function groupedOutputs<T>(
  begin: u32, end: u32, images: usize, weights: usize, scale: usize, bias: usize, out: usize,
  height: i32, width: i32, channels: u32, outputs: u32, groups: u32,
  kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32,
  isDepthwise: bool, mode: u32,
): void {
  const V = lanes<T>();
  const pixel = <usize>channels * sizeof<T>();
  const inGroup = channels / groups, outGroup = outputs / groups;
  const zero = v128.splat<T>(<T>0);
  let to = out + <usize>begin * outWidth * outputs * sizeof<T>();
  for (let unit = begin; unit < end; unit++) {
    const image = images + <usize>(unit / outHeight) * height * width * pixel;
    const top = <i32>(unit % outHeight) * stride - padding;
    const kyFrom = firstTap(top, dilation), kyTo = lastTap(top, height, kernelHeight, dilation);
    for (let ox = 0; ox < outWidth; ox++) {
      const left = ox * stride - padding;
      if (isDepthwise && left >= 0 && ox + 4 <= outWidth && left + 3 * stride + (kernelWidth - 1) * dilation < width) {
        const row = image + <usize>((top + kyFrom * dilation) * width + left) * pixel;
        const taps = weights + <usize>(kyFrom * kernelWidth) * pixel;
        const step = <usize>(dilation * width) * pixel;
        fourPixels<T>(row, taps, scale, bias, to, pixel, step, <usize>dilation * pixel, <usize>stride * pixel, kyTo - kyFrom, kernelWidth, mode);
        to += 4 * pixel;
        ox += 3;
        continue;
      }
      const kxFrom = firstTap(left, dilation), kxTo = lastTap(left, width, kernelWidth, dilation);
      if (isDepthwise) {
        for (let c: u32 = 0; c < channels; c += V) {
          let first = bias != 0 ? v128.load(bias + c * sizeof<T>()) : zero;
          if (mode & 1) first = v128.add<T>(first, v128.load(to));
          let sum = scale != 0 ? zero : first;
          for (let ky = kyFrom; ky < kyTo; ky++) {
            const row = image + <usize>((top + ky * dilation) * width) * pixel + c * sizeof<T>();
            const taps = weights + <usize>(ky * kernelWidth) * pixel + c * sizeof<T>();
            for (let kx = kxFrom; kx < kxTo; kx++) {
              sum = madd<T>(v128.load(row + <usize>(left + kx * dilation) * pixel), v128.load(taps + <usize>kx * pixel), sum);
            }
          }
          if (scale != 0) sum = v128.add<T>(v128.mul<T>(sum, v128.load(scale + c * sizeof<T>())), first);
          if (mode & 2) sum = positive<T>(sum);
          v128.store(to, sum);
          to += 16;
        }
        continue;
      }
      for (let o: u32 = 0; o < outputs; o++) {
        const first = o / outGroup * inGroup;
        let start: T = bias != 0 ? load<T>(bias + o * sizeof<T>()) : <T>0;
        if (mode & 1) start += load<T>(to);
        let sum: T = scale != 0 ? <T>0 : start;
        for (let ky = kyFrom; ky < kyTo; ky++) {
          for (let kx = kxFrom; kx < kxTo; kx++) {
            const from = image + <usize>((top + ky * dilation) * width + left + kx * dilation) * pixel + first * sizeof<T>();
            const taps = weights + <usize>((o * kernelHeight + ky) * kernelWidth + kx) * inGroup * sizeof<T>();
            for (let c: u32 = 0; c < inGroup; c++) sum += load<T>(from + c * sizeof<T>()) * load<T>(taps + c * sizeof<T>());
          }
        }
        if (scale != 0) sum = sum * load<T>(scale + o * sizeof<T>()) + start;
        // Written so that NaN stays.
        store<T>(to, (mode & 2) && sum < 0 ? <T>0 : sum);
        to += sizeof<T>();
      }
    }
  }
}

/** Deltas carried back: a unit is one row of an image, (n, y). */
export function groupedBack<T>(
  begin: u32, end: u32, deltas: usize, weights: usize, out: usize,
  height: i32, width: i32, channels: u32, outputs: u32, groups: u32,
  kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32,
  isDepthwise: bool,
): void {
  const V = lanes<T>();
  const pixel = <usize>channels * sizeof<T>(), outPixel = <usize>outputs * sizeof<T>();
  const inGroup = channels / groups, outGroup = outputs / groups;
  for (let unit = begin; unit < end; unit++) {
    const delta = deltas + <usize>(unit / height) * outHeight * outWidth * outPixel;
    const y = <i32>(unit % height);
    const line = out + <usize>unit * width * pixel;
    memory.fill(line, 0, <usize>width * pixel);
    for (let ky = 0; ky < kernelHeight; ky++) {
      const down = y + padding - ky * dilation;
      if (down < 0 || down % stride != 0 || down / stride >= outHeight) continue;
      const row = delta + <usize>(down / stride * outWidth) * outPixel;
      for (let x = 0; x < width; x++) {
        const to = line + <usize>x * pixel;
        for (let kx = 0; kx < kernelWidth; kx++) {
          const across = x + padding - kx * dilation;
          if (across < 0 || across % stride != 0 || across / stride >= outWidth) continue;
          const from = row + <usize>(across / stride) * outPixel;
          if (isDepthwise) {
            const taps = weights + <usize>(ky * kernelWidth + kx) * pixel;
            for (let c: usize = 0; c < pixel; c += 16) {
              v128.store(to + c, madd<T>(v128.load(from + c), v128.load(taps + c), v128.load(to + c)));
            }
            continue;
          }
          for (let o: u32 = 0; o < outputs; o++) {
            const slope = load<T>(from + o * sizeof<T>());
            const target = to + o / outGroup * inGroup * sizeof<T>();
            const taps = weights + <usize>((o * kernelHeight + ky) * kernelWidth + kx) * inGroup * sizeof<T>();
            for (let c: u32 = 0; c < inGroup; c++) {
              const at = target + c * sizeof<T>();
              store<T>(at, load<T>(at) + slope * load<T>(taps + c * sizeof<T>()));
            }
          }
        }
      }
    }
  }
}

/**
 * Gradients of the weights, in the order of the weights: a unit is `chunkImages` images of one segment of `group`, `chunks` of them a
 * segment, and writes partials[unit]. A row of outputs is summed before it is added to the rest, which keeps f32 sums short.
 */
export function groupedGradients<T>(
  begin: u32, end: u32, images: usize, deltas: usize, partials: usize,
  height: i32, width: i32, channels: u32, outputs: u32, groups: u32,
  kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32,
  isDepthwise: bool, batch: u32, group: u32, chunks: u32, chunkImages: u32,
): void {
  const V = lanes<T>();
  const pixel = <usize>channels * sizeof<T>(), outPixel = <usize>outputs * sizeof<T>();
  const inGroup = channels / groups, outGroup = outputs / groups;
  const size = <usize>outputs * inGroup * kernelHeight * kernelWidth * sizeof<T>();
  for (let unit = begin; unit < end; unit++) {
    const sums = partials + unit * size;
    memory.fill(sums, 0, size);
    const segment = unit / chunks;
    const firstImage = segment * group + unit % chunks * chunkImages;
    const lastImage = min(min(firstImage + chunkImages, (segment + 1) * group), batch);
    for (let n = firstImage; n < lastImage; n++) {
      const image = images + <usize>n * height * width * pixel;
      for (let oy = 0; oy < outHeight; oy++) {
        const row = deltas + <usize>(<i32>n * outHeight + oy) * outWidth * outPixel;
        for (let ky = 0; ky < kernelHeight; ky++) {
          const y = oy * stride - padding + ky * dilation;
          if (y < 0 || y >= height) continue;
          const line = image + <usize>(y * width) * pixel;
          for (let kx = 0; kx < kernelWidth; kx++) {
            const shift = kx * dilation - padding;
            // Positions whose tap lies inside: 0 <= ox stride + shift < width.
            const from = shift < 0 ? (-shift + stride - 1) / stride : 0;
            const upto = shift >= width ? 0 : min(outWidth, (width - 1 - shift) / stride + 1);
            const tap = ky * kernelWidth + kx;
            if (isDepthwise) {
              const target = sums + <usize>tap * pixel;
              for (let c: usize = 0; c < pixel; c += 16) {
                let sum = v128.splat<T>(<T>0);
                for (let ox = from; ox < upto; ox++) {
                  sum = madd<T>(v128.load(line + <usize>(ox * stride + shift) * pixel + c), v128.load(row + <usize>ox * outPixel + c), sum);
                }
                v128.store(target + c, v128.add<T>(v128.load(target + c), sum));
              }
              continue;
            }
            for (let o: u32 = 0; o < outputs; o++) {
              const first = <usize>(o / outGroup * inGroup) * sizeof<T>();
              const target = sums + <usize>(o * kernelHeight * kernelWidth + tap) * inGroup * sizeof<T>();
              for (let c: u32 = 0; c < inGroup; c++) {
                let sum: T = 0;
                for (let ox = from; ox < upto; ox++) {
                  sum += load<T>(line + <usize>(ox * stride + shift) * pixel + first + c * sizeof<T>()) * load<T>(row + <usize>ox * outPixel + o * sizeof<T>());
                }
                const at = target + c * sizeof<T>();
                store<T>(at, load<T>(at) + sum);
              }
            }
          }
        }
      }
    }
  }
}
