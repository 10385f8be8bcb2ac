/** One pass over the rows of a matrix: scaleRows, addRow, gatherColumns. */
import { checkAddRow, checkGatherColumns, checkScaleRows, type Mat, type Vec } from "@secateur/core";
import type { Engine } from "./engine.ts";
import { bitsOf } from "./product.ts";
import { type Block, isResident, placeBlock, placeIndices, placeVector, spaceFor, storeBlock } from "./staging.ts";
import { blockSize, blocks } from "./tiles.ts";

/** out[i, :] = scales[i] a[i, :] */
export function scaleRows(engine: Engine, { a, scales, out }: { a: Mat; scales: Vec; out: Mat }): void {
  checkScaleRows(a, scales, out);
  const { slabs } = engine;
  for (const block of rowBlocks(engine, a, [a.data, scales, out.data])) {
    const source = placeBlock(engine, slabs.a, a, block);
    const factors = placeVector(engine, slabs.b, scales, block.rowFrom, block.rowTo);
    const target = spaceFor(engine, slabs.out, out, block);
    const values = [source.address, source.stride, widthOf(block), factors, target.address, target.stride];
    engine.run(`scaleRows${bitsOf(a)}`, heightOf(block), widthOf(block) * heightOf(block) * 0.4, ...values);
    storeBlock(engine, out, block, target);
  }
}

/** a[i, :] += row */
export function addRow(engine: Engine, a: Mat, row: Vec): void {
  checkAddRow(a, row);
  const { slabs } = engine;
  for (const block of rowBlocks(engine, a, [a.data, row])) {
    const target = placeBlock(engine, slabs.a, a, block);
    const source = placeVector(engine, slabs.b, row, block.colFrom, block.colTo);
    const values = [target.address, target.stride, widthOf(block), source];
    engine.run(`addRow${bitsOf(a)}`, heightOf(block), widthOf(block) * heightOf(block) * 0.4, ...values);
    storeBlock(engine, a, block, target);
  }
}

/** out[:, s] = a[:, columns[s]] */
export function gatherColumns(engine: Engine, { a, columns, out }: { a: Mat; columns: Uint32Array; out: Mat }): void {
  checkGatherColumns(a, columns, out);
  const source = engine.memory.addressOf(a.data);
  const target = engine.memory.addressOf(out.data);
  if (source === undefined || target === undefined || columns.byteLength > engine.slabs.b.bytes) {
    gatherHere(a, columns, out);
    return;
  }
  const chosen = placeIndices(engine, engine.slabs.b, columns);
  const values = [source, a.cols, chosen, columns.length, target, out.cols];
  engine.run(`gatherColumns${bitsOf(a)}`, a.rows, out.data.length, ...values);
}

// Copying whole rows in to read a few entries of each would cost more than reading them from here.
function gatherHere(a: Mat, columns: Uint32Array, out: Mat): void {
  for (let i = 0; i < a.rows; i++) {
    const from = i * a.cols;
    const to = i * columns.length;
    for (let s = 0; s < columns.length; s++) out.data[to + s] = a.data[from + (columns[s] as number)] as number;
  }
}

// All at once in place, otherwise blocks that fit the slabs and stay in the caches.
function rowBlocks(engine: Engine, a: Mat, operands: readonly Vec[]): Generator<Block> {
  if (operands.every((operand) => isResident(engine, operand))) {
    return blocks(a, { rows: Math.max(1, a.rows), cols: Math.max(1, a.cols) });
  }
  const entries = Math.min(engine.slabs.a.bytes, 128 * 1024 * engine.threads) / a.data.BYTES_PER_ELEMENT;
  return blocks(a, blockSize(a, { entries, rowStep: 1, colStep: 1 }));
}

function heightOf(block: Block): number {
  return block.rowTo - block.rowFrom;
}

function widthOf(block: Block): number {
  return block.colTo - block.colFrom;
}
