/**
 * The factor view of a Kronecker-factored curvature: with B = L_B L_B' and A = L_A L_A' by Cholesky, a layer's block
 *   B (x) A = G'G,   G = L_B' (x) L_A',   G vec(D) = vec(L_B' D L_A),
 * so that solvers which work on gradient rows take it as it is: p rows, each layer's its own.
 */
import {
  type FactorView,
  type InverseView,
  type Kernels,
  type LayerMoments,
  type Mat,
  matrix,
  type Vec,
  zeros,
} from "@secateur/core";
import { diagonalOf, factorize, gemmSpeedUp } from "@secateur/core/linalg";
import { columnPanels, keptProducts } from "./kept-products.ts";
import { kroneckerCurvature } from "./kronecker-curvature.ts";

/** One layer's factors. */
interface Block {
  readonly start: number;
  /** [out, in] is the shape of its weights. */
  readonly out: number;
  readonly in: number;
  /** f32, in kernel memory, as are the next two. */
  readonly LA: Mat;
  readonly LB: Mat;
  /** The damped factors themselves. */
  readonly singleA: Mat;
  readonly singleB: Mat;
  /** f64 */
  readonly A: Mat;
  readonly B: Mat;
  /** Diagonals of A and B. */
  readonly a: Float64Array;
  readonly b: Float64Array;
  /** A in panels, once products over few weights have asked for it; kernel memory. */
  panels?: Vec | undefined;
}

/** A view, and what it holds in kernel memory. */
export interface KroneckerFactor extends FactorView {
  /** The inverse of all of G'G, or of its block of whole layers: an inverse of either factor a layer. */
  inverse(support?: Uint32Array): InverseView;
  release(): void;
}

/**
 * Sets the view up. Time: in^3 / 3 + out^3 / 3 a layer; a product, with G, G' or G'G, costs in out (in + out). Memory: 16 (in^2 + out^2) bytes a layer.
 *
 * @param spec.layers - in flat order; the moments are copied
 * @param spec.share - what is added to each factor, in means of its diagonal, > 0: also a layer that was never active has an inverse
 * @throws ERR_SINGULAR naming the layer
 */
export function kroneckerFactor(spec: {
  layers: readonly LayerMoments[];
  share: number;
  kernels: Kernels;
}): KroneckerFactor {
  const { layers, share, kernels } = spec;
  let dim = 0;
  const blocks = layers.map((layer): Block => {
    const block = blockOf({ layer, start: dim, share, kernels });
    dim += block.in * block.out;
    return block;
  });
  let norms: Float64Array | undefined;
  const view: KroneckerFactor = {
    rows: dim,
    dim,
    dtype: "f32",
    productCost: blocks.reduce((sum, block) => sum + costOf(block), 0) / gemmSpeedUp,
    scale: 1,
    damping: 0,
    times: (x, out) => multiply({ blocks, x, out, kernels, by: "G" }),
    transposeTimes: (u, out) => multiply({ blocks, x: u, out, kernels, by: "G'" }),
    gramTimes: (x, out) => multiply({ blocks, x, out, kernels, by: "G'G" }),
    columnGram: (support, out) => writeColumnGram(blocks, support, out),
    restricted: (support) => restrictedView(view, { blocks, support, kernels }),
    inverse(support) {
      const factors = blocks.map(({ A, B }, l) => ({ param: layers[l]!.param, A, B }));
      return kroneckerCurvature({ factors, damping: 0, kernels }).inverse!(support) as InverseView;
    },
    columnNormsSquared() {
      norms ??= diagonalProducts(blocks, dim);
      return norms;
    },
    release() {
      for (const block of blocks) {
        for (const name of ["LA", "LB", "singleA", "singleB"] as const) kernels.free(block[name].data);
        if (block.panels) kernels.free(block.panels);
      }
    },
  };
  return view;
}

/** The view over some weights: with G'G only these are multiplied and only these come out. */
function restrictedView(
  view: FactorView,
  spec: { blocks: readonly Block[]; support: Uint32Array; kernels: Kernels },
): FactorView & { release(): void } {
  const { blocks, support, kernels } = spec;
  const { dim, dtype } = view;
  let first = 0;
  const parts = blocks.map((block) => {
    const end = block.start + block.in * block.out;
    const from = first;
    while (first < support.length && support[first]! < end) first++;
    const places = support.subarray(from, first).map((j) => j - block.start);
    block.panels ??= kernels.sparseGradients ? columnPanels(block.singleA, kernels) : undefined;
    const products =
      block.panels && keptProducts({ A: block.singleA, B: block.singleB, panels: block.panels }, places, kernels);
    const size = products ? 0 : block.in * block.out;
    return { block, from, places, products, X: zeros(size, dtype), result: zeros(size, dtype) };
  });
  const whole = zeros(dim, dtype);
  const scattered = (x: Vec): Vec => {
    whole.fill(0);
    for (let s = 0; s < support.length; s++) whole[support[s]!] = x[s]!;
    return whole;
  };
  return {
    ...{ rows: view.rows, dim: support.length, dtype, scale: view.scale, damping: view.damping },
    productCost: parts.reduce((sum, { block, products }) => sum + (products?.cost ?? costOf(block)), 0) / gemmSpeedUp,
    times: (x, out) => view.times(scattered(x), out),
    async transposeTimes(u, out) {
      const all = zeros(dim, dtype);
      await view.transposeTimes(u, all);
      for (let s = 0; s < support.length; s++) out[s] = all[support[s]!]!;
    },
    gramTimes(x, out) {
      for (const { block, from, places, products, X, result } of parts) {
        const to = from + places.length;
        if (products) {
          products.multiply(x.subarray(from, to), out.subarray(from, to));
          continue;
        }
        // One layer, as a whole; where nothing is kept X stays zero.
        for (let e = 0; e < places.length; e++) X[places[e]!] = x[from + e]!;
        multiply({ blocks: [{ ...block, start: 0 }], x: X, out: result, kernels, by: "G'G" });
        for (let e = 0; e < places.length; e++) out[from + e] = result[places[e]!]!;
      }
    },
    columnGram: (inner, out) =>
      writeColumnGram(
        blocks,
        inner.map((s) => support[s]!),
        out,
      ),
    columnNormsSquared() {
      const all = view.columnNormsSquared();
      return Float64Array.from(support, (j) => all[j]!);
    },
    release() {
      for (const { products } of parts) products?.release();
    },
  };
}

