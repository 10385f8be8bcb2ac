/**
 * The general matrix product behind gemm, gram and the updates of Cholesky: out = alpha op(a) op(b) + beta out, in blocks of the
 * right-hand operand that fit packed in working memory (loops of Goto and van de Geijn, 2008). The sum over k is always cut at
 * multiples of `kc`, so that bytes do not depend on sizes of tiles.
 */
import { dtypeOf, type Mat } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { isResident, placeBlock, spaceFor, storeBlock } from "../memory/staging.ts";
import { ceilTo, floorTo, ranges } from "./tiles.ts";

/** Products of one sum that accumulate in registers before they are added to out. */
export const SUM_BLOCK = 256;

/** One product; sizes as in core's GemmShape. */
export interface Product {
  readonly a: Mat;
  readonly transposeA: boolean;
  readonly b: Mat;
  readonly transposeB: boolean;
  readonly out: Mat;
  readonly alpha: number;
  readonly beta: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** "lower": entries above the diagonal need not be computed (whole tiles are left out, others hold junk). */
  readonly part: "all" | "lower";
}

/** Rows of a cache block of a, as in assembly/gemm.ts. */
const ROW_BLOCK = 120;
const TILE_ROWS = 6;
/** The longest stretch of the sum that one packed block holds; longer ones would leave no room for rows of a. */
const LONGEST_SUM = 8192;
/** Columns of packed b that stay in the second-level cache, in bytes of a block of 256 rows. */
const CACHED_COLUMNS_BYTES = 4096;
/** More than any diagonal: compute everything. */
export const NO_DIAGONAL: number = 2 ** 30;

/** Computes a product on all threads. */
export function multiplyMatrices(engine: Engine, product: Product): void {
  const { m, n, k, a, b, out } = product;
  if (m === 0 || n === 0) return;
  const size = a.data.BYTES_PER_ELEMENT;
  const bits = size * 8;
  const vector = 16 / size;
  if (inOneBlock(engine, product)) return;
  const cut = cutProduct(engine, product);
  for (const [colFrom, colTo] of ranges(n, cut.cols)) {
    const cols = colTo - colFrom;
    for (const [sumFrom, sumTo] of ranges(Math.max(k, 1), cut.sum)) {
      const sum = Math.min(sumTo, k) - sumFrom;
      const right = placeBlock(
        engine,
        engine.slabs.b,
        b,
        block(sumFrom, sumFrom + sum, colFrom, colTo, product.transposeB),
      );
      const packUnits = Math.ceil(sum / SUM_BLOCK) * Math.ceil(cols / (16 * vector));
      const { address: packed } = engine.slabs.packed;
      const packArguments = [right.address, right.stride, Number(product.transposeB), sum, cols, SUM_BLOCK, packed];
      engine.run(`packPanels${bits}`, packUnits, sum * cols * 0.5, ...packArguments);
      for (const [rowFrom, rowTo] of ranges(m, cut.rows)) {
        if (product.part === "lower" && colFrom >= rowTo) continue;
        const rows = rowTo - rowFrom;
        const left = placeBlock(
          engine,
          engine.slabs.a,
          a,
          block(rowFrom, rowTo, sumFrom, sumFrom + sum, product.transposeA),
        );
        const outBlock = block(rowFrom, rowTo, colFrom, colTo, false);
        const beta = sumFrom === 0 ? product.beta : 1;
        const target = (beta === 0 ? spaceFor : placeBlock)(engine, engine.slabs.out, out, outBlock);
        const unit = unitSize({ rows, cols, size, threads: engine.threads, isTransposed: product.transposeA });
        engine.run(
          `gemmUnits${bits}`,
          Math.ceil(rows / unit.rows) * Math.ceil(cols / unit.cols),
          (rows * cols * sum) / (size === 4 ? 12 : 6),
          ...[left.address, left.stride, Number(product.transposeA), packed, target.address, target.stride],
          ...[rows, cols, sum, SUM_BLOCK, unit.rows, unit.cols],
          ...[product.part === "lower" ? rowFrom - colFrom : NO_DIAGONAL, product.alpha, beta],
        );
        storeBlock(engine, out, outBlock, target);
      }
    }
  }
}

