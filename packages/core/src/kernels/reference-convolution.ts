/**
 * Reference kernels of convolutions, written from the definition with sums in f64. Images are NHWC:
 *   y[n, oy, ox, o] = b[o] + sum over c, ky, kx of x[n, oy s - p + ky d, ox s - p + kx d, g(o) C + c] w[o, c, ky, kx]
 * with stride s, padding p, dilation d, C channels a group and g(o) the group of output o; the adjoints follow.
 */

import type { Vec } from "../problem/matrix.ts";
import { type ConvolutionSizes, checkConvolutionGradients, checkConvolve, checkConvolveBack } from "./kernel-shapes.ts";
import type { ConvolutionGradientsSpec, ConvolutionShape, ConvolveBackSpec, ConvolveSpec } from "./kernels.ts";

/** Kernels.convolve in plain TypeScript. */
export function convolve(spec: ConvolveSpec): void {
  const sizes = checkConvolve(spec);
  const { shape, images, scale, bias, out, beta = 0, relu = false } = spec;
  const { inGroup, outGroup, taps } = sizes;
  const weights = tapsFirst(spec.weights, shape.outputs, sizes);
  const sums = new Float64Array(shape.outputs);
  let at = 0;
  eachOutput(shape, sizes, (places) => {
    sums.fill(0);
    for (const { tap, pixel } of places) {
      for (let o = 0; o < shape.outputs; o++) {
        const first = pixel + Math.floor(o / outGroup) * inGroup;
        const weight = (o * taps + tap) * inGroup;
        let sum = 0;
        for (let c = 0; c < inGroup; c++) sum += (images[first + c] as number) * (weights[weight + c] as number);
        sums[o] = (sums[o] as number) + sum;
      }
    }
    for (let o = 0; o < shape.outputs; o++, at++) {
      const start = (bias ? (bias[o] as number) : 0) + (beta === 1 ? (out[at] as number) : 0);
      const sum = start + (sums[o] as number) * (scale ? (scale[o] as number) : 1);
      out[at] = relu && sum < 0 ? 0 : sum;
    }
  });
}

/** Kernels.convolveBack in plain TypeScript. */
export function convolveBack(spec: ConvolveBackSpec): void {
  const sizes = checkConvolveBack(spec);
  const { shape, deltas, out } = spec;
  const { inGroup, outGroup, taps } = sizes;
  const weights = tapsFirst(spec.weights, shape.outputs, sizes);
  const sums = new Float64Array(out.length);
  let at = 0;
  eachOutput(shape, sizes, (places) => {
    for (const { tap, pixel } of places) {
      for (let o = 0; o < shape.outputs; o++) {
        const first = pixel + Math.floor(o / outGroup) * inGroup;
        const weight = (o * taps + tap) * inGroup;
        const delta = deltas[at + o] as number;
        for (let c = 0; c < inGroup; c++) {
          sums[first + c] = (sums[first + c] as number) + delta * (weights[weight + c] as number);
        }
      }
    }
    at += shape.outputs;
  });
  out.set(sums);
}

/** Kernels.convolutionGradients in plain TypeScript. */
export function convolutionGradients(spec: ConvolutionGradientsSpec): void {
  const sizes = checkConvolutionGradients(spec);
  const { shape, images, deltas, group, out } = spec;
  const { inGroup, outGroup, taps } = sizes;
  const sums = new Float64Array(out.data.length);
  let at = 0;
  eachOutput(shape, sizes, (places, n) => {
    const row = Math.floor(n / group) * out.cols;
    for (const { tap, pixel } of places) {
      for (let o = 0; o < shape.outputs; o++) {
        const first = pixel + Math.floor(o / outGroup) * inGroup;
        const delta = deltas[at + o] as number;
        let weight = row + o * inGroup * taps + tap;
        for (let c = 0; c < inGroup; c++, weight += taps) {
          sums[weight] = (sums[weight] as number) + delta * (images[first + c] as number);
        }
      }
    }
    at += shape.outputs;
  });
  out.data.set(sums);
}

/** A tap inside the image: its number, and where the pixel under it starts in the images. */
interface TapPlace {
  tap: number;
  pixel: number;
}

/** Visits every output position in order with the taps that fall inside the image. */
function eachOutput(
  shape: ConvolutionShape,
  { outHeight, outWidth }: ConvolutionSizes,
  visit: (places: readonly TapPlace[], n: number) => void,
): void {
  const { batch, height, width, channels, kernel, stride, padding, dilation } = shape;
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        const places: TapPlace[] = [];
        for (let ky = 0; ky < kernel[0]; ky++) {
          const y = oy * stride - padding + ky * dilation;
          if (y < 0 || y >= height) continue;
          for (let kx = 0; kx < kernel[1]; kx++) {
            const x = ox * stride - padding + kx * dilation;
            if (x < 0 || x >= width) continue;
            places.push({ tap: ky * kernel[1] + kx, pixel: ((n * height + y) * width + x) * channels });
          }
        }
        visit(places, n);
      }
    }
  }
}

/** [outputs, c, tap] as [outputs, tap, c]. */
function tapsFirst(weights: Vec, outputs: number, { inGroup, taps }: ConvolutionSizes): Float64Array {
  const out = new Float64Array(weights.length);
  for (let o = 0; o < outputs; o++) {
    for (let c = 0; c < inGroup; c++) {
      for (let t = 0; t < taps; t++) {
        out[(o * taps + t) * inGroup + c] = weights[(o * inGroup + c) * taps + t] as number;
      }
    }
  }
  return out;
}
