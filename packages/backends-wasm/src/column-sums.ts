/**
 * Kernels with one f64 sum a column: the transposed gemv and columnSums. Rows are summed in chunks of 256, chunks in order;
 * tiles of rows are whole chunks, so that bytes depend neither on tiles nor on threads.
 */
import { checkColumnSums, type Mat, type Vec } from "@secateur/core";
import type { Engine } from "./engine.ts";
import { bitsOf } from "./product.ts";
import { storeSums } from "./row-sums.ts";
import { isResident, placeBlock, placeVector } from "./staging.ts";
import { floorTo, ranges } from "./tiles.ts";

const CHUNK = 256;
/** Columns of one unit of both kernels, a multiple of every vector. */
const UNIT_COLUMNS = {
  columnProducts32: 4096,
  columnProducts64: 2048,
  columnSums32: 1024,
  columnSums64: 1024,
} as const;

/** out = alpha a'x + beta out, operands already checked. */
export function columnGemv(
  engine: Engine,
  { a, x, out, alpha, beta }: { a: Mat; x: Vec; out: Vec; alpha: number; beta: number },
): void {
  sumColumns(engine, { a, out, alpha, beta, x });
}

/** out[j] = sum_i a[i, j]. */
export function columnSums(engine: Engine, a: Mat, out: Vec): void {
  checkColumnSums(a, out);
  sumColumns(engine, { a, out, alpha: 1, beta: 0 });
}

interface ColumnSums {
  readonly a: Mat;
  readonly out: Vec;
  readonly alpha: number;
  readonly beta: number;
  /** Weights of the rows; all 1 when left out. */
  readonly x?: Vec;
}

function sumColumns(engine: Engine, { a, out, alpha, beta, x }: ColumnSums): void {
  const kernel = `${x === undefined ? "columnSums" : "columnProducts"}${bitsOf(a)}` as keyof typeof UNIT_COLUMNS;
  const { slabs } = engine;
  const tile = tileOf(engine, a);
  for (const [colFrom, colTo] of ranges(a.cols, tile.cols)) {
    const cols = colTo - colFrom;
    // The sums come first in their slab, the partial sums of the chunks after them.
    const partials = slabs.sums.address + cols * 8;
    const addUnits = Math.ceil(cols / 512);
    let isFirst = 1;
    for (const [rowFrom, rowTo] of ranges(a.rows, tile.rows)) {
      const rows = rowTo - rowFrom;
      const chunks = Math.ceil(rows / CHUNK);
      const block = placeBlock(engine, slabs.a, a, { rowFrom, rowTo, colFrom, colTo });
      const weights = x === undefined ? [] : [placeVector(engine, slabs.b, x, rowFrom, rowTo)];
      const units = chunks * Math.ceil(cols / UNIT_COLUMNS[kernel]);
      engine.run(kernel, units, rows * cols * 0.4, block.address, block.stride, rows, cols, ...weights, partials, cols);
      engine.run("addPartials", addUnits, chunks * cols, partials, chunks, cols, slabs.sums.address, isFirst);
      isFirst = 0;
    }
    if (a.rows === 0) engine.run("addPartials", addUnits, cols, partials, 0, cols, slabs.sums.address, 1);
    storeSums(engine, { out, from: colFrom, to: colTo, alpha, beta });
  }
}

// sums [cols] and partials [chunks, cols] share a slab; a copied block fits its own.
function tileOf(engine: Engine, a: Mat): { rows: number; cols: number } {
  const { slabs } = engine;
  const entries = slabs.sums.bytes / 8;
  const size = a.data.BYTES_PER_ELEMENT;
  const isInPlace = isResident(engine, a.data);
  const copied = Math.min(slabs.a.bytes, 1024 * 1024 * engine.threads) / size;
  const most = isInPlace ? entries / 2 : Math.min(entries / 2, copied / CHUNK);
  const cols = a.cols <= most ? a.cols : floorTo(most, 16);
  let rows = (floorTo(entries / Math.max(1, cols) - 1, 1) || 1) * CHUNK;
  if (!isInPlace) rows = Math.min(rows, floorTo(copied / Math.max(1, cols), CHUNK));
  return { rows: Math.min(rows, floorTo(slabs.b.bytes / size, CHUNK)), cols };
}
