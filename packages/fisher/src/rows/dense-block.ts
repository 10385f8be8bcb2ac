/** Gradient rows kept as they are, G_block [n, size]: a product costs n * size multiply-adds and is bound by memory bandwidth. */
import { dtypeOf, type Kernels, type Mat } from "@secateur/core";
import type { RowBlock } from "./row-block.ts";
import { rowTiles } from "./row-tiles.ts";

/**
 * A block over a dense matrix of gradient rows (kept, not copied).
 *
 * @param rows - [n, size] f32 or f64
 */
export function denseBlock(rows: Mat, kernels: Kernels): RowBlock {
  let norms: Float64Array | undefined;
  return {
    size: rows.cols,
    productCost: rows.data.length,
    addTimes(x, out) {
      kernels.gemv({ a: rows, x, out, beta: 1 });
    },
    transposeTimes(u, out) {
      for (const { tile, start } of rowTiles(rows, { dtype: dtypeOf(u), kernels })) {
        const x = u.subarray(start, start + tile.rows);
        kernels.gemv({ a: tile, transpose: true, x, out, beta: start === 0 ? 0 : 1 });
      }
    },
    addRowGram(out) {
      kernels.gram({ a: rows, out, beta: 1 });
    },
    writeColumns({ support, start, first, out }) {
      const from = (support[0] ?? start) - start;
      const isRun = support.length > 0 && support[support.length - 1]! - start - from === support.length - 1;
      for (let i = 0; i < rows.rows; i++) {
        const row = i * rows.cols - start;
        const target = i * out.cols + first;
        // Neighbouring columns, above all all of them, are copied as they lie.
        if (isRun) {
          const at = i * rows.cols + from;
          out.data.set(rows.data.subarray(at, at + support.length), target);
          continue;
        }
        for (let s = 0; s < support.length; s++) out.data[target + s] = rows.data[row + support[s]!]!;
      }
    },
    columnNormsSquared(out) {
      if (!norms) {
        norms = new Float64Array(rows.cols);
        kernels.columnDots(rows, rows, norms);
      }
      out.set(norms);
    },
  };
}