/** Multiply-adds of a product with a whole block. */
function costOf(block: Block): number {
  return block.in * block.out * (block.in + block.out);
}

/** b_o a_i at weight (o, i) of every layer. */
function diagonalProducts(blocks: readonly Block[], dim: number): Float64Array {
  const out = new Float64Array(dim);
  let place = 0;
  for (const { a, b } of blocks) {
    for (let o = 0; o < b.length; o++) for (let i = 0; i < a.length; i++) out[place++] = a[i]! * b[o]!;
  }
  return out;
}

function blockOf(spec: { layer: LayerMoments; start: number; share: number; kernels: Kernels }): Block {
  const { layer, start, share, kernels } = spec;
  const { inputs, deltas, param } = layer;
  const A = damped(inputs, share);
  const B = damped(deltas, share);
  const [a, b] = [diagonalOf(A), diagonalOf(B)];
  // The Cholesky factors take the place of what they are made from.
  const copy = (M: Mat): Mat => ({ ...M, data: M.data.slice() });
  return {
    A: copy(A),
    B: copy(B),
    start,
    out: B.rows,
    in: A.rows,
    singleA: single(A, kernels),
    singleB: single(B, kernels),
    LA: lower(A, { what: `factor A (inputs) of layer '${param}'`, share, kernels }),
    LB: lower(B, { what: `factor B (output gradients) of layer '${param}'`, share, kernels }),
    a,
    b,
  };
}

/** M + share mean(diag M) I; `tiny` times the identity where M is zero. */
function damped(M: Mat, share: number): Mat {
  const data = Float64Array.from(M.data);
  const mean = diagonalOf(M).reduce((sum, value) => sum + value, 0) / M.rows;
  for (let j = 0; j < M.rows; j++) data[j * M.cols + j]! += Math.max(share * mean, tiny);
  return { ...M, data };
}

/** Keeps the factors of a layer that was never active away from zero; its square is still a normal f64. */
const tiny = 1e-30;

/** L with L L' = M, as f32 in kernel memory. M is overwritten. */
function lower(M: Mat, spec: { what: string; share: number; kernels: Kernels }): Mat {
  const { what, share, kernels } = spec;
  factorize({ H: M, what, damping: share, kernels });
  return single(M, kernels);
}

/** As f32 in kernel memory. */
function single(M: Mat, kernels: Kernels): Mat {
  const data = kernels.alloc(M.data.length, "f32");
  data.set(M.data);
  return { ...M, data };
}

/** out[s, t] = B[o_s, o_t] A[i_s, i_t] for weights (o, i) of one layer, 0 for weights of two. */
function writeColumnGram(blocks: readonly Block[], support: Uint32Array, out: Mat): void {
  out.data.fill(0);
  let first = 0;
  for (const { start, A, B } of blocks) {
    const end = start + A.rows * B.rows;
    let last = first;
    while (last < support.length && support[last]! < end) last++;
    for (let s = first; s < last; s++) {
      const [outRow, inRow] = [Math.floor((support[s]! - start) / A.rows), (support[s]! - start) % A.rows];
      for (let t = first; t < last; t++) {
        const [outCol, inCol] = [Math.floor((support[t]! - start) / A.rows), (support[t]! - start) % A.rows];
        out.data[s * out.cols + t] = B.data[outRow * B.cols + outCol]! * A.data[inRow * A.cols + inCol]!;
      }
    }
    first = last;
  }
}

/** out = L_B' X L_A for every layer's X; by G' L_B X L_A', by G'G B X A. */
function multiply(spec: {
  blocks: readonly Block[];
  x: Vec;
  out: Vec;
  kernels: Kernels;
  by: "G" | "G'" | "G'G";
}): void {
  const { blocks, x, out, kernels, by } = spec;
  const source = x instanceof Float32Array ? x : Float32Array.from(x);
  const most = Math.max(0, ...blocks.map((block) => block.in * block.out));
  const [left, result] = [kernels.alloc(most, "f32"), kernels.alloc(most, "f32")];
  for (const block of blocks) {
    const { start, out: rows, in: cols } = block;
    const size = rows * cols;
    const half = matrix(rows, cols, left.subarray(0, size));
    const whole = matrix(rows, cols, result.subarray(0, size));
    const [a, b] = by === "G'G" ? [block.singleB, block.singleA] : [block.LB, block.LA];
    kernels.gemm({
      a,
      transposeA: by === "G",
      b: matrix(rows, cols, source.subarray(start, start + size)),
      out: half,
    });
    kernels.gemm({ a: half, b, transposeB: by === "G'", out: whole });
    out.set(whole.data, start);
  }
  kernels.free(left);
  kernels.free(result);
}
