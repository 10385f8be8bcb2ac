/**
 * Reference kernels of images: windows (im2col), their adjoint (col2im), and transposition block by block. Images are NHWC;
 *   windows[(n, oy, ox), (ky, kx, c)] = image[n, oy s - p + ky d, ox s - p + kx d, c], 0 outside the image,
 * with stride s, padding p and dilation d. The adjoint sums, for every image entry, over (oy, ox) in order.
 */

import type { Vec } from "../problem/matrix.ts";
import { checkMaxWindows, checkTransposeBlocks, checkWindows, windowsShape } from "./kernel-shapes.ts";
import type { MaxWindowsSpec, WindowShape, WindowsSpec } from "./kernels.ts";

/** Kernels.gatherWindows in plain TypeScript. */
export function gatherWindows(spec: WindowsSpec): void {
  const { rows, cols } = checkWindows("gatherWindows", spec);
  if (rows * cols === 0) return;
  eachTap(spec, (image, window, count) => {
    if (image < 0) spec.windows.data.fill(0, window, window + count);
    else for (let c = 0; c < count; c++) spec.windows.data[window + c] = spec.images[image + c] as number;
  });
}

/** Kernels.scatterWindows in plain TypeScript. */
export function scatterWindows(spec: WindowsSpec): void {
  checkWindows("scatterWindows", spec);
  const { images, windows, shape } = spec;
  const [from, to] = shape.channelRange ?? [0, shape.channels];
  for (let p = 0; p < images.length; p += shape.channels) images.fill(0, p + from, p + to);
  eachTap(spec, (image, window, count) => {
    if (image < 0) return;
    for (let c = 0; c < count; c++) {
      images[image + c] = (images[image + c] as number) + (windows.data[window + c] as number);
    }
  });
}

/** Kernels.maxWindows in plain TypeScript. */
export function maxWindows({ shape, images, out, taken }: MaxWindowsSpec): void {
  const { rows, cols } = checkMaxWindows({ shape, images, out, taken });
  const { channels } = shape;
  const none = 2 ** 32 - 1;
  out.fill(0);
  taken.fill(none);
  if (rows * cols === 0) return;
  const taps = cols / channels;
  eachTap({ shape, windows: { data: { length: rows * cols } } }, (image, window, count) => {
    if (image < 0) return;
    const first = Math.floor(window / (taps * channels)) * channels;
    for (let c = 0; c < count; c++) {
      const [value, best] = [images[image + c] as number, out[first + c] as number];
      const isBetter = value > best || (Number.isNaN(value) && !Number.isNaN(best));
      if (taken[first + c] !== none && !isBetter) continue;
      out[first + c] = value;
      taken[first + c] = image + c;
    }
  });
}

/** Visits every tap of every window: where its channels start in the images (-1 = outside) and in the windows. */
function eachTap(
  { shape, windows }: { shape: WindowShape; windows: { data: { length: number } } },
  visit: (image: number, window: number, count: number) => void,
): void {
  const { batch, height, width, channels, kernel, stride, padding, dilation } = shape;
  const [from, to] = shape.channelRange ?? [0, channels];
  const count = to - from;
  if (windows.data.length === 0) return;
  const { outHeight, outWidth } = windowsShape(shape);
  let window = 0;
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let ky = 0; ky < kernel[0]; ky++) {
          const y = oy * stride - padding + ky * dilation;
          for (let kx = 0; kx < kernel[1]; kx++, window += count) {
            const x = ox * stride - padding + kx * dilation;
            const isInside = y >= 0 && y < height && x >= 0 && x < width;
            visit(isInside ? ((n * height + y) * width + x) * channels + from : -1, window, count);
          }
        }
      }
    }
  }
}

/** Kernels.transposeBlocks in plain TypeScript. */
export function transposeBlocks(a: Vec, shape: { count: number; rows: number; cols: number }, out: Vec): void {
  checkTransposeBlocks(a, shape, out);
  const { count, rows, cols } = shape;
  for (let b = 0; b < count; b++) {
    const start = b * rows * cols;
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < cols; j++) out[start + j * rows + i] = a[start + i * cols + j] as number;
    }
  }
}
