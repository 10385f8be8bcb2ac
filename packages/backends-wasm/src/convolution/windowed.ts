/**
 * Convolutions by windows and matrix products (im2col; Chellapilla et al. 2006), some images at a time so that windows stay in the
 * caches:  y = windows(x) w',  dL/dx = the adjoint of windows applied to delta w,  dL/dw = delta' windows(x).
 */
import {
  type ConvolutionGradientsSpec,
  type ConvolutionShape,
  type ConvolveBackSpec,
  type ConvolveSpec,
  dtypeOf,
  type Mat,
  matrix,
  referenceKernels,
  type Vec,
  type WindowShape,
  windowsShape,
} from "@secateur/core";
import type { Engine } from "../engine.ts";
import { gemm } from "../products/gemm.ts";
import { ranges } from "../products/tiles.ts";
import { relu as positivePart } from "../rows/elementwise.ts";
import { addRow } from "../rows/rows.ts";
import { isPointwise, windowProducts } from "./window-products.ts";
import { gatherWindows, scatterWindows } from "./windows.ts";

/** Numbers of windows written at a time: what fits the second-level cache beside the operands. */
const CHUNK_NUMBERS = 128 * 1024;

/** out = images * weights. */
export function windowedConvolve(engine: Engine, spec: ConvolveSpec): void {
  if (windowProducts(engine, spec)) return;
  // There is no way to scale through the slabs.
  if (spec.scale) referenceKernels.convolve(spec);
  else throughSlabs(engine, spec);
}

/** The same where the memory has no room for whole operands. */
function throughSlabs(engine: Engine, spec: ConvolveSpec): void {
  const { shape, images, bias, beta = 0, relu = false } = spec;
  const out = matrix(spec.out.length / shape.outputs, shape.outputs, spec.out);
  const b = tapsFirst(shape, spec.weights);
  eachChunk(engine, { shape, like: images, from: 0, to: shape.batch }, (chunk) => {
    const windows = chunk.windowsOf(images);
    const target = rowsOf(out, shape, chunk);
    gemm(engine, { a: windows, b, transposeB: true, out: target, beta });
    if (bias) addRow(engine, target, bias);
    if (relu) positivePart(engine, target.data, target.data);
  });
}

/** Deltas back. */
export function windowedBack(engine: Engine, { shape, deltas, weights, out }: ConvolveBackSpec): void {
  const slopes = matrix(deltas.length / shape.outputs, shape.outputs, deltas);
  const b = tapsFirst(shape, weights);
  eachChunk(engine, { shape, like: out, from: 0, to: shape.batch }, (chunk) => {
    const images = chunk.imagesOf(out);
    if (isPointwise(shape)) {
      const target = matrix(images.length / shape.channels, shape.channels, images);
      gemm(engine, { a: rowsOf(slopes, shape, chunk), b, out: target });
      return;
    }
    gemm(engine, { a: rowsOf(slopes, shape, chunk), b, out: chunk.windows });
    scatterWindows(engine, { shape: chunk.shape, images, windows: chunk.windows });
  });
}

/** Rows of weight gradients. */
export function windowedGradients(engine: Engine, spec: ConvolutionGradientsSpec): void {
  const { shape, images, deltas, group, out } = spec;
  const slopes = matrix(deltas.length / shape.outputs, shape.outputs, deltas);
  const taps = shape.kernel[0] * shape.kernel[1];
  const sums = matrix(shape.outputs, out.cols / shape.outputs, engine.memory.alloc(out.cols, dtypeOf(out.data)));
  for (let row = 0; row < out.rows; row++) {
    const [from, to] = [row * group, Math.min((row + 1) * group, shape.batch)];
    eachChunk(engine, { shape, like: images, from, to }, (chunk) => {
      const b = chunk.windowsOf(images);
      gemm(engine, {
        a: rowsOf(slopes, shape, chunk),
        transposeA: true,
        b,
        out: sums,
        beta: chunk.from === from ? 0 : 1,
      });
    });
    const target = out.data.subarray(row * out.cols, (row + 1) * out.cols);
    const order = { count: shape.outputs, rows: taps, cols: shape.channels };
    referenceKernels.transposeBlocks(sums.data, order, target);
  }
  engine.memory.free(sums.data);
}

/** A run of images. */
interface Chunk {
  readonly from: number;
  readonly to: number;
  readonly shape: WindowShape;
  /** Room for their windows. */
  readonly windows: Mat;
  /** Their part of a vector of images. */
  imagesOf(all: Vec): Vec;
  /** Their windows, written; the images themselves where that is the same. */
  windowsOf(all: Vec): Mat;
}

interface Run {
  readonly shape: ConvolutionShape;
  readonly like: Vec;
  readonly from: number;
  readonly to: number;
}

/** Visits images [from, to), as many at a time as chunks hold. */
function eachChunk(engine: Engine, { shape, like, from, to }: Run, visit: (chunk: Chunk) => void): void {
  const { rows, cols } = windowsShape({ ...shape, batch: 1 });
  const pixels = shape.height * shape.width * shape.channels;
  const isImage = isPointwise(shape);
  const step = isImage ? to - from : Math.max(1, Math.floor(CHUNK_NUMBERS / Math.max(1, rows * cols)));
  const space = engine.memory.alloc(isImage ? 0 : Math.min(step, to - from) * rows * cols, dtypeOf(like));
  for (const [start, upto] of ranges(to - from, Math.max(1, step))) {
    const count = upto - start;
    const windows = isImage
      ? matrix(0, cols, space)
      : matrix(count * rows, cols, space.subarray(0, count * rows * cols));
    const imagesOf = (all: Vec): Vec => all.subarray((from + start) * pixels, (from + upto) * pixels);
    const part = { ...shape, batch: count };
    visit({
      from: from + start,
      to: from + upto,
      shape: part,
      windows,
      imagesOf,
      windowsOf(all) {
        if (isImage) return matrix(count * rows, cols, imagesOf(all));
        gatherWindows(engine, { shape: part, images: imagesOf(all), windows });
        return windows;
      },
    });
  }
  engine.memory.free(space);
}

/** Rows of output positions. */
function rowsOf({ data, cols }: Mat, shape: ConvolutionShape, { from, to }: Chunk): Mat {
  const { rows } = windowsShape({ ...shape, batch: 1 });
  return matrix((to - from) * rows, cols, data.subarray(from * rows * cols, to * rows * cols));
}

/** [outputs, (tap, c)]; the weights themselves where that is the same. */
function tapsFirst({ outputs, channels, kernel }: ConvolutionShape, weights: Vec): Mat {
  const taps = kernel[0] * kernel[1];
  if (taps === 1 || channels === 1) return matrix(outputs, channels * taps, weights);
  const data = weights.slice();
  referenceKernels.transposeBlocks(weights, { count: outputs, rows: channels, cols: taps }, data);
  return matrix(outputs, channels * taps, data);
}
