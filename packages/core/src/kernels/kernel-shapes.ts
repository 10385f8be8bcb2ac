/**
 * The shape, dtype and overlap checks of the kernel interface, shared by every backend so that all of them refuse the
 * same calls with the same words. A failed check is a programming error: a RangeError, not a PruneError.
 */

import { dtypeOf, type Mat, type Vec } from "../problem/matrix.ts";
import type {
  AffineColumnsSpec,
  ConvolutionGradientsSpec,
  ConvolutionShape,
  ConvolveBackSpec,
  ConvolveSpec,
  CrossEntropySpec,
  GemmSpec,
  GemvSpec,
  GramSpec,
  MaxWindowsSpec,
  TriangularSolveSpec,
  WindowGramSpec,
  WindowShape,
  WindowsSpec,
} from "./kernels.ts";
import { checkApart, checkIndices, checkMatrices, checkSameDtype, checkVector } from "./operand-checks.ts";

/** The sizes of a gemm: out is [m, n], the sum runs over k. */
export interface GemmShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** The sizes of a gram: out is [n, n], the sum runs over k. */
export interface GramShape {
  readonly n: number;
  readonly k: number;
}

/** @throws RangeError unless the operands of a gemm fit */
export function checkGemm(spec: GemmSpec): GemmShape {
  const { a, b, out } = spec;
  const [m, k] = spec.transposeA === true ? [a.cols, a.rows] : [a.rows, a.cols];
  const [kOfB, n] = spec.transposeB === true ? [b.cols, b.rows] : [b.rows, b.cols];
  if (k !== kOfB || out.rows !== m || out.cols !== n) {
    throw new RangeError(
      `gemm: op(a) is ${m} x ${k} and op(b) ${kOfB} x ${n}, which do not make an out of ${out.rows} x ${out.cols}`,
    );
  }
  checkMatrices("gemm", { a, b, out });
  checkApart("gemm", out.data, a.data);
  checkApart("gemm", out.data, b.data);
  return { m, n, k };
}

/** @throws RangeError unless the operands of a gram fit */
export function checkGram(spec: GramSpec): GramShape {
  const { a, out } = spec;
  const [n, k] = spec.transpose === true ? [a.cols, a.rows] : [a.rows, a.cols];
  if (out.rows !== n || out.cols !== n) {
    throw new RangeError(`gram: out must be ${n} x ${n}; got ${out.rows} x ${out.cols}`);
  }
  checkMatrices("gram", { a, out });
  checkApart("gram", out.data, a.data);
  return { n, k };
}

/** @throws RangeError unless the operands of a gemv fit */
export function checkGemv(spec: GemvSpec): void {
  const { a, x, out } = spec;
  const [rows, cols] = spec.transpose === true ? [a.cols, a.rows] : [a.rows, a.cols];
  checkMatrices("gemv", { a });
  checkVector("gemv", "x", x, cols);
  checkVector("gemv", "out", out, rows);
  if (spec.transpose !== true && dtypeOf(a.data) === "f32" && dtypeOf(x) === "f64") checkSameDtype("gemv", x, out);
  else checkSameDtype("gemv", a.data, x, out);
  checkApart("gemv", out, a.data);
  checkApart("gemv", out, x);
}

/** @throws RangeError unless `a` is [n, n] */
export function checkCholesky(a: Mat): void {
  checkMatrices("cholesky", { a });
  checkSquare("cholesky", "a", a);
}

/** @throws RangeError unless the operands of a triangular solve fit */
export function checkTriangularSolve(spec: TriangularSolveSpec): void {
  const { l, b } = spec;
  checkMatrices("triangularSolve", { l, b });
  checkSquare("triangularSolve", "l", l);
  if (b.rows !== l.rows) {
    throw new RangeError(`triangularSolve: b must have ${l.rows} rows, one per row of l; got ${b.rows}`);
  }
  checkApart("triangularSolve", b.data, l.data);
}

/** @throws RangeError unless all vectors have one length and one dtype */
export function checkElementwise(kernel: string, ...vectors: readonly Vec[]): void {
  const first = vectors[0];
  if (first === undefined) return;
  for (const vector of vectors) {
    if (vector.length !== first.length) {
      throw new RangeError(`${kernel}: vectors must have one length; got ${first.length} and ${vector.length}`);
    }
  }
  checkSameDtype(kernel, ...vectors);
}

