/**
 * The linear-algebra and network kernels that everything numerical runs on.
 *
 * Synchronous, over host typed arrays, in coarse calls: loops live inside a kernel. A backend implements this
 * interface; `referenceKernels` (plain TypeScript) is the readable reference, `@secateur/backends-wasm` the fast one.
 *
 * Rules every backend keeps (the conformance tests check them):
 * - All matrices and vectors of one call share one dtype unless the method says otherwise.
 * - Any typed array is accepted, wherever it lives. Arrays from `alloc` may be faster (no copying).
 * - The same inputs give the same bytes, for any number of threads.
 * - Sums of f32 products may accumulate in f32 inside gemm, gram and gemv (blocked); `dot` and the losses accumulate in f64.
 * - `out` may not overlap an input unless the method says so. Zero-sized operands are allowed.
 * - Shapes that do not fit throw a RangeError (a programming error).
 */
import type { Dtype, Mat, Vec } from "../problem/matrix.ts";
import type { ElementwiseSpec, SoftmaxSpec } from "./elementwise.ts";
import type {
  ChainGramSpec,
  ChainSquaresSpec,
  ChainTimesSpec,
  ChainTransposeTimesSpec,
  PanelProductsSpec,
  SparseConvolveBackSpec,
  SparseConvolveSpec,
  SparseGradientsSpec,
  SparseTimesSpec,
} from "./panels/panel-specs.ts";

/** out = alpha * op(a) op(b) + beta * out, where op transposes when asked to. */
export interface GemmSpec {
  /** [m, k], or [k, m] when transposed */
  readonly a: Mat;
  readonly transposeA?: boolean;
  /** [k, n], or [n, k] when transposed */
  readonly b: Mat;
  readonly transposeB?: boolean;
  /** [m, n] */
  readonly out: Mat;
  /** Default 1. */
  readonly alpha?: number;
  /** Default 0: `out` is overwritten, whatever it held (NaN included). */
  readonly beta?: number;
}

/** Products of `count` pairs of matrices that lie one after the other: out_i [m, n] = a_i [m, k] b_i [k, n]. */
export interface GemmEachSpec {
  readonly count: number;
  /** [count * m, k] */
  readonly a: Mat;
  /** [count * k, n] */
  readonly b: Mat;
  /** [count * m, n], overwritten */
  readonly out: Mat;
}

/**
 * out = alpha * a a' + beta * out, or alpha * a'a + beta * out with `transpose`. Both triangles are written, exactly symmetric; of `out` only what is on and
 * below the diagonal is read.
 */
export interface GramSpec {
  /** [rows, cols] */
  readonly a: Mat;
  /** false (default): out is [rows, rows] = a a'. true: out is [cols, cols] = a'a. */
  readonly transpose?: boolean;
  /** [rows, rows], or [cols, cols] with `transpose` */
  readonly out: Mat;
  readonly alpha?: number;
  readonly beta?: number;
}

/** out = alpha * a x + beta * out, or alpha * a'x + beta * out with `transpose`. */
export interface GemvSpec {
  /** [rows, cols] */
  readonly a: Mat;
  readonly transpose?: boolean;
  /** [cols], or [rows] with `transpose` */
  readonly x: Vec;
  /** [rows], or [cols] with `transpose` */
  readonly out: Vec;
  readonly alpha?: number;
  readonly beta?: number;
}

/** Solves L X = B, or L'X = B with `transpose`, in place in `b` [n, m]. Only the lower triangle of `l` [n, n] is read. f64 or f32. */
export interface TriangularSolveSpec {
  readonly l: Mat;
  readonly transpose?: boolean;
  readonly b: Mat;
}

/** Cross-entropy of softmax(logits) against class labels, with its gradient. */
export interface CrossEntropySpec {
  /** [batch, classes] */
  readonly logits: Mat;
  /** [batch], each below `classes` */
  readonly labels: Uint32Array;
  /** [batch] f64, receives -log softmax(logits)[label] of each example, in nats */
  readonly loss: Float64Array;
  /** [batch, classes], receives softmax(logits) - onehot(label) of each example (not divided by the batch size); may be `logits` itself */
  readonly delta?: Mat;
}

/** Which window of an image every output position of a convolution or pooling layer looks at. Images are [height, width, channels] (NHWC). */
export interface WindowShape {
  /** Number of images. */
  readonly batch: number;
  /** Pixels down an image. */
  readonly height: number;
  /** Pixels across an image. */
  readonly width: number;
  readonly channels: number;
  /** Taps down and across, >= 1. */
  readonly kernel: readonly [height: number, width: number];
  /** Positions from one window to the next, >= 1. */
  readonly stride: number;
  /** Zeros around every image, >= 0. */
  readonly padding: number;
  /** Positions from one tap to the next, >= 1. */
  readonly dilation: number;
  /** The channels [from, to) that take part (a group of a grouped convolution); default: all. */
  readonly channelRange?: readonly [from: number, to: number];
}

