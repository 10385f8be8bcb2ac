/**
 * H^-1 of H = scale G'G + lambda I, G [n, c], written out as a c x c matrix, for blocks of weights:
 *   primal      Cholesky of H, n c^2 / 2 + c^3 multiply-adds in matrix products;
 *   recursion   F_0 = I / lambda, F -= (F g)(F g)' / (1 / scale + g'F g) for every row g, n c^2 multiply-adds
 *               (WoodFisher, Singh and Alistarh 2020, equation 6, with scale = 1 / n).
 * Both in f64, with the same result; the recursion needs lambda > 0.
 */
import { type InverseView, type Kernels, type Mat, matrix } from "@secateur/core";
import { addToDiagonal, filledVector, indices, invertSpd, withScratch, writeColumns } from "@secateur/core/linalg";
import { undampedRecursion } from "../errors.ts";
import type { StoredFactor } from "../rows/row-factor.ts";

/** The inverse by Cholesky. Memory: 16 c^2 + 8 n c bytes at the peak, 8 c^2 kept. @throws ERR_SINGULAR naming the pivot */
export async function primalInverse(view: StoredFactor, kernels: Kernels): Promise<InverseView> {
  const { rows, dim: c, scale, damping } = view;
  const inverse = await filledVector({ kernels, length: c * c, dtype: "f64" }, async (data) => {
    const H = matrix(c, c, data);
    await withScratch(kernels, async (alloc) => {
      const G = matrix(rows, c, alloc(rows * c, "f64"));
      await writeColumns({ view, columns: indices(0, c), out: G, kernels });
      kernels.gram({ a: G, transpose: true, out: H, alpha: scale });
    });
    addToDiagonal(H, damping);
    invertSpd({ H, damping, what: "inverse: the curvature", kernels });
  });
  return matrixInverse(matrix(c, c, inverse), kernels);
}

/** The inverse by rank-one updates. Memory: 16 c^2 + 8 n c bytes. @throws ERR_SINGULAR without damping */
export async function recursiveInverse(view: StoredFactor, kernels: Kernels): Promise<InverseView> {
  const { rows, dim: c, scale, damping } = view;
  if (!(damping > 0)) throw undampedRecursion({ rows, dim: c, damping });
  const F = matrix(c, c, kernels.alloc(c * c, "f64"));
  addToDiagonal(F, 1 / damping);
  const image = new Float64Array(c);
  await withScratch(kernels, async (alloc) => {
    const G = matrix(rows, c, alloc(rows * c, "f64"));
    await writeColumns({ view, columns: indices(0, c), out: G, kernels });
    for (let i = 0; i < rows; i++) {
      const g = G.data.subarray(i * c, (i + 1) * c);
      kernels.gemv({ a: F, x: g, out: image });
      const alpha = -1 / (1 / scale + kernels.dot(g, image));
      kernels.gemm({ a: matrix(c, 1, image), b: matrix(1, c, image), out: F, alpha, beta: 1 });
    }
  });
  return matrixInverse(F, kernels);
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
