/**
 * U upper triangular with U'U = (H + damping)^-1. With F the columns from f on, U[F, F]'U[F, F] = (H[F, F] + damping)^-1: what is left when the columns before
 * are settled. U is R^-1 with R R' = H + damping, R the Cholesky factor of H with its order reversed, reversed.
 */
import { type Kernels, type Mat, matrix } from "@secateur/core";
import { factorize } from "@secateur/core/linalg";
import type { LayerProblem } from "../problem/layer-problem.ts";

/** Columns of the inverse solved for together: above them it is 0. */
const width = 96;

/**
 * Writes U [cols, cols] f64. Time: cols^3 / 3.
 *
 * @param spec.damping - as a fraction of the mean of H's diagonal
 * @throws ERR_SINGULAR where H can be factored in its own order only
 */
export function writeInverseFactor(
  U: Mat,
  spec: { layer: LayerProblem; damping: number; who: string; kernels: Kernels },
): void {
  const { layer, damping, who, kernels } = spec;
  const { cols: n, H } = layer;
  const mean = layer.diagonal.reduce((sum, value) => sum + value, 0) / n;
  const added = damping * mean;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) U.data[i * n + j] = H.data[(n - 1 - i) * n + (n - 1 - j)]!;
    U.data[i * n + i]! += added;
  }
  factorize({
    H: U,
    what: `${who}: H of '${layer.id}' from its last column`,
    damping: layer.ridge + added,
    kernels,
  });
  const lower = kernels.alloc(n * n, "f64");
  lower.set(U.data);
  U.data.fill(0);
  const [own, part] = [kernels.alloc(n * n, "f64"), kernels.alloc(n * width, "f64")];
  for (let from = 0; from < n; from += width) {
    const [size, count] = [n - from, Math.min(width, n - from)];
    const l = matrix(size, size, own.subarray(0, size * size));
    for (let i = 0; i < size; i++) {
      const row = (from + i) * n + from;
      l.data.set(lower.subarray(row, row + i + 1), i * size);
    }
    const b = matrix(size, count, part.subarray(0, size * count));
    b.data.fill(0);
    for (let c = 0; c < count; c++) b.data[c * count + c] = 1;
    kernels.triangularSolve({ l, b });
    for (let i = 0; i < size; i++) {
      const row = (size - 1 - i) * n + (n - 1 - from);
      for (let c = 0; c < Math.min(count, i + 1); c++) U.data[row - c] = b.data[i * count + c]!;
    }
  }
  for (const data of [lower, own, part]) kernels.free(data);
}
