/** Second moments of windows by what they are defined as: windows are written some images at a time, and multiplied. */
import { dtypeOf, type Mat, matrix, type Vec } from "../problem/matrix.ts";
import { checkWindowGram, windowsShape } from "./kernel-shapes.ts";
import type { Kernels, WindowGramSpec, WindowShape } from "./kernels.ts";

/** Numbers of windows written at a time: they are read again before they leave the caches. */
const chunkNumbers = 256 * 1024;

/**
 * Kernels.windowGram by other kernels: of any shape, and for backends that have none of their own. Time: cols^2 / 2 multiply-adds a window. Memory:
 * 1 MiB of f32 windows, or those of one image.
 *
 * @throws RangeError unless the operands fit
 */
export function gramOfWindows(
  { shape, images, out, sums, beta = 0 }: WindowGramSpec,
  kernels: Pick<Kernels, "alloc" | "free" | "gatherWindows" | "gram" | "columnSums" | "axpy">,
): void {
  const { rows, cols } = checkWindowGram({ shape, images, out, ...(sums ? { sums } : {}) });
  if (beta === 0) {
    out.data.fill(0);
    sums?.fill(0);
  }
  if (rows * cols === 0) return;
  if (isPixels(shape)) {
    const pixels = matrix(rows, cols, images);
    kernels.gram({ a: pixels, transpose: true, out, beta: 1 });
    if (sums) addSums(pixels, sums, kernels);
    return;
  }
  const { batch, height, width, channels } = shape;
  const image = height * width * channels;
  const positions = rows / batch;
  const step = Math.min(batch, Math.max(1, Math.floor(chunkNumbers / (positions * cols))));
  const all = kernels.alloc(step * positions * cols, dtypeOf(images));
  try {
    for (let from = 0; from < batch; from += step) {
      const part = { ...shape, batch: Math.min(step, batch - from) };
      const count = windowsShape(part).rows;
      const windows = matrix(count, cols, all.subarray(0, count * cols));
      kernels.gatherWindows({
        shape: part,
        images: images.subarray(from * image, (from + part.batch) * image),
        windows,
      });
      kernels.gram({ a: windows, transpose: true, out, beta: 1 });
      if (sums) addSums(windows, sums, kernels);
    }
  } finally {
    kernels.free(all);
  }
}

/** Second moments of windows by whatever a backend has. @throws RangeError unless the operands fit */
export function momentsOfWindows(spec: WindowGramSpec, kernels: Kernels): void {
  if (kernels.windowGram) kernels.windowGram(spec);
  else gramOfWindows(spec, kernels);
}

/** Whether the windows are the pixels, in order. */
function isPixels({
  kernel,
  stride,
  padding,
  channels,
  channelRange: [from, to] = [0, channels],
}: WindowShape): boolean {
  return kernel[0] * kernel[1] === 1 && stride === 1 && padding === 0 && to - from === channels;
}

function addSums(a: Mat, sums: Vec, kernels: Pick<Kernels, "alloc" | "free" | "columnSums" | "axpy">): void {
  const row = kernels.alloc(a.cols, dtypeOf(a.data));
  try {
    kernels.columnSums(a, row);
    kernels.axpy(1, row, sums);
  } finally {
    kernels.free(row);
  }
}