/** Images and the matrix of their windows: row (n, oy, ox), column (ky, kx, c); taps outside the image are 0. */
export interface WindowsSpec {
  readonly shape: WindowShape;
  /** [batch * height * width * channels] */
  readonly images: Vec;
  /** [batch * outHeight * outWidth, kernelHeight * kernelWidth * channels in range], see `windowsShape` */
  readonly windows: Mat;
}

/** Sums over all windows w of images: out = sum of w w' + beta out, sums = sum of w + beta sums. */
export interface WindowGramSpec {
  readonly shape: WindowShape;
  /** [batch * height * width * channels] */
  readonly images: Vec;
  /** [cols, cols] of `windowsShape`, in the order of the columns of {@link WindowsSpec}; exactly symmetric */
  readonly out: Mat;
  /** [cols] */
  readonly sums?: Vec;
  /** Default 0: overwritten. With 1 `out` must be symmetric. */
  readonly beta?: 0 | 1;
}

/** The largest entry of every window, channel by channel. */
export interface MaxWindowsSpec {
  /** All channels take part. */
  readonly shape: Omit<WindowShape, "channelRange">;
  /** [batch, height, width, channels] */
  readonly images: Vec;
  /** [batch, outHeight, outWidth, channels], overwritten; 0 where a window lies outside the image. */
  readonly out: Vec;
  /** [batch, outHeight, outWidth, channels], the place in `images` each was taken from (ties: the first tap; NaN wins); 2^32 - 1 for none. */
  readonly taken: Uint32Array;
}

/** A two-dimensional convolution. Images are NHWC; weights [outputs, channels / groups, taps down, taps across], as checkpoints store them. */
export interface ConvolutionShape extends Omit<WindowShape, "channelRange"> {
  readonly outputs: number;
  /** Output o sees the channels of group floor(o groups / outputs) only; divides channels and outputs. */
  readonly groups: number;
}

/** out = f(scale (images * weights) + bias + beta out), with f = max(., 0) when `relu`. */
export interface ConvolveSpec {
  /** Like the spec, not changed after a call: a backend may keep what follows from the same object. */
  readonly shape: ConvolutionShape;
  /** [batch, height, width, channels] */
  readonly images: Vec;
  /** [outputs, channels / groups, taps down, taps across] */
  readonly weights: Vec;
  /** Whether the same array of weights will come again: a backend may keep what it makes of them until it finds their numbers changed. Default false. */
  readonly reuse?: boolean;
  /** [outputs]; default: ones. */
  readonly scale?: Vec;
  /** [outputs] */
  readonly bias?: Vec;
  /** [batch, outHeight, outWidth, outputs] */
  readonly out: Vec;
  /** Default 0: overwritten. */
  readonly beta?: 0 | 1;
  readonly relu?: boolean;
}

/** The adjoint: out = dL/dimages for deltas = dL/doutputs. */
export interface ConvolveBackSpec {
  readonly shape: ConvolutionShape;
  /** [batch, outHeight, outWidth, outputs] */
  readonly deltas: Vec;
  /** [outputs, channels / groups, taps down, taps across] */
  readonly weights: Vec;
  /** [batch, height, width, channels], overwritten */
  readonly out: Vec;
}

/** Row s of out = dL/dweights of images [s group, (s + 1) group), summed over them. */
export interface ConvolutionGradientsSpec {
  readonly shape: ConvolutionShape;
  /** [batch, height, width, channels] */
  readonly images: Vec;
  /** [batch, outHeight, outWidth, outputs] */
  readonly deltas: Vec;
  /** Images a row, >= 1; the last row may have fewer. */
  readonly group: number;
  /** [ceil(batch / group), weights], overwritten */
  readonly out: Mat;
}

/** out[:, j] = alpha[j] a[:, j] + beta[j] b[:, j] + gamma[j]; a scale left out is 1, a term left out is 0. `out` may be `a` or `b`. */
export interface AffineColumnsSpec {
  readonly a: Mat;
  readonly alpha?: Vec;
  readonly b?: Mat;
  readonly beta?: Vec;
  readonly gamma?: Vec;
  readonly out: Mat;
}

/** Gradient descent with momentum: velocity = momentum velocity + (gradient + decay w), then w -= rate velocity. Four vectors of one length and dtype. */
export interface MomentumStepSpec {
  /** In place. */
  readonly w: Vec;
  /** In place. */
  readonly velocity: Vec;
  readonly gradient: Vec;
  readonly momentum: number;
  readonly decay: number;
  readonly rate: number;
}

/** The synchronous kernels of one backend. */
export interface Kernels {
  /** For example "reference", "wasm-simd" or "wasm-relaxed-simd". Results may differ between names by rounding only. */
  readonly name: string;
  /** How many threads work on a coarse call, >= 1. */
  readonly threads: number;

  /** A zero-filled vector, in the backend's own memory while that has room, else an ordinary typed array. */
  alloc(length: number, dtype: Dtype): Vec;
  /** Whether a vector lies where calls on it copy nothing. Absent: not known. */
  holds?(vector: Vec): boolean;
  /** Gives a vector from `alloc` back early; it must not be used afterwards. Without the call it is freed when collected. Other vectors are ignored. */
  free(vector: Vec): void;

