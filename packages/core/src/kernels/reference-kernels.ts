/**
 * The kernels in plain TypeScript: the readable reference, and the oracle that other backends are tested against.
 *
 * Every sum of products accumulates in f64, also over f32 operands (rounded once, when stored), so that results are at
 * least as exact as any backend's. Loops run along rows, which keeps them reasonably quick; there is no blocking.
 */

import type { Dtype, Mat, Vec } from "../problem/matrix.ts";
import {
  checkAddRow,
  checkAffineColumns,
  checkCholesky,
  checkColumnDots,
  checkColumnSums,
  checkCrossEntropy,
  checkElementwise,
  checkGatherColumns,
  checkGemm,
  checkGemv,
  checkGram,
  checkLargest,
  checkRowDots,
  checkScaleRows,
  checkTriangularSolve,
} from "./kernel-shapes.ts";
import type {
  AffineColumnsSpec,
  CrossEntropySpec,
  GemmSpec,
  GemvSpec,
  GramSpec,
  Kernels,
  TriangularSolveSpec,
} from "./kernels.ts";
import { chainGram, chainSquares, chainTimes, chainTransposeTimes } from "./panels/reference-chain.ts";
import { panelProducts, sparseTimes } from "./panels/reference-sparse.ts";
import { sparseConvolve, sparseConvolveBack, sparseGradients } from "./panels/reference-sparse-convolution.ts";
import { convolutionGradients, convolve, convolveBack } from "./reference-convolution.ts";
import { momentumStep } from "./reference-momentum.ts";
import { gatherWindows, maxWindows, scatterWindows, transposeBlocks } from "./reference-windows.ts";
import { gramOfWindows } from "./window-gram.ts";

/**
 * Single-threaded kernels in plain TypeScript; f64 accumulation throughout. Time is that of textbook loops (about
 * 1 GFLOPS), memory beyond the operands at most one f64 row (a copy of the scores in `largest`).
 *
 * @example
 * const out = matrix(2, 2);
 * referenceKernels.gemm({ a: matrix(2, 1, Float32Array.of(1, 2)), b: matrix(1, 2, Float32Array.of(3, 4)), out });
 * // out.data is [3, 4, 6, 8]
 */
export const referenceKernels: Kernels = {
  name: "reference",
  threads: 1,
  alloc,
  free: () => undefined,
  gemm,
  gram,
  gemv,
  cholesky,
  triangularSolve,
  dot,
  axpy,
  multiply,
  scaleRows,
  rowDots,
  columnSums,
  addRow,
  columnDots,
  affineColumns,
  transposeBlocks,
  gatherWindows,
  scatterWindows,
  maxWindows,
  windowGram: (spec) => gramOfWindows(spec, referenceKernels),
  convolve,
  convolveBack,
  convolutionGradients,
  gatherColumns,
  momentumStep,
  sparseTimes,
  sparseConvolve,
  sparseConvolveBack,
  sparseGradients,
  panelProducts,
  chainTimes,
  chainTransposeTimes,
  chainGram,
  chainSquares,
  largest,
  relu,
  reluBackward,
  softmaxCrossEntropy,
};

function alloc(length: number, dtype: Dtype): Vec {
  return dtype === "f64" ? new Float64Array(length) : new Float32Array(length);
}

/** Row i of op(a) times op(b), one row of f64 sums at a time: the inner loop runs along rows of b wherever it can. */
function gemm(spec: GemmSpec): void {
  const { m, n, k } = checkGemm(spec);
  const { transposeA = false, transposeB = false, alpha = 1, beta = 0 } = spec;
  const a = spec.a.data;
  const b = spec.b.data;
  const out = spec.out.data;
  const sums = new Float64Array(n);
  for (let i = 0; i < m; i++) {
    sums.fill(0);
    if (transposeB) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let l = 0; l < k; l++) sum += at(a, transposeA ? l * m + i : i * k + l) * at(b, j * k + l);
        sums[j] = sum;
      }
    } else {
      for (let l = 0; l < k; l++) {
        const value = at(a, transposeA ? l * m + i : i * k + l);
        for (let j = 0; j < n; j++) sums[j] = at(sums, j) + value * at(b, l * n + j);
      }
    }
    for (let j = 0; j < n; j++) store(out, i * n + j, alpha * at(sums, j), beta);
  }
}

