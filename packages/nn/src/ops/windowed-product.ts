/**
 * Convolution as matrix products over the windows of images, a few images at a time so that windows stay in the caches:
 *   out[positions, o] = windows[positions, (ky, kx, c)] w[o, (ky, kx, c)]'
 * A 1x1 convolution of stride 1 is a product with the image itself. Groups are summed directly.
 */
import { type Mat, type WindowShape, windowsShape } from "@secateur/core";
import type { Pool } from "../pool.ts";
import { addGroupedProducts, groupsOf } from "./grouped-product.ts";
import { rowsOf } from "./op.ts";

/** Numbers of windows written at a time: what fits the second-level cache of two cores beside the operands. */
const chunkNumbers = 256 * 1024;

/** Windows of images, `batch` of the shape left open. */
export type Geometry = Omit<WindowShape, "batch" | "channelRange">;

/** Whether windows are the image itself. */
export function isPointwise({ kernel, stride, padding }: Geometry): boolean {
  return kernel[0] === 1 && kernel[1] === 1 && stride === 1 && padding === 0;
}

/** A run of images with their windows [images * positions, taps * channels]. */
export interface WindowChunk {
  readonly from: number;
  readonly to: number;
  /** Output positions [from * positions, to * positions). */
  readonly rowFrom: number;
  readonly rowTo: number;
  readonly windows: Mat;
}

/** Visits all windows of `images` [batch, height * width * channels] between two images, a chunk at a time. */
export function eachWindowChunk(
  spec: { images: Mat; geometry: Geometry; pool: Pool; from?: number; to?: number },
  visit: (chunk: WindowChunk) => void,
): void {
  const { images, geometry, pool, from: first = 0, to: last = images.rows } = spec;
  const { rows, cols } = windowsShape({ ...geometry, batch: 1 });
  if (isPointwise(geometry)) {
    const windows = { rows: (last - first) * rows, cols, data: rowsOf(images, first, last).data };
    visit({ from: first, to: last, rowFrom: first * rows, rowTo: last * rows, windows });
    return;
  }
  const step = imagesAtOnce(geometry);
  for (let from = first; from < last; from += step) {
    const to = Math.min(from + step, last);
    const windows = { rows: (to - from) * rows, cols, data: pool.take((to - from) * rows * cols) };
    pool.kernels.gatherWindows({
      shape: { ...geometry, batch: to - from },
      images: rowsOf(images, from, to).data,
      windows,
    });
    visit({ from, to, rowFrom: from * rows, rowTo: to * rows, windows });
    pool.give(windows.data);
  }
}

/** Images whose windows are written at a time. */
export function imagesAtOnce(geometry: Geometry): number {
  const { rows, cols } = windowsShape({ ...geometry, batch: 1 });
  return Math.max(1, Math.floor(chunkNumbers / (rows * cols)));
}

/** out[positions, o] = windows of images times w[o, :]' + beta out. */
export function addWindowProducts(spec: {
  images: Mat;
  geometry: Geometry;
  /** [out, taps * channels of a group] */
  w: Mat;
  groups: number;
  /** [batch * positions, out] */
  out: Mat;
  beta: 0 | 1;
  pool: Pool;
}): void {
  const { geometry, w, groups, out, beta, pool } = spec;
  eachWindowChunk(spec, ({ rowFrom, rowTo, windows }) => {
    const target = rowsOf(out, rowFrom, rowTo);
    if (groups === 1) pool.kernels.gemm({ a: windows, b: w, transposeB: true, out: target, beta });
    else {
      if (beta === 0) target.data.fill(0);
      addGroupedProducts(groupsOf(geometry, groups, w), { windows, w, out: target });
    }
  });
}