  gemm(spec: GemmSpec): void;
  gram(spec: GramSpec): void;
  /** Without `transpose` x and out may be f64 over an f32 matrix: products and sums are then in f64, and no copy of the matrix is made. */
  gemv(spec: GemvSpec): void;

  /** In place: the lower triangle of `a` [n, n] becomes L with L L' = a (only the lower triangle is read), the upper becomes 0. Returns -1, or the first pivot that is not positive (a then is half-factored). */
  cholesky(a: Mat): number;
  triangularSolve(spec: TriangularSolveSpec): void;

  /** sum_i a_i b_i, accumulated in f64 in a fixed order. */
  dot(a: Vec, b: Vec): number;
  /** y += alpha x */
  axpy(alpha: number, x: Vec, y: Vec): void;
  /** out = a .* b elementwise; `out` may be `a` or `b`. */
  multiply(a: Vec, b: Vec, out: Vec): void;
  /** out[i, :] = scales[i] * a[i, :]; `out` may be `a`. */
  scaleRows(a: Mat, scales: Vec, out: Mat): void;
  /** out[i] = beta * out[i] + sum_j a[i, j] b[i, j]; beta 0 overwrites. Accumulated in f64, stored in out's dtype. */
  rowDots(a: Mat, b: Mat, out: Vec, beta: number): void;
  /** out[j] = sum_i a[i, j], accumulated in f64. */
  columnSums(a: Mat, out: Vec): void;
  /** a[i, :] += row, in place. */
  addRow(a: Mat, row: Vec): void;
  /** out[j] = sum_i a[i, j] b[i, j], accumulated in f64 in a fixed order. */
  columnDots(a: Mat, b: Mat, out: Vec): void;
  affineColumns(spec: AffineColumnsSpec): void;
  /** Each of `count` matrices [rows, cols], one after the other in `a`, is written transposed to `out`. */
  transposeBlocks(
    a: Vec,
    shape: { readonly count: number; readonly rows: number; readonly cols: number },
    out: Vec,
  ): void;
  /** Writes the windows of images (im2col). */
  gatherWindows(spec: WindowsSpec): void;
  /** The adjoint (col2im): every image entry becomes the sum of the window entries it was copied to. Channels out of range keep what they held. */
  scatterWindows(spec: WindowsSpec): void;
  maxWindows(spec: MaxWindowsSpec): void;
  /** Second moments of windows. A backend that leaves it out has them by `gramOfWindows`, from windows that are written. */
  windowGram?(spec: WindowGramSpec): void;
  /** A convolution of images. f32 results may carry the rounding of fast algorithms: some 1e-6 of the largest sum of products' magnitudes. */
  convolve(spec: ConvolveSpec): void;
  convolveBack(spec: ConvolveBackSpec): void;
  convolutionGradients(spec: ConvolutionGradientsSpec): void;
  /** out[:, s] = a[:, columns[s]]; out is [a.rows, columns.length]. */
  gatherColumns(a: Mat, columns: Uint32Array, out: Mat): void;

  /** Products with a sparse matrix; a backend that has none leaves both out, and dense products are used. */
  sparseTimes?(spec: SparseTimesSpec): void;
  panelProducts?(spec: PanelProductsSpec): void;

  /** Products of a chain of dense layers over few weights, all of a panel before the next; a backend that has none leaves all four out, and layers are taken one after the other. */
  chainTimes?(spec: ChainTimesSpec): void;
  chainTransposeTimes?(spec: ChainTransposeTimesSpec): void;
  chainGram?(spec: ChainGramSpec): void;
  chainSquares?(spec: ChainSquaresSpec): void;

  /** Convolutions over few weights; a backend that has none leaves all three out, and masked layers train through the dense ones. */
  sparseConvolve?(spec: SparseConvolveSpec): void;
  sparseConvolveBack?(spec: SparseConvolveBackSpec): void;
  sparseGradients?(spec: SparseGradientsSpec): void;

  /** Graphs of tensors are made of these; what a backend leaves out is done by loops in TypeScript or by gemm. */
  elementwise?(spec: ElementwiseSpec): void;
  /** The bytes of as many calls of gemm. */
  gemmEach?(spec: GemmEachSpec): void;
  softmax?(spec: SoftmaxSpec): void;

  /** Computed in f64 and rounded where it is stored, without fused operations: the same bytes on every backend. What leaves it out has loops in TypeScript. */
  momentumStep?(spec: MomentumStepSpec): void;

  /** The indices of the k largest scores in ascending index order; ties go to the lower index; NaN counts as -Infinity. 0 <= k <= length. */
  largest(scores: Vec, k: number): Uint32Array;

  /** out = max(x, 0); `out` may be `x`. NaN stays NaN. */
  relu(x: Vec, out: Vec): void;
  /** out[i] = activation[i] > 0 ? gradient[i] : 0; `out` may be `gradient`. */
  reluBackward(activation: Vec, gradient: Vec, out: Vec): void;
  /** Returns the sum of the losses in f64. Stable for large logits. */
  softmaxCrossEntropy(spec: CrossEntropySpec): number;
}
