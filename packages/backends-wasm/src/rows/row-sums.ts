/** Kernels with one f64 sum a row: gemv and rowDots. Tiles of columns start at multiples of the kernels' span of 1024. */
import { checkGemv, checkRowDots, type GemvSpec, type Mat, type Vec } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { isResident, placeBlock, placeVector } from "../memory/staging.ts";
import { bitsOf } from "../products/product.ts";
import { type BlockSize, blockSize, floorTo, ranges } from "../products/tiles.ts";
import { columnGemv } from "./column-sums.ts";
import { storeSums } from "./store-sums.ts";

const SPAN = 1024;

/** out = alpha a x + beta out, or with a'. */
export function gemv(engine: Engine, spec: GemvSpec): void {
  checkGemv(spec);
  const { a, x, out, alpha = 1, beta = 0 } = spec;
  if (spec.transpose === true) {
    columnGemv(engine, { a, x, out, alpha, beta });
    return;
  }
  const kernel = a.data.BYTES_PER_ELEMENT < x.BYTES_PER_ELEMENT ? "rowProductsMixed" : `rowProducts${bitsOf(a)}`;
  const { sums, b } = engine.slabs;
  const xFits = isResident(engine, x) || x.byteLength <= b.bytes;
  const size = sumTiles(engine, [a], xFits ? a.cols : b.bytes / x.BYTES_PER_ELEMENT);
  const wholeX = xFits ? placeVector(engine, b, x) : undefined;
  for (const [rowFrom, rowTo] of ranges(a.rows, size.rows)) {
    const rows = rowTo - rowFrom;
    sweepColumns(a.cols, size.cols, (colFrom, colTo) => {
      const left = placeBlock(engine, engine.slabs.a, a, { rowFrom, rowTo, colFrom, colTo });
      const right =
        wholeX === undefined ? placeVector(engine, b, x, colFrom, colTo) : wholeX + colFrom * x.BYTES_PER_ELEMENT;
      const values = [left.address, left.stride, rows, colTo - colFrom, right, sums.address, Number(colFrom === 0)];
      engine.run(kernel, Math.ceil(rows / 4), rows * (colTo - colFrom) * 0.3, ...values);
    });
    storeSums(engine, { out, from: rowFrom, to: rowTo, alpha, beta });
  }
}

/** out[i] = beta out[i] + sum_j a[i, j] b[i, j]. */
export function rowDots(engine: Engine, { a, b, out, beta }: { a: Mat; b: Mat; out: Vec; beta: number }): void {
  checkRowDots(a, b, out);
  const bits = bitsOf(a);
  const size = sumTiles(engine, [a, b], a.cols);
  for (const [rowFrom, rowTo] of ranges(a.rows, size.rows)) {
    const rows = rowTo - rowFrom;
    sweepColumns(a.cols, size.cols, (colFrom, colTo) => {
      const block = { rowFrom, rowTo, colFrom, colTo };
      const left = placeBlock(engine, engine.slabs.a, a, block);
      const right = placeBlock(engine, engine.slabs.b, b, block);
      const values = [left.address, left.stride, right.address, right.stride, colTo - colFrom];
      const cost = rows * (colTo - colFrom) * 0.6;
      engine.run(`rowDots${bits}`, rows, cost, ...values, engine.slabs.sums.address, Number(colFrom === 0));
    });
    storeSums(engine, { out, from: rowFrom, to: rowTo, alpha: 1, beta });
  }
}

function sweepColumns(cols: number, step: number, visit: (from: number, to: number) => void): void {
  if (cols === 0) visit(0, 0);
  for (const [from, to] of ranges(cols, step)) visit(from, to);
}

// Rows limited by the slab of sums; both by copies of operands from elsewhere, which are best used from the caches.
function sumTiles(engine: Engine, operands: readonly Mat[], mostColumns: number): BlockSize {
  const { sums, a } = engine.slabs;
  const shape = operands[0] as Mat;
  const mostRows = floorTo(sums.bytes / 8, 4);
  const limit = mostColumns < shape.cols ? floorTo(mostColumns, SPAN) : Math.max(1, shape.cols);
  if (operands.every((operand) => isResident(engine, operand.data))) return { rows: mostRows, cols: limit };
  const entries = Math.min(a.bytes, 1024 * 1024 * engine.threads) / shape.data.BYTES_PER_ELEMENT;
  const size = blockSize({ rows: shape.rows, cols: limit }, { entries, rowStep: 4, colStep: SPAN });
  return { rows: Math.min(size.rows, mostRows), cols: size.cols };
}