/** `a` and `out` are [rows, cols], `scales` [rows]. @throws RangeError unless the operands of scaleRows fit */
export function checkScaleRows(a: Mat, scales: Vec, out: Mat): void {
  checkMatrices("scaleRows", { a, out });
  checkSameShape("scaleRows", a, out, "out");
  checkVector("scaleRows", "scales", scales, a.rows);
  checkSameDtype("scaleRows", a.data, scales);
}

/** `a` and `b` are [rows, cols], `out` [rows], which may have another dtype. @throws RangeError unless the operands of rowDots fit */
export function checkRowDots(a: Mat, b: Mat, out: Vec): void {
  checkMatrices("rowDots", { a, b });
  checkSameShape("rowDots", a, b, "b");
  checkVector("rowDots", "out", out, a.rows);
  checkApart("rowDots", out, a.data);
  checkApart("rowDots", out, b.data);
}

/** `a` is [rows, cols], `out` [cols], which may have another dtype. @throws RangeError unless the operands of columnSums fit */
export function checkColumnSums(a: Mat, out: Vec): void {
  checkMatrices("columnSums", { a });
  checkVector("columnSums", "out", out, a.cols);
  checkApart("columnSums", out, a.data);
}

/** `a` is [rows, cols], `row` [cols]. @throws RangeError unless the operands of addRow fit */
export function checkAddRow(a: Mat, row: Vec): void {
  checkMatrices("addRow", { a });
  checkVector("addRow", "row", row, a.cols);
  checkSameDtype("addRow", a.data, row);
  checkApart("addRow", a.data, row);
}

/** `a` and `b` are [rows, cols], `out` [cols], which may have another dtype. @throws RangeError unless the operands of columnDots fit */
export function checkColumnDots(a: Mat, b: Mat, out: Vec): void {
  checkMatrices("columnDots", { a, b });
  checkSameShape("columnDots", a, b, "b");
  checkVector("columnDots", "out", out, a.cols);
  checkApart("columnDots", out, a.data);
  checkApart("columnDots", out, b.data);
}

/** @throws RangeError unless the operands of affineColumns fit */
export function checkAffineColumns({ a, alpha, b, beta, gamma, out }: AffineColumnsSpec): void {
  checkMatrices("affineColumns", b ? { a, b, out } : { a, out });
  checkSameShape("affineColumns", a, out, "out");
  if (b) checkSameShape("affineColumns", a, b, "b");
  for (const [name, row] of Object.entries({ alpha, beta, gamma })) {
    if (row === undefined) continue;
    checkVector("affineColumns", name, row, a.cols);
    checkSameDtype("affineColumns", a.data, row);
    checkApart("affineColumns", out.data, row);
  }
}

/** `a` and `out` are [count * rows * cols]. @throws RangeError unless both are */
export function checkTransposeBlocks(a: Vec, shape: { count: number; rows: number; cols: number }, out: Vec): void {
  const length = shape.count * shape.rows * shape.cols;
  checkVector("transposeBlocks", "a", a, length);
  checkVector("transposeBlocks", "out", out, length);
  checkSameDtype("transposeBlocks", a, out);
  checkApart("transposeBlocks", out, a);
}

/** The sizes that follow from a window shape. */
export interface WindowsShape {
  /** Windows down an image. */
  readonly outHeight: number;
  /** Windows across an image. */
  readonly outWidth: number;
  /** batch * outHeight * outWidth */
  readonly rows: number;
  /** kernel height * kernel width * channels in range */
  readonly cols: number;
}

/** How many windows there are, and how long each is. Sizes are 0 where the kernel does not fit the padded image. */
export function windowsShape(shape: WindowShape): WindowsShape {
  const { batch, height, width, kernel, stride, padding, dilation } = shape;
  const [from, to] = shape.channelRange ?? [0, shape.channels];
  const count = (extent: number, taps: number): number =>
    Math.max(0, Math.floor((extent + 2 * padding - dilation * (taps - 1) - 1) / stride) + 1);
  const [outHeight, outWidth] = [count(height, kernel[0]), count(width, kernel[1])];
  return { outHeight, outWidth, rows: batch * outHeight * outWidth, cols: kernel[0] * kernel[1] * (to - from) };
}

