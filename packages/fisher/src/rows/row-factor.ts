/** One FactorView over gradient rows that are stored block by block, each block in the way that is cheapest for it. */
import {
  assertFinite,
  checkNumber,
  dtypeOf,
  type FactorView,
  type Kernels,
  type Mat,
  matrix,
  type Vec,
  zeros,
} from "@secateur/core";
import { badRows } from "../errors.ts";
import { denseBlock } from "./dense-block.ts";
import type { RowBlock } from "./row-block.ts";

/** What a view over blocks is made of. */
export interface RowFactorSpec {
  /** In the order of the flat weights. */
  readonly blocks: readonly RowBlock[];
  /** n, the number of gradient rows. */
  readonly rows: number;
  /** What the rows are stored in; products with f32 vectors over f64 rows are computed in f64. */
  readonly dtype: "f32" | "f64";
  /** H = scale G'G + damping I; default 1 / rows. */
  readonly scale?: number;
  /** >= 0; default 0 */
  readonly damping?: number;
}

/** A view over stored rows: every product there is. */
export type StoredFactor = FactorView & Required<Pick<FactorView, "rowGram" | "columns">>;

/** Joins blocks into one view. */
export function rowFactor(spec: RowFactorSpec): StoredFactor {
  const { blocks, rows, dtype, damping = 0 } = spec;
  const starts: number[] = [];
  let dim = 0;
  for (const block of blocks) {
    starts.push(dim);
    dim += block.size;
  }
  let norms: Float64Array | undefined;
  return {
    rows,
    dim,
    dtype,
    productCost: blocks.reduce((sum, block) => sum + block.productCost, 0),
    scale: spec.scale ?? 1 / rows,
    damping,
    times: (x, out) =>
      inDtype(dtype, x, out, (vector, result) => {
        result.fill(0);
        blocks.forEach((block, b) => {
          block.addTimes(vector.subarray(starts[b]!, starts[b]! + block.size), result);
        });
      }),
    transposeTimes: (u, out) =>
      inDtype(dtype, u, out, (vector, result) => {
        blocks.forEach((block, b) => {
          block.transposeTimes(vector, result.subarray(starts[b]!, starts[b]! + block.size));
        });
      }),
    rowGram() {
      const gram = matrix(rows, rows, zeros(rows * rows, dtype));
      for (const block of blocks) block.addRowGram(gram);
      return gram;
    },
    columns(support, out) {
      let first = 0;
      blocks.forEach((block, b) => {
        const start = starts[b]!;
        let end = first;
        while (end < support.length && support[end]! < start + block.size) end++;
        if (end > first) block.writeColumns({ support: support.subarray(first, end), start, first, out });
        first = end;
      });
    },
    columnNormsSquared() {
      if (!norms) {
        const fresh = new Float64Array(dim);
        blocks.forEach((block, b) => {
          block.columnNormsSquared(fresh.subarray(starts[b]!, starts[b]! + block.size));
        });
        norms = fresh;
      }
      return norms;
    },
  };
}

/**
 * A view over gradient rows in memory.
 *
 * @param spec.rows - [n, p], or several matrices [n, p_b] side by side where one would be too large; n >= 1, finite; kept, and must not change
 * @param spec.scale - default 1 / n
 * @param spec.damping - default 0
 * @param spec.named - what a message about numbers that are not finite calls the rows, and what it says to do
 * @throws ERR_SHAPE, ERR_NOT_FINITE
 * @example
 * const view = denseFactor({ rows: matrix(2, 3, Float32Array.of(1, 0, 2, 0, 1, 1)), damping: 1e-4, kernels: referenceKernels });
 */
export function denseFactor(spec: {
  rows: Mat | readonly Mat[];
  scale?: number;
  damping?: number;
  kernels: Kernels;
  named?: { readonly where: string; readonly remedy: string };
}): StoredFactor {
  const { where, remedy } = spec.named ?? {
    where: "gradient rows",
    remedy: "drop the examples whose loss is not finite",
  };
  const tiles = "data" in spec.rows ? [spec.rows] : spec.rows;
  const [first] = tiles;
  if (!first || first.rows === 0) throw badRows("there are none; give at least one");
  checkNumber("gradient rows", "damping", spec.damping ?? 0, { least: 0 });
  checkNumber("gradient rows", "scale", spec.scale ?? 1, { least: 0 });
  for (const tile of tiles) {
    if (tile.rows !== first.rows || dtypeOf(tile.data) !== dtypeOf(first.data)) {
      throw badRows(`blocks of ${first.rows} and ${tile.rows} rows or of different dtypes; all must agree`);
    }
  }
  const blocks = tiles.map((tile) => denseBlock(tile, spec.kernels));
  blocks.forEach((block, b) => {
    const { data, cols } = tiles[b]!;
    // Of one of several tiles the column would not be that of the rows.
    if (!hasFiniteNorms(block, tiles[b]!, spec.kernels))
      assertFinite(where, data, remedy, tiles.length === 1 ? cols : undefined);
  });
  const view = rowFactor({
    blocks,
    rows: first.rows,
    dtype: dtypeOf(first.data),
    ...(spec.scale === undefined ? {} : { scale: spec.scale }),
    ...(spec.damping === undefined ? {} : { damping: spec.damping }),
  });
  return tiles.length === 1 ? { ...view, stored: first } : view;
}

/** Whether all rows are finite, seen from norms that are wanted anyway where kernels make them in one quick pass. A square may overflow: false says nothing. */
function hasFiniteNorms(block: RowBlock, { data }: Mat, kernels: Kernels): boolean {
  if (kernels.holds?.(data) !== true) return false;
  const norms = new Float64Array(block.size);
  block.columnNormsSquared(norms);
  return norms.every(Number.isFinite);
}

/** Runs a product in f64 when rows are f64 and the vectors are not; else in the vectors' own dtype. */
function inDtype(dtype: "f32" | "f64", x: Vec, out: Vec, product: (x: Vec, out: Vec) => void): void {
  if (dtypeOf(x) === dtypeOf(out) && (dtype === "f32" || dtypeOf(x) === "f64")) {
    product(x, out);
    return;
  }
  const result = new Float64Array(out.length);
  product(Float64Array.from(x), result);
  out.set(result);
}
