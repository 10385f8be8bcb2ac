/**
 * Grouped convolution, depthwise included, over windows [positions, (tap, channel)] and weights [out, (tap, channel of its group)]:
 *   y[r, o] = sum over taps t and channels c of window[r, t, g(o) C + c] w[o, t, c],   g(o) = the group of output o,
 * with its two adjoints. Few multiply-adds a number read: plain loops are bound by memory as a kernel would be.
 */
import type { Mat } from "@secateur/core";

/** Sizes of a grouped convolution. */
export interface Groups {
  readonly taps: number;
  /** Channels of the image. */
  readonly channels: number;
  /** C, channels of one group. */
  readonly inGroup: number;
  /** Output channels of one group. */
  readonly outs: number;
}

/** Sizes from geometry, group count and weights. */
export function groupsOf(
  { kernel, channels }: { kernel: readonly [number, number]; channels: number },
  groups: number,
  w: Mat,
): Groups {
  return { taps: kernel[0] * kernel[1], channels, inGroup: channels / groups, outs: w.rows / groups };
}

/** y += the convolution. */
export function addGroupedProducts(sizes: Groups, { windows, w, out }: { windows: Mat; w: Mat; out: Mat }): void {
  const { taps, channels, inGroup, outs } = sizes;
  const [x, weights, y] = [windows.data, w.data, out.data];
  for (let r = 0; r < windows.rows; r++) {
    for (let o = 0; o < w.rows; o++) {
      let sum = 0;
      let place = r * windows.cols + Math.floor(o / outs) * inGroup;
      let weight = o * w.cols;
      for (let t = 0; t < taps; t++, place += channels) {
        for (let c = 0; c < inGroup; c++) sum += x[place + c]! * weights[weight++]!;
      }
      y[r * w.rows + o]! += sum;
    }
  }
}

/** dL/dw += from the deltas [positions, out]; sums in f64. */
export function addGroupedWeightGradient(
  sizes: Groups,
  { windows, delta, sums }: { windows: Mat; delta: Mat; sums: Float64Array },
): void {
  const { taps, channels, inGroup, outs } = sizes;
  const [x, d] = [windows.data, delta.data];
  const length = taps * inGroup;
  for (let r = 0; r < windows.rows; r++) {
    for (let o = 0; o < delta.cols; o++) {
      const slope = d[r * delta.cols + o]!;
      let place = r * windows.cols + Math.floor(o / outs) * inGroup;
      let weight = o * length;
      for (let t = 0; t < taps; t++, place += channels) {
        for (let c = 0; c < inGroup; c++) sums[weight++]! += slope * x[place + c]!;
      }
    }
  }
}

/** dL/dwindows, overwritten, from the deltas [positions, out]. */
export function writeGroupedWindows(sizes: Groups, { windows, w, delta }: { windows: Mat; w: Mat; delta: Mat }): void {
  const { taps, channels, inGroup, outs } = sizes;
  const [x, weights, d] = [windows.data, w.data, delta.data];
  x.fill(0);
  for (let r = 0; r < windows.rows; r++) {
    for (let o = 0; o < w.rows; o++) {
      const slope = d[r * w.rows + o]!;
      let place = r * windows.cols + Math.floor(o / outs) * inGroup;
      let weight = o * w.cols;
      for (let t = 0; t < taps; t++, place += channels) {
        for (let c = 0; c < inGroup; c++) x[place + c]! += slope * weights[weight++]!;
      }
    }
  }
}