/** The sizes of windows of images. @throws RangeError unless there can be such windows of these images */
function checkImages(kernel: string, shape: WindowShape, images: Vec): WindowsShape {
  const { stride, padding, dilation, channelRange: [from, to] = [0, shape.channels] } = shape;
  if (!(stride >= 1 && dilation >= 1 && padding >= 0 && from >= 0 && from <= to && to <= shape.channels)) {
    throw new RangeError(
      `${kernel}: stride ${stride}, dilation ${dilation}, padding ${padding} and channels ${from} to ${to} of ${shape.channels} make no windows`,
    );
  }
  checkVector(kernel, "images", images, shape.batch * shape.height * shape.width * shape.channels);
  return windowsShape(shape);
}

/** @throws RangeError unless the operands of windowGram fit */
export function checkWindowGram({ shape, images, out, sums }: WindowGramSpec): WindowsShape {
  const sizes = checkImages("windowGram", shape, images);
  if (out.rows !== sizes.cols || out.cols !== sizes.cols) {
    throw new RangeError(`windowGram: out must be ${sizes.cols} x ${sizes.cols}; got ${out.rows} x ${out.cols}`);
  }
  checkMatrices("windowGram", { out });
  for (const [name, result] of Object.entries({ out: out.data, sums })) {
    if (result === undefined) continue;
    if (name === "sums") checkVector("windowGram", name, result, sizes.cols);
    checkSameDtype("windowGram", images, result);
    checkApart("windowGram", images, result);
  }
  return sizes;
}

/** @throws RangeError unless images and windows have the sizes of the shape */
export function checkWindows(kernel: string, { shape, images, windows }: WindowsSpec): WindowsShape {
  const sizes = checkImages(kernel, shape, images);
  checkMatrices(kernel, { windows });
  if (windows.rows !== sizes.rows || windows.cols !== sizes.cols) {
    throw new RangeError(
      `${kernel}: windows must be ${sizes.rows} x ${sizes.cols}; got ${windows.rows} x ${windows.cols}`,
    );
  }
  checkSameDtype(kernel, images, windows.data);
  checkApart(kernel, images, windows.data);
  return sizes;
}

/** @throws RangeError unless the operands of maxWindows fit */
export function checkMaxWindows({ shape, images, out, taken }: MaxWindowsSpec): WindowsShape {
  const sizes = windowsShape(shape);
  const length = sizes.rows * shape.channels;
  checkVector("maxWindows", "images", images, shape.batch * shape.height * shape.width * shape.channels);
  checkVector("maxWindows", "out", out, length);
  checkSameDtype("maxWindows", images, out);
  checkApart("maxWindows", out, images);
  if (taken.length !== length) {
    throw new RangeError(`maxWindows: taken must have ${length} entries; got ${taken.length}`);
  }
  return sizes;
}

/** The sizes that follow from the shape of a convolution. */
export interface ConvolutionSizes {
  readonly outHeight: number;
  readonly outWidth: number;
  /** Channels of one group. */
  readonly inGroup: number;
  /** Outputs of one group. */
  readonly outGroup: number;
  readonly taps: number;
}

/** @throws RangeError unless the operands of convolve fit */
export function checkConvolve({ shape, images, weights, scale, bias, out }: ConvolveSpec): ConvolutionSizes {
  const sizes = checkConvolution("convolve", shape, { images, weights, outputs: out });
  for (const [name, vector] of Object.entries({ scale, bias })) {
    if (!vector) continue;
    checkVector("convolve", name, vector, shape.outputs);
    checkSameDtype("convolve", vector, out);
    checkApart("convolve", out, vector);
  }
  checkApart("convolve", out, images);
  checkApart("convolve", out, weights);
  return sizes;
}

/** @throws RangeError unless the operands of convolveBack fit */
export function checkConvolveBack({ shape, deltas, weights, out }: ConvolveBackSpec): ConvolutionSizes {
  const sizes = checkConvolution("convolveBack", shape, { images: out, weights, outputs: deltas });
  checkApart("convolveBack", out, deltas);
  checkApart("convolveBack", out, weights);
  return sizes;
}

