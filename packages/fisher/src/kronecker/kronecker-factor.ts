/**
 * The factor view of a Kronecker-factored curvature: with B = L_B L_B' and A = L_A L_A' by Cholesky, a layer's block
 *   B (x) A = G'G,   G = L_B' (x) L_A',   G vec(D) = vec(L_B' D L_A),
 * so that solvers which work on gradient rows take it as it is: p rows, each layer's its own.
 */
import type { FactorView, InverseView, Kernels, LayerMoments, Mat } from "@secateur/core";
import { diagonalOf, factorize, gemmSpeedUp } from "@secateur/core/linalg";
import { type Block, costOf, multiply, writeColumnGram } from "./kronecker-block.ts";
import { kroneckerCurvature } from "./kronecker-curvature.ts";
import { restrictedView } from "./restricted-view.ts";

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
    columnGramCost: 1,
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
