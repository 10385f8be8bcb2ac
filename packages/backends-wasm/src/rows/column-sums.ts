/**
 * Kernels with one f64 sum a column: the transposed gemv and columnSums. Rows are summed in chunks of 256, in order, and the chunks
 * in order, so that bytes depend neither on tiles nor on threads.
 */
import { checkColumnDots, checkColumnSums, type Mat, referenceKernels, type Vec } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { isResident, placeBlock, placeVector } from "../memory/staging.ts";
import { bitsOf } from "../products/product.ts";
import { floorTo, ranges } from "../products/tiles.ts";
import { storeSums } from "./store-sums.ts";

const CHUNK = 256;
/** Rows that the transposed product takes in one pass. */
const ROWS_AT_ONCE = 8;
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

/** out[j] = sum_i a[i, j] b[i, j]. */
export function columnDots(engine: Engine, { a, b, out }: { a: Mat; b: Mat; out: Vec }): void {
  checkColumnDots(a, b, out);
  const { slabs, memory } = engine;
  const [left, right] = [memory.addressOf(a.data), memory.addressOf(b.data)];
  const rows = Math.floor(slabs.packed.bytes / 8 / Math.max(1, a.cols)) * CHUNK;
  if (left === undefined || right === undefined || a.cols * 8 > slabs.sums.bytes || rows === 0 || a.data.length === 0) {
    referenceKernels.columnDots(a, b, out);
    return;
  }
  const row = a.cols * a.data.BYTES_PER_ELEMENT;
  for (const [from, to] of ranges(a.rows, rows)) {
    const chunks = Math.ceil((to - from) / CHUNK);
    const operands = [left + from * row, right + from * row, to - from, a.cols, slabs.packed.address];
    engine.run(`columnDots${bitsOf(a)}`, chunks, (to - from) * a.cols * 0.5, ...operands);
    const partials = [slabs.packed.address, chunks, a.cols, slabs.sums.address, Number(from === 0)];
    engine.run("addPartials64", Math.ceil(a.cols / 512), chunks * a.cols, ...partials);
  }
  storeSums(engine, { out, from: 0, to: a.cols, alpha: 1, beta: 0 });
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
  const { slabs } = engine;
  // Chunks are summed in the operands' dtype for products, in f64 for plain sums.
  const kernel = `${x === undefined ? "columnSums" : "columnProducts"}${bitsOf(a)}` as keyof typeof UNIT_COLUMNS;
  const partialBits = x === undefined ? "64" : bitsOf(a);
  const { address: sums } = slabs.sums;
  const { address: partials } = slabs.packed;
  const tile = tileOf(engine, a);
  for (const [colFrom, colTo] of ranges(a.cols, tile.cols)) {
    const cols = colTo - colFrom;
    const across = Math.ceil(cols / UNIT_COLUMNS[kernel]);
    const addUp = (chunks: number, isFirst: boolean): void => {
      const values = [partials, chunks, cols, sums, Number(isFirst)];
      engine.run(`addPartials${partialBits}`, Math.ceil(cols / 512), chunks * cols, ...values);
    };
    if (a.rows === 0) addUp(0, true);
    for (const [rowFrom, rowTo] of ranges(a.rows, tile.rows)) {
      const rows = rowTo - rowFrom;
      const chunks = Math.ceil(rows / CHUNK);
      const block = placeBlock(engine, slabs.a, a, { rowFrom, rowTo, colFrom, colTo });
      const weights = x === undefined ? [] : [placeVector(engine, slabs.b, x, rowFrom, rowTo)];
      const values = [block.address, block.stride, rows, cols, ...weights, partials, cols];
      engine.run(kernel, chunks * across, rows * cols * 0.3, ...values, Number(rowFrom % CHUNK === 0));
      const isChunkDone = rowTo % CHUNK === 0 || rowTo === a.rows;
      if (isChunkDone) addUp(chunks, rowFrom < CHUNK);
    }
    storeSums(engine, { out, from: colFrom, to: colTo, alpha, beta });
  }
}

// Sums and partial sums fit their slabs, 8 bytes each. Rows come in whole chunks; copied ones in whole parts of a chunk (a power of
// two of rows) if a chunk does not fit: full rows lie together in memory and copy several times faster than pieces of many.
function tileOf(engine: Engine, a: Mat): { rows: number; cols: number } {
  const { slabs } = engine;
  const size = a.data.BYTES_PER_ELEMENT;
  const isInPlace = isResident(engine, a.data);
  const copied = Math.min(slabs.a.bytes, 1024 * 1024 * engine.threads) / size;
  const most = Math.min(slabs.sums.bytes / 8, isInPlace ? Number.POSITIVE_INFINITY : copied / ROWS_AT_ONCE);
  const cols = Math.max(1, a.cols <= most ? a.cols : floorTo(most, 16));
  const rows = floorTo(Math.min(slabs.packed.bytes / 8 / cols, slabs.b.bytes / size / CHUNK), 1) * CHUNK;
  if (isInPlace) return { rows, cols };
  if (copied >= CHUNK * cols) return { rows: Math.min(rows, floorTo(copied / cols, CHUNK)), cols };
  return { rows: 2 ** Math.floor(Math.log2(copied / cols)), cols };
}