/** @throws RangeError unless the operands of convolutionGradients fit */
export function checkConvolutionGradients(spec: ConvolutionGradientsSpec): ConvolutionSizes {
  const { shape, images, deltas, group, out } = spec;
  const sizes = checkConvolution("convolutionGradients", shape, { images, outputs: deltas });
  if (!Number.isInteger(group) || group < 1) {
    throw new RangeError(`convolutionGradients: group must be an integer >= 1; got ${group}`);
  }
  const [rows, cols] = [Math.ceil(shape.batch / group), shape.outputs * sizes.inGroup * sizes.taps];
  if (out.rows !== rows || out.cols !== cols) {
    throw new RangeError(`convolutionGradients: out must be ${rows} x ${cols}; got ${out.rows} x ${out.cols}`);
  }
  checkMatrices("convolutionGradients", { out });
  checkSameDtype("convolutionGradients", images, out.data);
  checkApart("convolutionGradients", out.data, images);
  checkApart("convolutionGradients", out.data, deltas);
  return sizes;
}

function checkConvolution(
  kernel: string,
  shape: ConvolutionShape,
  { images, weights, outputs }: { images: Vec; weights?: Vec; outputs: Vec },
): ConvolutionSizes {
  const { batch, height, width, channels, groups, stride, dilation, padding } = shape;
  if (!(stride >= 1 && dilation >= 1 && padding >= 0 && groups >= 1)) {
    throw new RangeError(
      `${kernel}: stride ${stride}, dilation ${dilation}, padding ${padding} and ${groups} groups make no convolution`,
    );
  }
  if (channels % groups !== 0 || shape.outputs % groups !== 0) {
    throw new RangeError(
      `${kernel}: ${groups} groups must divide ${channels} channels and ${shape.outputs} outputs evenly`,
    );
  }
  const { outHeight, outWidth } = windowsShape(shape);
  const taps = shape.kernel[0] * shape.kernel[1];
  const inGroup = channels / groups;
  checkVector(kernel, "images", images, batch * height * width * channels);
  checkVector(kernel, "outputs", outputs, batch * outHeight * outWidth * shape.outputs);
  checkSameDtype(kernel, images, outputs);
  if (weights) {
    checkVector(kernel, "weights", weights, shape.outputs * inGroup * taps);
    checkSameDtype(kernel, images, weights);
  }
  return { outHeight, outWidth, inGroup, outGroup: shape.outputs / groups, taps };
}

/**
 * `a` is [rows, cols], `columns` [count], `out` [rows, count].
 *
 * @throws RangeError unless the operands of gatherColumns fit and every column exists
 */
export function checkGatherColumns(a: Mat, columns: Uint32Array, out: Mat): void {
  checkMatrices("gatherColumns", { a, out });
  if (out.rows !== a.rows || out.cols !== columns.length) {
    throw new RangeError(`gatherColumns: out must be ${a.rows} x ${columns.length}; got ${out.rows} x ${out.cols}`);
  }
  checkApart("gatherColumns", out.data, a.data);
  checkIndices("gatherColumns", "column", columns, a.cols);
}

/** @throws RangeError unless 0 <= k <= scores.length and k is an integer */
export function checkLargest(scores: Vec, k: number): void {
  if (!Number.isInteger(k) || k < 0 || k > scores.length) {
    throw new RangeError(`largest: k must be an integer from 0 to ${scores.length}; got ${k}`);
  }
}

/** @throws RangeError unless the operands of softmaxCrossEntropy fit and every label is a class */
export function checkCrossEntropy(spec: CrossEntropySpec): void {
  const { logits, labels, loss, delta } = spec;
  checkMatrices("softmaxCrossEntropy", { logits });
  if (labels.length !== logits.rows || loss.length !== logits.rows) {
    throw new RangeError(
      `softmaxCrossEntropy: ${logits.rows} rows of logits need as many labels and losses; got ${labels.length} and ${loss.length}`,
    );
  }
  checkApart("softmaxCrossEntropy", loss, logits.data);
  checkIndices("softmaxCrossEntropy", "label", labels, logits.cols);
  if (delta === undefined) return;
  checkMatrices("softmaxCrossEntropy", { logits, delta });
  checkSameShape("softmaxCrossEntropy", logits, delta, "delta");
  checkApart("softmaxCrossEntropy", loss, delta.data);
}

function checkSameShape(kernel: string, a: Mat, other: Mat, name: string): void {
  if (other.rows !== a.rows || other.cols !== a.cols) {
    throw new RangeError(`${kernel}: ${name} must be ${a.rows} x ${a.cols}; got ${other.rows} x ${other.cols}`);
  }
}

function checkSquare(kernel: string, name: string, mat: Mat): void {
  if (mat.rows !== mat.cols) {
    throw new RangeError(`${kernel}: ${name} must be square; got ${mat.rows} x ${mat.cols}`);
  }
}