/** The lower triangle is computed, then copied: both halves are the same bytes. */
function gram(spec: GramSpec): void {
  const { n, k } = checkGram(spec);
  const { transpose = false, alpha = 1, beta = 0 } = spec;
  const a = spec.a.data;
  const out = spec.out.data;
  const sums = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    sums.fill(0);
    if (transpose) {
      for (let l = 0; l < k; l++) {
        const value = at(a, l * n + i);
        for (let j = 0; j <= i; j++) sums[j] = at(sums, j) + value * at(a, l * n + j);
      }
    } else {
      for (let j = 0; j <= i; j++) {
        let sum = 0;
        for (let l = 0; l < k; l++) sum += at(a, i * k + l) * at(a, j * k + l);
        sums[j] = sum;
      }
    }
    for (let j = 0; j <= i; j++) store(out, i * n + j, alpha * at(sums, j), beta);
  }
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) out[j * n + i] = at(out, i * n + j);
}

function gemv(spec: GemvSpec): void {
  checkGemv(spec);
  const { x, out, transpose = false, alpha = 1, beta = 0 } = spec;
  const { rows, cols, data: a } = spec.a;
  if (transpose) {
    const sums = new Float64Array(cols);
    for (let i = 0; i < rows; i++) {
      const value = at(x, i);
      for (let j = 0; j < cols; j++) sums[j] = at(sums, j) + value * at(a, i * cols + j);
    }
    for (let j = 0; j < cols; j++) store(out, j, alpha * at(sums, j), beta);
  } else {
    for (let i = 0; i < rows; i++) {
      let sum = 0;
      for (let j = 0; j < cols; j++) sum += at(a, i * cols + j) * at(x, j);
      store(out, i, alpha * sum, beta);
    }
  }
}

/** Cholesky-Banachiewicz, row by row: L[i, j] = (A[i, j] - L[i, :j] L[j, :j]') / L[j, j]. */
function cholesky(mat: Mat): number {
  checkCholesky(mat);
  const n = mat.rows;
  const a = mat.data;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      let sum = at(a, i * n + j);
      for (let l = 0; l < j; l++) sum -= at(a, i * n + l) * at(a, j * n + l);
      a[i * n + j] = sum / at(a, j * n + j);
    }
    let pivot = at(a, i * n + i);
    for (let l = 0; l < i; l++) pivot -= at(a, i * n + l) ** 2;
    // Written so that NaN fails too; an infinite pivot would make every later entry NaN.
    if (!(pivot > 0 && pivot < Number.POSITIVE_INFINITY)) return i;
    a[i * n + i] = Math.sqrt(pivot);
    a.fill(0, i * n + i + 1, (i + 1) * n);
  }
  return -1;
}

/** Forward substitution (L) runs down the rows, back substitution (L') up; all right-hand sides advance together. */
function triangularSolve(spec: TriangularSolveSpec): void {
  checkTriangularSolve(spec);
  const { transpose = false } = spec;
  const l = spec.l.data;
  const b = spec.b.data;
  const n = spec.l.rows;
  const m = spec.b.cols;
  const sums = new Float64Array(m);
  for (let step = 0; step < n; step++) {
    const i = transpose ? n - 1 - step : step;
    for (let j = 0; j < m; j++) sums[j] = at(b, i * m + j);
    const [from, to] = transpose ? [i + 1, n] : [0, i];
    for (let p = from; p < to; p++) {
      const value = at(l, transpose ? p * n + i : i * n + p);
      for (let j = 0; j < m; j++) sums[j] = at(sums, j) - value * at(b, p * m + j);
    }
    const diagonal = at(l, i * n + i);
    for (let j = 0; j < m; j++) b[i * m + j] = at(sums, j) / diagonal;
  }
}

function dot(a: Vec, b: Vec): number {
  checkElementwise("dot", a, b);
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += at(a, i) * at(b, i);
  return sum;
}

function axpy(alpha: number, x: Vec, y: Vec): void {
  checkElementwise("axpy", x, y);
  for (let i = 0; i < x.length; i++) y[i] = at(y, i) + alpha * at(x, i);
}

function multiply(a: Vec, b: Vec, out: Vec): void {
  checkElementwise("multiply", a, b, out);
  for (let i = 0; i < a.length; i++) out[i] = at(a, i) * at(b, i);
}

function scaleRows(a: Mat, scales: Vec, out: Mat): void {
  checkScaleRows(a, scales, out);
  for (let i = 0; i < a.rows; i++) {
    const scale = at(scales, i);
    for (let p = i * a.cols; p < (i + 1) * a.cols; p++) out.data[p] = scale * at(a.data, p);
  }
}

