/** Curvature that is a Kronecker product in every layer and zero between layers; see kfac.ts for the formula. */
import {
  type Curvature,
  type CurvatureBlock,
  type InverseView,
  type Kernels,
  type Mat,
  matrix,
  type Vec,
} from "@secateur/core";
import { invertSpd } from "@secateur/core/linalg";
import { notKronecker } from "../errors.ts";

/** One layer's factors, undamped, f64. */
export interface KroneckerFactors {
  readonly param: string;
  /** [in, in] */
  readonly A: Mat;
  /** [out, out] */
  readonly B: Mat;
}

/**
 * The damped curvature of some layers, in their flat order. `apply` costs out * in * (out + in) a layer. `inverse` exists
 * for all weights, or for the weights of whole layers; its block of chosen weights costs one look-up an entry.
 *
 * @throws on `inverse`: ERR_SINGULAR naming layer, pivot and damping; ERR_INCOMPATIBLE for parts of layers
 */
export function kroneckerCurvature(spec: {
  factors: readonly KroneckerFactors[];
  damping: number;
  kernels: Kernels;
}): Curvature {
  const { kernels, damping } = spec;
  const layers = spec.factors.map((factors) => dampedFactors(factors, damping));
  const starts = startsOf(layers);
  return {
    dim: starts[layers.length]!,
    diagonal: () => diagonalOf(layers),
    apply: (x, out) => applyLayers({ layers, x, out, kernels }),
    blocks: () =>
      layers.map((_, l): CurvatureBlock => {
        const factors = [spec.factors[l]!];
        const size = starts[l + 1]! - starts[l]!;
        return { start: starts[l]!, size, curvature: kroneckerCurvature({ factors, damping, kernels }) };
      }),
    inverse(support) {
      const chosen = support ? wholeLayers(support, starts) : layers.map((_, l) => l);
      const inverted = chosen.map((l) => invertLayer({ layer: layers[l]!, damping, kernels }));
      return inverseView(inverted, kernels);
    },
  };
}

function dampedFactors({ param, A, B }: KroneckerFactors, damping: number): KroneckerFactors {
  const [a, b] = [meanDiagonal(A), meanDiagonal(B)];
  // Where a factor is zero there is nothing to balance.
  const pi = a > 0 && b > 0 ? Math.sqrt(a / b) : 1;
  const root = Math.sqrt(damping);
  return { param, A: plusDiagonal(A, pi * root), B: plusDiagonal(B, root / pi) };
}

function meanDiagonal(M: Mat): number {
  let sum = 0;
  for (let j = 0; j < M.rows; j++) sum += M.data[j * M.cols + j]!;
  return sum / M.rows;
}

function plusDiagonal(M: Mat, value: number): Mat {
  const data = Float64Array.from(M.data);
  for (let j = 0; j < M.rows; j++) data[j * M.cols + j]! += value;
  return { ...M, data };
}

/** Where each layer starts, and at the end the number of weights. */
function startsOf(layers: readonly KroneckerFactors[]): readonly number[] {
  const starts = [0];
  for (const { A, B } of layers) starts.push(starts[starts.length - 1]! + A.rows * B.rows);
  return starts;
}

function diagonalOf(layers: readonly KroneckerFactors[]): Float64Array {
  const out = new Float64Array(startsOf(layers)[layers.length]!);
  let place = 0;
  for (const { A, B } of layers) {
    for (let o = 0; o < B.rows; o++) {
      for (let i = 0; i < A.rows; i++) out[place++] = B.data[o * B.cols + o]! * A.data[i * A.cols + i]!;
    }
  }
  return out;
}

/** out = B W A for every layer's W [out, in]. */
function applyLayers(spec: { layers: readonly KroneckerFactors[]; x: Vec; out: Vec; kernels: Kernels }): void {
  const { layers, x, out, kernels } = spec;
  let start = 0;
  for (const { A, B } of layers) {
    const size = A.rows * B.rows;
    const W = matrix(B.rows, A.rows, Float64Array.from(x.subarray(start, start + size)));
    const left = matrix(B.rows, A.rows, new Float64Array(size));
    kernels.gemm({ a: B, b: W, out: left });
    kernels.gemm({ a: left, b: A, out: W });
    out.set(W.data, start);
    start += size;
  }
}

/** The layers that a support consists of. */
function wholeLayers(support: Uint32Array, starts: readonly number[]): readonly number[] {
  const chosen: number[] = [];
  let place = 0;
  for (let l = 0; l + 1 < starts.length; l++) {
    const [start, end] = [starts[l]!, starts[l + 1]!];
    if (support[place] !== start || support[place + end - start - 1] !== end - 1) continue;
    chosen.push(l);
    place += end - start;
  }
  if (place !== support.length) {
    throw notKronecker("it can be inverted for whole layers only, not for some of their weights");
  }
  return chosen;
}

function invertLayer(spec: { layer: KroneckerFactors; damping: number; kernels: Kernels }): KroneckerFactors {
  const { layer, damping, kernels } = spec;
  const inverse = (M: Mat, factor: string): Mat => {
    const H = matrix(M.rows, M.cols, kernels.alloc(M.data.length, "f64"));
    H.data.set(M.data);
    return invertSpd({ H, damping, what: `inverse: factor ${factor} of layer '${layer.param}'`, kernels });
  };
  return { param: layer.param, A: inverse(layer.A, "A (inputs)"), B: inverse(layer.B, "B (output gradients)") };
}

/** The inverse of a Kronecker product is the Kronecker product of the inverses. */
function inverseView(layers: readonly KroneckerFactors[], kernels: Kernels): InverseView {
  const starts = startsOf(layers);
  const dim = starts[layers.length]!;
  const layerOf = (j: number): number => starts.findIndex((start) => start > j) - 1;
  const entry = (i: number, j: number): number => {
    const l = layerOf(i);
    if (l !== layerOf(j)) return 0;
    const { A, B } = layers[l]!;
    const [row, col] = [i - starts[l]!, j - starts[l]!];
    const outs = Math.floor(row / A.rows) * B.cols + Math.floor(col / A.rows);
    return B.data[outs]! * A.data[(row % A.rows) * A.cols + (col % A.rows)]!;
  };
  return {
    dim,
    diagonal: () => diagonalOf(layers),
    apply: (x, out) => applyLayers({ layers, x, out, kernels }),
    column(j, out) {
      for (let i = 0; i < dim; i++) out[i] = entry(i, j);
    },
    block(chosen) {
      const size = chosen.length;
      const out = matrix(size, size, new Float64Array(size * size));
      for (let s = 0; s < size; s++) {
        for (let t = 0; t < size; t++) out.data[s * size + t] = entry(chosen[s]!, chosen[t]!);
      }
      return out;
    },
    release() {
      for (const { A, B } of layers) {
        kernels.free(A.data);
        kernels.free(B.data);
      }
    },
  };
}
