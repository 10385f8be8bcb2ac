/**
 * From any convolution of one or two axes of space to one that the kernels have, which take images with channels last, one stride, one dilation and the
 * same padding on all sides. What is more general is made from that: other pads by padding first, strides that differ by leaving out positions
 * of a convolution of their common divisor, dilations that differ by taps of zero.
 */
import { type ConvolutionShape, windowsShape } from "@secateur/core";
import type { Windows } from "./window-facts.ts";

/** A geometry that the kernels have, and what is done around it. */
export interface Plan {
  readonly shape: ConvolutionShape;
  readonly windows: Windows;
  /** Images as the kernels see them, padded. */
  readonly padded: readonly [number, number];
  /** Positions that the kernels compute, of which every `skip`-th is kept. */
  readonly computed: readonly [number, number];
  readonly skip: readonly [number, number];
  readonly isPadded: boolean;
  readonly isSkipped: boolean;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

export function planOf(
  windows: Windows,
  size: { batch: number; channels: number; outputs: number; groups: number },
): Plan {
  const { image, kernel, stride, dilation, before, after, positions } = windows;
  const step = image[0] === 1 && kernel[0] === 1 ? stride[1] : gcd(stride[0], stride[1]);
  const spread = kernel[0] === 1 ? dilation[1] : dilation[0];
  const padding = before[0];
  const isPadded = [before[1], after[0], after[1]].some((pad) => pad !== padding);
  const padded: [number, number] = isPadded
    ? [image[0] + before[0] + after[0], image[1] + before[1] + after[1]]
    : [image[0], image[1]];
  const shape: ConvolutionShape = {
    ...size,
    height: padded[0],
    width: padded[1],
    kernel,
    stride: step,
    padding: isPadded ? 0 : padding,
    dilation: spread,
  };
  const { rows } = windowsShape({ ...shape, batch: 1 });
  const along = (axis: 0 | 1): number =>
    Math.floor((padded[axis] + 2 * shape.padding - spread * (kernel[axis] - 1) - 1) / step) + 1;
  const computed: [number, number] = [along(0), along(1)];
  if (computed[0] * computed[1] !== rows) throw new RangeError("positions of a convolution do not add up");
  const skip: [number, number] = [positions[0] > 1 ? stride[0] / step : 1, positions[1] > 1 ? stride[1] / step : 1];
  const isSkipped = computed[0] !== positions[0] || computed[1] !== positions[1];
  return { shape, windows, padded, computed, skip, isPadded, isSkipped };
}

/** Whether taps keep one distance in both directions. */
export function hasOneDilation({ kernel, dilation }: Windows): boolean {
  return kernel[0] === 1 || kernel[1] === 1 || dilation[0] === dilation[1];
}
