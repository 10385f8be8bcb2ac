/** Gram matrices over chosen columns of the gradient rows G [n, p], a tile of columns at a time where they are many. */
import type { Kernels } from "../kernels/kernels.ts";
import type { FactorView } from "../problem/curvature.ts";
import { dtypeOf, type Mat, matrix } from "../problem/matrix.ts";
import { addToDiagonal } from "./cholesky.ts";
import { withScratch } from "./with-scratch.ts";

/** A view whose rows can be met by single columns. */
export type ColumnView = FactorView & Required<Pick<FactorView, "columns">>;

/** Whether a view offers single columns of its rows. */
export function hasColumns(view: FactorView | undefined): view is ColumnView {
  return view?.columns !== undefined;
}

/** Whether {@link writeCurvature} can serve a view: it has columns, or at least the Gram matrix of a few. */
export function hasColumnGram(view: FactorView | undefined): boolean {
  return hasColumns(view) || view?.columnGram !== undefined;
}

/** start, ..., end - 1 */
export function indices(start: number, end: number): Uint32Array {
  const run = new Uint32Array(Math.max(0, end - start));
  for (let i = 0; i < run.length; i++) run[i] = start + i;
  return run;
}

/** Columns gathered at a time. */
const tileColumns = 2048;

/** Runs over the chosen columns of G in tiles: `start` is the tile's first place among them, `columns` [n, tile] in `dtype` and scratch. */
export async function eachColumnTile(
  spec: {
    readonly view: ColumnView;
    readonly columns: Uint32Array;
    readonly dtype: "f32" | "f64";
    readonly kernels: Kernels;
  },
  visit: (columns: Mat, start: number) => void | Promise<void>,
): Promise<void> {
  const { view, columns, dtype, kernels } = spec;
  const { rows } = view;
  const width = Math.min(tileColumns, columns.length);
  await withScratch(kernels, async (alloc) => {
    const buffer = alloc(rows * width, view.dtype);
    const wanted = dtype === view.dtype ? buffer : alloc(rows * width, dtype);
    for (let start = 0; start < columns.length; start += width) {
      const part = columns.subarray(start, start + width);
      const gathered = matrix(rows, part.length, buffer.subarray(0, rows * part.length));
      await view.columns(part, gathered);
      const tile = { ...gathered, data: wanted.subarray(0, gathered.data.length) };
      if (wanted !== buffer) tile.data.set(gathered.data);
      await visit(tile, start);
    }
  });
}

/** Writes G[:, columns] into out [n, columns.length], converted to the dtype of `out`; columns ascending. */
export function writeColumns(spec: {
  readonly view: ColumnView;
  readonly columns: Uint32Array;
  readonly out: Mat;
  readonly kernels: Kernels;
}): Promise<void> {
  const { out } = spec;
  return eachColumnTile({ ...spec, dtype: dtypeOf(out.data) }, (tile, start) => {
    for (let i = 0; i < tile.rows; i++) {
      out.data.set(tile.data.subarray(i * tile.cols, (i + 1) * tile.cols), i * out.cols + start);
    }
  });
}

/**
 * out += G_S G_S' [n, n], summed in the dtype of `out`; n^2 |S| / 2 multiply-adds.
 *
 * @param spec.columns - S, ascending
 */
export function addRowGram(spec: {
  readonly view: ColumnView;
  readonly columns: Uint32Array;
  readonly out: Mat;
  readonly kernels: Kernels;
}): Promise<void> {
  const { out, kernels } = spec;
  return eachColumnTile({ ...spec, dtype: dtypeOf(out.data) }, (tile) => kernels.gram({ a: tile, out, beta: 1 }));
}

/**
 * Writes H[S, S] = scale G_S'G_S + damping I into out [c, c] f64, from whichever columns the view offers; c = |S|. n c^2 / 2
 * multiply-adds in the dtype of the rows, times the classes for a Gauss-Newton matrix. Memory: n c numbers and c^2 meanwhile.
 *
 * @param spec.view - for which {@link hasColumnGram} holds
 * @param spec.columns - S, ascending
 */
export async function writeCurvature(spec: {
  readonly view: FactorView;
  readonly columns: Uint32Array;
  readonly out: Mat;
  readonly kernels: Kernels;
}): Promise<void> {
  const { view, columns, out, kernels } = spec;
  const c = columns.length;
  await withScratch(kernels, async (alloc) => {
    const gram = matrix(c, c, alloc(c * c, view.dtype));
    if (view.columnGram) {
      await view.columnGram(columns, gram);
    } else {
      const G = matrix(view.rows, c, alloc(view.rows * c, view.dtype));
      await view.columns!(columns, G);
      kernels.gram({ a: G, transpose: true, out: gram });
    }
    for (let i = 0; i < gram.data.length; i++) out.data[i] = view.scale * gram.data[i]!;
  });
  addToDiagonal(out, view.damping);
}
