import { type Dtype, dtypeOf, type Kernels, type Mat, matrix } from "@secateur/core";

/** Entries converted at a time: 2 MiB of f64, which stays in a core's cache. */
const tileEntries = 1 << 18;

/** Some consecutive rows of a matrix. */
export interface RowTile {
  readonly tile: Mat;
  /** Index of the tile's first row. */
  readonly start: number;
}

/** Rows start .. end of a matrix, as a view. */
export function rowRange(a: Mat, start: number, end: number): Mat {
  return { rows: end - start, cols: a.cols, data: a.data.subarray(start * a.cols, end * a.cols) };
}

/**
 * Walks a matrix by rows in the wanted dtype: the matrix itself when it has that dtype already, else tile by tile through
 * one buffer of kernel memory, so that a product in f64 over f32 rows never holds a second copy of them.
 *
 * @param spec.multiple - tiles start at multiples of this many rows; default 1
 */
export function* rowTiles(
  a: Mat,
  { dtype, kernels, multiple = 1 }: { readonly dtype: Dtype; readonly kernels: Kernels; readonly multiple?: number },
): Generator<RowTile> {
  if (dtypeOf(a.data) === dtype || a.rows === 0) {
    yield { tile: a, start: 0 };
    return;
  }
  const most = Math.max(1, Math.floor(tileEntries / Math.max(1, a.cols * multiple))) * multiple;
  const rows = Math.min(most, a.rows);
  const buffer = kernels.alloc(rows * a.cols, dtype);
  try {
    for (let start = 0; start < a.rows; start += rows) {
      const source = rowRange(a, start, Math.min(start + rows, a.rows));
      buffer.set(source.data);
      yield { tile: matrix(source.rows, a.cols, buffer.subarray(0, source.data.length)), start };
    }
  } finally {
    kernels.free(buffer);
  }
}
