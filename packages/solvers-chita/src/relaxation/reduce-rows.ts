/**
 * Fewer rows, same Q: when n > p only G'G matters, so G is replaced by the p x p triangle R with R'R = scale G'G (plus a
 * diagonal at rounding level, which makes R exist for dependent columns), and the offset by R^-T (scale G'offset).
 */
import { matrix, type Vec, zeros } from "@secateur/core";
import { addToDiagonal, diagonalOf, factorize } from "@secateur/core/linalg";
import type { RowSpaceModel } from "./row-space.ts";

/** Relative to the mean diagonal entry: below the rounding of the f64 product G'G itself. */
const jitter = 1e-12;

/** An equal model with p rows, or the model itself when it has no more rows than weights. n p^2 multiply-adds in f64. */
export async function reduceRows(model: RowSpaceModel): Promise<RowSpaceModel> {
  const { rows, dim: size, scale, kernels, dtype } = model;
  if (rows <= size || size === 0) return model;
  const G = matrix(rows, size, new Float64Array(rows * size));
  const gathered = matrix(rows, size, zeros(rows * size, dtype));
  await model.columns(
    Uint32Array.from({ length: size }, (_, j) => j),
    gathered,
  );
  G.data.set(gathered.data);
  const H = matrix(size, size, new Float64Array(size * size));
  kernels.gram({ a: G, transpose: true, out: H, alpha: scale });
  const trace = diagonalOf(H).reduce((sum, value) => sum + value, 0);
  addToDiagonal(H, (jitter * trace) / size || jitter);
  // Pivots at the level of the diagonal added are what dependent columns have.
  factorize({ H, what: "chita: the curvature", damping: model.damping, rounding: 0, kernels });
  // L L' = H: R = L'. Stored as rows: row i of R is column i of L.
  const R = matrix(size, size, zeros(size * size, dtype));
  for (let i = 0; i < size; i++) for (let j = i; j < size; j++) R.data[i * size + j] = H.data[j * size + i]!;
  let offset: Vec | undefined;
  let lost = 0;
  if (model.offset) {
    const image = new Float64Array(size);
    const old = Float64Array.from(model.offset);
    kernels.gemv({ a: G, transpose: true, x: old, out: image, alpha: scale });
    kernels.triangularSolve({ l: H, b: matrix(size, 1, image) });
    lost = 0.5 * (scale * kernels.dot(old, old) - kernels.dot(image, image));
    offset = zeros(size, dtype);
    offset.set(image);
  }
  const norms = model.columnNormsSquared();
  const { restricted: _, columnGram: __, stored: ___, ...rest } = model;
  return {
    ...rest,
    rows: size,
    scale: 1,
    ...(offset ? { offset } : {}),
    constant: model.constant + lost,
    productCost: size * size,
    times: (x, out) => kernels.gemv({ a: R, x, out }),
    transposeTimes: (u, out) => kernels.gemv({ a: R, transpose: true, x: u, out }),
    columns: (support, out) => kernels.gatherColumns(R, support, out),
    rowGram() {
      const gram = matrix(size, size, zeros(size * size, dtype));
      kernels.gram({ a: R, out: gram });
      return gram;
    },
    columnNormsSquared: () => norms.map((norm) => scale * norm),
  };
}