function rowDots(a: Mat, b: Mat, out: Vec, beta: number): void {
  checkRowDots(a, b, out);
  for (let i = 0; i < a.rows; i++) {
    let sum = 0;
    for (let p = i * a.cols; p < (i + 1) * a.cols; p++) sum += at(a.data, p) * at(b.data, p);
    store(out, i, sum, beta);
  }
}

function columnSums(a: Mat, out: Vec): void {
  checkColumnSums(a, out);
  const sums = new Float64Array(a.cols);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.cols; j++) sums[j] = at(sums, j) + at(a.data, i * a.cols + j);
  }
  out.set(sums);
}

function columnDots(a: Mat, b: Mat, out: Vec): void {
  checkColumnDots(a, b, out);
  const sums = new Float64Array(a.cols);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.cols; j++) {
      const place = i * a.cols + j;
      sums[j] = at(sums, j) + at(a.data, place) * at(b.data, place);
    }
  }
  out.set(sums);
}

function affineColumns(spec: AffineColumnsSpec): void {
  checkAffineColumns(spec);
  const { a, alpha, b, beta, gamma, out } = spec;
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.cols; j++) {
      const place = i * a.cols + j;
      let value = (alpha ? at(alpha, j) : 1) * at(a.data, place);
      if (b) value += (beta ? at(beta, j) : 1) * at(b.data, place);
      out.data[place] = value + (gamma ? at(gamma, j) : 0);
    }
  }
}

function addRow(a: Mat, row: Vec): void {
  checkAddRow(a, row);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.cols; j++) a.data[i * a.cols + j] = at(a.data, i * a.cols + j) + at(row, j);
  }
}

function gatherColumns(a: Mat, columns: Uint32Array, out: Mat): void {
  checkGatherColumns(a, columns, out);
  for (let i = 0; i < a.rows; i++) {
    for (let s = 0; s < columns.length; s++) {
      out.data[i * columns.length + s] = at(a.data, i * a.cols + (columns[s] as number));
    }
  }
}

/** Sorts the scores to find the k-th largest, keeps all above it, and fills up with the first ones equal to it. */
function largest(scores: Vec, k: number): Uint32Array {
  checkLargest(scores, k);
  const chosen = new Uint32Array(k);
  if (k === 0) return chosen;
  // Adding 0 turns -0 into 0: typed arrays sort -0 before 0, but the two are a tie.
  const ordered = scores.map((score) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score + 0)) as Vec;
  const bar = at(ordered.slice().sort(), scores.length - k);
  let ties = k;
  for (const score of ordered) if (score > bar) ties--;
  let count = 0;
  for (let i = 0; i < ordered.length; i++) {
    const score = at(ordered, i);
    if (score > bar || (score === bar && ties-- > 0)) chosen[count++] = i;
  }
  return chosen;
}

function relu(x: Vec, out: Vec): void {
  checkElementwise("relu", x, out);
  for (let i = 0; i < x.length; i++) out[i] = Math.max(at(x, i), 0);
}

function reluBackward(activation: Vec, gradient: Vec, out: Vec): void {
  checkElementwise("reluBackward", activation, gradient, out);
  for (let i = 0; i < out.length; i++) out[i] = at(activation, i) > 0 ? at(gradient, i) : 0;
}

/** loss = log(sum_j exp(z_j - z_max)) - (z_label - z_max): no overflow, and no log of an underflowed probability. */
function softmaxCrossEntropy(spec: CrossEntropySpec): number {
  checkCrossEntropy(spec);
  const { labels, loss, delta } = spec;
  const { rows, cols, data: logits } = spec.logits;
  const exponentials = new Float64Array(cols);
  let total = 0;
  for (let i = 0; i < rows; i++) {
    const label = labels[i] as number;
    let top = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < cols; j++) top = Math.max(top, at(logits, i * cols + j));
    let sum = 0;
    for (let j = 0; j < cols; j++) {
      const value = Math.exp(at(logits, i * cols + j) - top);
      exponentials[j] = value;
      sum += value;
    }
    const own = Math.log(sum) - (at(logits, i * cols + label) - top);
    loss[i] = own;
    total += own;
    if (delta === undefined) continue;
    for (let j = 0; j < cols; j++) delta.data[i * cols + j] = at(exponentials, j) / sum - (j === label ? 1 : 0);
  }
  return total;
}

/** out[i] = value + beta * out[i]; beta 0 overwrites NaN too. */
function store(out: Vec, i: number, value: number, beta: number): void {
  out[i] = beta === 0 ? value : value + beta * at(out, i);
}

/** An entry whose index the loop bounds have proved to exist. */
function at(vector: Vec, i: number): number {
  return vector[i] as number;
}
