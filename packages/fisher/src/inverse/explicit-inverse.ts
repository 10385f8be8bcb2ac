/**
 * H^-1 of H = scale G'G + lambda I, G [n, c], written out as a c x c matrix, for blocks of weights:
 *   primal      Cholesky of H, n c^2 / 2 + c^3 multiply-adds in matrix products;
 *   recursion   F_0 = I / lambda, F -= (F g)(F g)' / (1 / scale + g'F g) for every row g, n c^2 multiply-adds
 *               (WoodFisher, Singh and Alistarh 2020, equation 6, with scale = 1 / n).
 * Both in f64, with the same result; the recursion needs lambda > 0.
 */
import { type InverseView, type Kernels, type Mat, matrix } from "@secateur/core";
import { singularCurvature, undampedRecursion } from "../errors.ts";
import { columnTile } from "../rows/column-subset.ts";
import type { StoredFactor } from "../rows/row-factor.ts";
import { range } from "./dual-inverse.ts";

/** The inverse by Cholesky. Memory: 16 c^2 + 8 n c bytes at the peak, 8 c^2 kept. @throws ERR_SINGULAR naming the pivot */
export async function primalInverse(view: StoredFactor, kernels: Kernels): Promise<InverseView> {
  const { dim: c, scale, damping } = view;
  const G = await rowsInF64(view, kernels);
  const H = matrix(c, c, kernels.alloc(c * c, "f64"));
  kernels.gram({ a: G, transpose: true, out: H, alpha: scale });
  kernels.free(G.data);
  for (let j = 0; j < c; j++) H.data[j * c + j]! += damping;
  return matrixInverse(invertInPlace({ H, damping, what: "the curvature", kernels }), kernels);
}

/** The inverse by rank-one updates. Memory: 16 c^2 + 8 n c bytes. @throws ERR_SINGULAR without damping */
export async function recursiveInverse(view: StoredFactor, kernels: Kernels): Promise<InverseView> {
  const { rows, dim: c, scale, damping } = view;
  if (!(damping > 0)) throw undampedRecursion({ rows, dim: c, damping });
  const G = await rowsInF64(view, kernels);
  const F = matrix(c, c, kernels.alloc(c * c, "f64"));
  for (let j = 0; j < c; j++) F.data[j * c + j] = 1 / damping;
  const image = new Float64Array(c);
  for (let i = 0; i < rows; i++) {
    const g = G.data.subarray(i * c, (i + 1) * c);
    kernels.gemv({ a: F, x: g, out: image });
    const alpha = -1 / (1 / scale + kernels.dot(g, image));
    kernels.gemm({ a: matrix(c, 1, image), b: matrix(1, c, image), out: F, alpha, beta: 1 });
  }
  kernels.free(G.data);
  return matrixInverse(F, kernels);
}

/**
 * Replaces a symmetric positive definite H [c, c] f64 by its inverse. c^3 multiply-adds; one more c x c matrix meanwhile.
 *
 * @throws ERR_SINGULAR naming `what`, the first pivot that is no more than rounding, and the damping
 */
export function invertInPlace(spec: { H: Mat; damping: number; what: string; kernels: Kernels }): Mat {
  const { H, damping, what, kernels } = spec;
  const c = H.rows;
  const diagonal = Float64Array.from({ length: c }, (_, j) => H.data[j * c + j]!);
  const failed = kernels.cholesky(H);
  // A pivot that is only the rounding of its diagonal entry says as little as a negative one.
  const lost = (j: number): boolean => H.data[j * c + j]! ** 2 <= c * Number.EPSILON * diagonal[j]!;
  const pivot = failed >= 0 ? failed : diagonal.findIndex((_, j) => lost(j));
  if (pivot >= 0) throw singularCurvature({ what, pivot, damping });
  const X = matrix(c, c, kernels.alloc(c * c, "f64"));
  for (let j = 0; j < c; j++) X.data[j * c + j] = 1;
  kernels.triangularSolve({ l: H, b: X });
  kernels.gram({ a: X, transpose: true, out: H });
  kernels.free(X.data);
  return H;
}

/** Views of an inverse that is written out [c, c]; the matrix is freed with the view. */
function matrixInverse(F: Mat, kernels: Kernels): InverseView {
  const c = F.rows;
  return {
    dim: c,
    diagonal: () => Float64Array.from({ length: c }, (_, j) => F.data[j * c + j]!),
    column: (j, out) => out.set(F.data.subarray(j * c, (j + 1) * c)),
    apply(x, out) {
      const result = new Float64Array(c);
      kernels.gemv({ a: F, x: Float64Array.from(x), out: result });
      out.set(result);
    },
    block(chosen) {
      const out = matrix(chosen.length, chosen.length, new Float64Array(chosen.length ** 2));
      chosen.forEach((i, s) => {
        chosen.forEach((j, t) => {
          out.data[s * chosen.length + t] = F.data[i * c + j]!;
        });
      });
      return out;
    },
    release: () => kernels.free(F.data),
  };
}

async function rowsInF64(view: StoredFactor, kernels: Kernels): Promise<Mat> {
  const { rows, dim } = view;
  const G = matrix(rows, dim, kernels.alloc(rows * dim, "f64"));
  for (let start = 0; start < dim; start += columnTile) {
    const chosen = range(start, Math.min(start + columnTile, dim));
    const tile = matrix(rows, chosen.length, kernels.alloc(rows * chosen.length, view.dtype));
    await view.columns(chosen, tile);
    for (let i = 0; i < rows; i++) {
      G.data.set(tile.data.subarray(i * chosen.length, (i + 1) * chosen.length), i * dim + start);
    }
    kernels.free(tile.data);
  }
  return G;
}
