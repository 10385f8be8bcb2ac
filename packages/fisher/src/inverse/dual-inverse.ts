/**
 * H^-1 of H = scale G'G + lambda I, G [n, p], from its n rows (Woodbury 1950):
 *   H^-1 = (I - scale/lambda G' M^-1 G) / lambda,   M = I + scale/lambda G G'   [n, n],   L L' = M
 *   [H^-1]_jj = (1 - scale/lambda ||L^-1 G_j||^2) / lambda
 * so that neither H nor its inverse is ever formed. WoodFisher's p x p recursion (Singh and Alistarh 2020) gives the same
 * numbers in p^2 memory.
 */
import { type InverseView, type Kernels, type Mat, matrix, type Vec } from "@secateur/core";
import { addToDiagonal, factorize, filledVector, indices, solveFactored } from "@secateur/core/linalg";
import { undampedDual } from "../errors.ts";
import type { StoredFactor } from "../rows/row-factor.ts";

/**
 * The inverse in dual form.
 * Time: n^2 p for the row Gram (n^2 (in + out) a layer with factored rows), n^3 / 3 for its factor, n^2 p / 2 for the
 * diagonal (computed once), two products and n^2 for `apply`. Memory: 8 n^2 bytes, and 8 n * 1024 while the diagonal is taken.
 *
 * @param view - damping > 0
 * @throws ERR_SINGULAR without damping
 */
export async function dualInverse(view: StoredFactor, kernels: Kernels): Promise<InverseView> {
  const { rows: n, dim, scale, damping } = view;
  if (!(damping > 0)) throw undampedDual({ rows: n, dim, damping });
  const weight = scale / damping;
  const root = await filledVector({ kernels, length: n * n, dtype: "f64" }, async (data) => {
    const gram = await view.rowGram();
    for (let i = 0; i < data.length; i++) data[i] = weight * gram.data[i]!;
    kernels.free(gram.data);
    const M = matrix(n, n, data);
    addToDiagonal(M, 1);
    // No pivot of I + weight G G' is below 1 but for the rounding of G G'.
    factorize({ H: M, what: "inverse: the row Gram", damping, rounding: 0, kernels });
  });
  const L = matrix(n, n, root);
  let diagonal: Float64Array | undefined;

  const apply = async (x: Vec, out: Vec): Promise<void> => {
    const image = new Float64Array(n);
    await view.times(Float64Array.from(x), image);
    solveFactored(L, image, kernels);
    const back = new Float64Array(dim);
    await view.transposeTimes(image, back);
    for (let j = 0; j < dim; j++) out[j] = (x[j]! - weight * back[j]!) / damping;
  };

  /** L^-1 G[:, chosen] [n, chosen.length], in kernel memory. */
  const whitened = async (chosen: Uint32Array): Promise<Mat> => {
    const gathered = matrix(n, chosen.length, kernels.alloc(n * chosen.length, view.dtype));
    await view.columns(chosen, gathered);
    const X = matrix(n, chosen.length, kernels.alloc(gathered.data.length, "f64"));
    X.data.set(gathered.data);
    kernels.free(gathered.data);
    kernels.triangularSolve({ l: L, b: X });
    return X;
  };

  return {
    dim,
    apply,
    async diagonal() {
      if (diagonal) return diagonal;
      const norms = view.columnNormsSquared();
      const found = new Float64Array(dim);
      for (let start = 0; start < dim; start += columnTile) {
        const chosen = indices(start, Math.min(start + columnTile, dim));
        const X = await whitened(chosen);
        const sums = new Float64Array(chosen.length);
        kernels.multiply(X.data, X.data, X.data);
        kernels.columnSums(X, sums);
        kernels.free(X.data);
        for (let s = 0; s < chosen.length; s++) {
          // [H^-1]_jj >= 1 / H_jj for every positive definite H; below it is what rounding left of the difference.
          const least = 1 / (scale * norms[start + s]! + damping);
          found[start + s] = Math.max((1 - weight * sums[s]!) / damping, least);
        }
      }
      diagonal = found;
      return found;
    },
    async column(j, out) {
      const unit = new Float64Array(dim);
      unit[j] = 1;
      await apply(unit, out);
    },
    async block(chosen) {
      const X = await whitened(chosen);
      const out = matrix(chosen.length, chosen.length, new Float64Array(chosen.length ** 2));
      kernels.gram({ a: X, transpose: true, out, alpha: -weight / damping });
      kernels.free(X.data);
      for (let s = 0; s < chosen.length; s++) out.data[s * chosen.length + s]! += 1 / damping;
      return out;
    },
    release: () => kernels.free(L.data),
  };
}

/** Columns whose diagonal entries are taken at a time. */
const columnTile = 1024;