/** A small product of operands in place, whose cut would be one block. Returns false where it is none. */
function inOneBlock(engine: Engine, product: Product): boolean {
  const { m, n, k, a, b, out, part } = product;
  const size = a.data.BYTES_PER_ELEMENT;
  const columns = 32 / size;
  const isSmall =
    k > 0 && k <= 4 * SUM_BLOCK && ceilTo(n, columns) * ceilTo(k, SUM_BLOCK) * size <= engine.slabs.packed.bytes;
  if (part !== "all" || !isSmall) return false;
  const { memory, slabs } = engine;
  const [left, right, target] = [memory.addressOf(a.data), memory.addressOf(b.data), memory.addressOf(out.data)];
  if (left === undefined || right === undefined || target === undefined) return false;
  const { address: packed } = slabs.packed;
  const packUnits = Math.ceil(k / SUM_BLOCK) * Math.ceil(n / (8 * columns));
  const packArguments = [right, b.cols, Number(product.transposeB), k, n, SUM_BLOCK, packed];
  engine.run(`packPanels${size * 8}`, packUnits, k * n * 0.5, ...packArguments);
  const unit = unitSize({ rows: m, cols: n, size, threads: engine.threads, isTransposed: product.transposeA });
  engine.run(
    `gemmUnits${size * 8}`,
    Math.ceil(m / unit.rows) * Math.ceil(n / unit.cols),
    (m * n * k) / (size === 4 ? 12 : 6),
    ...[left, a.cols, Number(product.transposeA), packed, target, out.cols],
    ...[m, n, k, SUM_BLOCK, unit.rows, unit.cols, NO_DIAGONAL, product.alpha, product.beta],
  );
  return true;
}

interface Cut {
  readonly rows: number;
  readonly cols: number;
  readonly sum: number;
}

// How much of each dimension one round takes: packed b fits its slab, and so do blocks of operands that must be copied.
function cutProduct(engine: Engine, { a, b, out, m, n, k }: Product): Cut {
  const size = a.data.BYTES_PER_ELEMENT;
  const vector = 16 / size;
  const entries = engine.slabs.packed.bytes / size;
  // A sum of 1024 pays for the trips of out through memory; prefer cutting columns to a shorter one.
  const wantedSum = Math.min(ceilTo(Math.max(1, k), SUM_BLOCK), 4 * SUM_BLOCK);
  const cols = Math.min(n, floorTo(entries / wantedSum, 2 * vector));
  const rowsLimit = engine.slabs.a.bytes / (TILE_ROWS * size);
  const sum = floorTo(Math.min(LONGEST_SUM, entries / ceilTo(cols, vector), rowsLimit), SUM_BLOCK);
  const sumTaken = Math.max(1, Math.min(sum, k));
  let rows = m;
  if (!isResident(engine, a.data)) rows = Math.min(rows, stagedBytes(engine) / (sumTaken * size));
  if (!isResident(engine, out.data)) rows = Math.min(rows, stagedBytes(engine) / (cols * size));
  return { rows: rows === m ? m : floorTo(rows, TILE_ROWS), cols: fitColumns(engine, b, cols, sumTaken), sum };
}

// A copied block of b must fit its slab as well; it is as large as the packed one, without padding.
function fitColumns(engine: Engine, b: Mat, cols: number, sum: number): number {
  const size = b.data.BYTES_PER_ELEMENT;
  if (isResident(engine, b.data) || cols * sum * size <= engine.slabs.b.bytes) return cols;
  return floorTo(engine.slabs.b.bytes / (sum * size), 32 / size);
}

// Copies are used soon after, from the second-level caches if they fit.
function stagedBytes(engine: Engine): number {
  return Math.min(engine.slabs.a.bytes, 512 * 1024 * (engine.threads + 1));
}

/** Units a thread, where there are enough rows: threads take shares of what is left, and the last of them should be small. */
const UNITS_PER_THREAD = 8;

/** Out's block to cut into units. */
export interface UnitRequest {
  readonly rows: number;
  readonly cols: number;
  readonly size: number;
  readonly threads: number;
  /** Whether every unit has to transpose the rows of a that it reads. */
  readonly isTransposed: boolean;
}

/** Units of out for the threads: bands of rows, cut across as well when there are too few rows; few rows are cut across alone, so that b is read once. */
export function unitSize({ rows, cols, size, threads, isTransposed }: UnitRequest): { rows: number; cols: number } {
  const widest = CACHED_COLUMNS_BYTES / size;
  if (threads === 1) return { rows: ROW_BLOCK, cols: widest };
  const wanted = threads * UNITS_PER_THREAD;
  const step = 32 / size;
  if (rows <= ROW_BLOCK && cols >= wanted * step && !isTransposed) {
    return { rows: ROW_BLOCK, cols: Math.min(widest, ceilTo(cols / wanted, step)) };
  }
  const unitRows = Math.min(ROW_BLOCK, ceilTo(rows / wanted, TILE_ROWS));
  const bands = Math.ceil(rows / unitRows);
  return { rows: unitRows, cols: Math.min(widest, Math.max(8 * step, ceilTo((cols * bands) / wanted, step))) };
}

function block(rowFrom: number, rowTo: number, colFrom: number, colTo: number, isTransposed: boolean) {
  return isTransposed
    ? { rowFrom: colFrom, rowTo: colTo, colFrom: rowFrom, colTo: rowTo }
    : { rowFrom, rowTo, colFrom, colTo };
}

/** The suffix of exports for a matrix' dtype. */
export function bitsOf(mat: Mat): "32" | "64" {
  return dtypeOf(mat.data) === "f64" ? "64" : "32";
}
