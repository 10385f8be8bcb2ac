import type { Kernels } from "../kernels/kernels.ts";
import type { Curvature } from "../problem/curvature.ts";
import { type Mat, matrix, type Vec } from "../problem/matrix.ts";
import { diagonalOf } from "./cholesky.ts";
import { withScratch } from "./with-scratch.ts";

/** Numbers of rows that `energy` takes at a time: 32 MiB of f64. */
const mostNumbers = 4 * 1024 * 1024;

/**
 * A curvature that is written out. Its `energy` is 1/2 the sum over entries of H and D'D, half the multiply-adds of a product of D and H.
 *
 * @param H - [c, c] f64, exactly symmetric; kept, not copied
 * @param means - of the inputs, where H is the mean of their products
 */
export function gramCurvature(H: Mat, { kernels, means }: { kernels: Kernels; means?: Vec }): Curvature {
  const dim = H.cols;
  const diagonal = diagonalOf(H);
  return {
    dim,
    diagonal: () => diagonal,
    gram: () => H,
    ...(means ? { means: () => means } : {}),
    apply(x, out) {
      const image = new Float64Array(dim);
      kernels.gemv({ a: H, x: Float64Array.from(x), out: image });
      out.set(image);
    },
    energy: (D) =>
      withScratch(kernels, (alloc) => {
        const most = Math.max(1, Math.floor(mostNumbers / Math.max(1, dim)));
        const products = matrix(dim, dim, alloc(dim * dim, "f64"));
        const part = alloc(Math.min(most, D.rows) * dim, "f64");
        for (let from = 0; from < D.rows; from += most) {
          const rows = Math.min(most, D.rows - from);
          const own = part.subarray(0, rows * dim);
          own.set(D.data.subarray(from * dim, (from + rows) * dim));
          kernels.gram({ a: matrix(rows, dim, own), transpose: true, beta: 1, out: products });
        }
        return 0.5 * kernels.dot(H.data, products.data);
      }),
  };
}
