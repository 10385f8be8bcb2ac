/** What kernels over few weights take: patterns of kept weights, examples in panels, chains of layers. */
import type { Mat, Vec } from "../../problem/matrix.ts";
import type { ConvolutionShape } from "../kernels.ts";

/** Where a sparse matrix [rows, cols] has entries: those of row i are [starts[i], starts[i + 1]), in columns `columns[e]`, ascending. Not to be changed: kernels remember its order. */
export interface SparsePattern {
  readonly rows: number;
  readonly cols: number;
  /** [rows + 1] */
  readonly starts: Uint32Array;
  /** [entries] */
  readonly columns: Uint32Array;
}

/** Columns of a panel: a matrix [rows, columns] as panels is [count, rows, 32], the columns of a panel side by side. */
export const panelWidth = 32;

/** out = A b, panel by panel. */
export interface SparseTimesSpec {
  /** Of A. */
  readonly pattern: SparsePattern;
  /** [entries] */
  readonly values: Vec;
  readonly count: number;
  /** [count, cols, 32] */
  readonly b: Vec;
  /** [count, rows, 32], overwritten */
  readonly out: Vec;
}

/** The entries of a b' where the pattern has some: out[e] = sum over all columns of a[row of e, :] b[column of e, :]. */
export interface PanelProductsSpec {
  readonly pattern: SparsePattern;
  readonly count: number;
  /** [count, rows, 32] */
  readonly a: Vec;
  /** [count, cols, 32] */
  readonly b: Vec;
  /** [entries], overwritten */
  readonly out: Vec;
}

/** A dense layer of a {@link PanelChain}. */
export interface PanelLayer {
  /** [count, inputs, 32], what it was given; only `chainSquares` does without. */
  readonly inputs?: Vec;
  /** Its weights that take part, of [outputs, inputs]. */
  readonly pattern: SparsePattern;
  /** Where those stand in flat vectors, in the pattern's order. */
  readonly start: number;
  /** [outputs, inputs], all its weights, which tangents of the layer before and deltas for it go through; of the first layer not read. */
  readonly weights?: Mat;
  /** [count, outputs, 32]; behind the layer goes on what meets a number above 0 there, as behind a ReLU; default: everything. */
  readonly gate?: Vec;
}

/**
 * The outputs of a chain of dense layers as a function of some of their weights, linear around the present ones: its Jacobian is J, for examples in panels
 * [count, features, 32]. Not to be changed: kernels remember what they make of it.
 */
export interface PanelChain {
  readonly count: number;
  /** Length of the flat vectors; no two layers' entries overlap there. */
  readonly size: number;
  /** At least one; each takes as many features as the one before it gives. */
  readonly layers: readonly PanelLayer[];
}

/** out = J x */
export interface ChainTimesSpec {
  readonly chain: PanelChain;
  /** [size] */
  readonly x: Vec;
  /** [count, outputs, 32], overwritten */
  readonly out: Vec;
}

/** out = J'u */
export interface ChainTransposeTimesSpec {
  readonly chain: PanelChain;
  /** [count, outputs, 32] */
  readonly u: Vec;
  /** [size]; the places of entries are overwritten, others stay */
  readonly out: Vec;
}

/** out = J'B J x with B = diag(p) - p p' for each example, the Hessian of the cross-entropy in the logits. */
export interface ChainGramSpec {
  readonly chain: PanelChain;
  /** [size] */
  readonly x: Vec;
  /** [count, outputs, 32], of each example with the sum 1; zeros leave it out */
  readonly probabilities: Vec;
  /** [size]; the places of entries are overwritten, others stay. May be `x`. */
  readonly out: Vec;
}

/** What curvature the cross-entropy has along the outputs of every layer: the diagonals of D'B D, D = dlogits/doutputs and B as for {@link ChainGramSpec}. */
export interface ChainSquaresSpec {
  /** Its inputs and entries are not read; inputs may be absent. */
  readonly chain: PanelChain;
  /** [count, outputs, 32], >= 0, of each example with the sum 1; zeros leave it out */
  readonly probabilities: Vec;
  /** For each layer [count, its outputs, 32], overwritten; behind a gate that is closed 0. */
  readonly out: readonly Vec[];
}

/**
 * A convolution over few of its weights, of images in panels: `shape.batch` counts panels, and an image holds 32 examples, side by side for
 * each number: [panels, height, width, channels, 32].
 */
export interface SparseConvolution {
  readonly shape: ConvolutionShape;
  /** Of the weights [outputs, channels / groups * taps]. */
  readonly pattern: SparsePattern;
}

/** out = f(images * weights + bias), with f = max(., 0) when `relu`. */
export interface SparseConvolveSpec extends SparseConvolution {
  /** [entries] */
  readonly values: Vec;
  /** [panels, height, width, channels, 32] */
  readonly images: Vec;
  /** [outputs] */
  readonly bias?: Vec;
  /** [panels, outHeight, outWidth, outputs, 32], overwritten */
  readonly out: Vec;
  readonly relu?: boolean;
}

/** The adjoint: out = dL/dimages for deltas = dL/doutputs. */
export interface SparseConvolveBackSpec extends SparseConvolution {
  /** [entries] */
  readonly values: Vec;
  /** [panels, outHeight, outWidth, outputs, 32] */
  readonly deltas: Vec;
  /** [panels, height, width, channels, 32], overwritten */
  readonly out: Vec;
}

/** out = dL/dvalues, summed over all examples. */
export interface SparseGradientsSpec extends SparseConvolution {
  /** [panels, height, width, channels, 32] */
  readonly images: Vec;
  /** [panels, outHeight, outWidth, outputs, 32] */
  readonly deltas: Vec;
  /** [entries], overwritten */
  readonly out: Vec;
}
