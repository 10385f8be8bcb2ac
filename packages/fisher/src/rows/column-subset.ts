/** A factor view over some of its columns: H[support, support] in the same form, scale G_S'G_S + damping I. */
import { dtypeOf, type Kernels, matrix, type Vec } from "@secateur/core";
import type { StoredFactor } from "./row-factor.ts";

/** Columns gathered at a time where a Gram matrix over many of them is summed. */
export const columnTile = 1024;

/**
 * The view over G[:, support]. Products cost as much as with all of G; the row Gram n^2 |support| / 2.
 * Memory: one vector [p]; a tile of {@link columnTile} columns while the row Gram is summed.
 *
 * @param support - ascending
 */
export function columnSubset(view: StoredFactor, support: Uint32Array, kernels: Kernels): StoredFactor {
  const outer = (inner: Uint32Array): Uint32Array => inner.map((s) => support[s]!);
  return {
    rows: view.rows,
    dim: support.length,
    scale: view.scale,
    damping: view.damping,
    dtype: view.dtype,
    productCost: view.productCost,
    times(x, out) {
      const full = vectorLike(x, view.dim);
      for (let s = 0; s < support.length; s++) full[support[s]!] = x[s]!;
      return view.times(full, out);
    },
    async transposeTimes(u, out) {
      const full = vectorLike(out, view.dim);
      await view.transposeTimes(u, full);
      for (let s = 0; s < support.length; s++) out[s] = full[support[s]!]!;
    },
    async rowGram() {
      const gram = matrix(view.rows, view.rows, vectorOf(view.dtype, view.rows ** 2));
      const buffer = kernels.alloc(view.rows * Math.min(columnTile, support.length), view.dtype);
      for (let start = 0; start < support.length; start += columnTile) {
        const part = support.subarray(start, start + columnTile);
        const tile = matrix(view.rows, part.length, buffer.subarray(0, view.rows * part.length));
        await view.columns(part, tile);
        kernels.gram({ a: tile, out: gram, beta: 1 });
      }
      kernels.free(buffer);
      return gram;
    },
    columns: (inner, out) => view.columns(outer(inner), out),
    columnNormsSquared() {
      const norms = view.columnNormsSquared();
      return Float64Array.from(support, (j) => norms[j]!);
    },
  };
}

/** A zero vector of the class of another. */
function vectorLike(like: Vec, length: number): Vec {
  return vectorOf(dtypeOf(like), length);
}

function vectorOf(dtype: "f32" | "f64", length: number): Vec {
  return dtype === "f64" ? new Float64Array(length) : new Float32Array(length);
}
