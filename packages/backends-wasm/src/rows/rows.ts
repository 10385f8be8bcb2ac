/** One pass over the rows of a matrix: scaleRows, addRow, affineColumns, gatherColumns. */
import {
  type AffineColumnsSpec,
  checkAddRow,
  checkAffineColumns,
  checkGatherColumns,
  checkScaleRows,
  type Mat,
  referenceKernels,
  type Vec,
} from "@secateur/core";
import type { Engine } from "../engine.ts";
import {
  type Block,
  isResident,
  placeBlock,
  placeIndices,
  placeVector,
  spaceFor,
  storeBlock,
} from "../memory/staging.ts";
import { bitsOf } from "../products/product.ts";
import { blockSize, blocks } from "../products/tiles.ts";

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

/** out[:, j] = alpha[j] a[:, j] + beta[j] b[:, j] + gamma[j] */
export function affineColumns(engine: Engine, spec: AffineColumnsSpec): void {
  checkAffineColumns(spec);
  const { a, b, out } = spec;
  const [source, second, target] = [a, b ?? a, out].map(({ data }) => engine.memory.addressOf(data));
  const { slabs } = engine;
  if (source === undefined || second === undefined || target === undefined || 3 * a.cols * 8 > slabs.b.bytes) {
    referenceKernels.affineColumns(spec);
    return;
  }
  const size = a.data.BYTES_PER_ELEMENT;
  const [alpha, beta, gamma] = [spec.alpha, spec.beta, spec.gamma].map((row, place) => {
    const address = slabs.b.address + place * Math.ceil(a.cols / 4) * 4 * size;
    const view = engine.memory.viewLike(a.data);
    if (row) view.set(row, address / size);
    else view.fill(place < 2 ? 1 : 0, address / size, address / size + a.cols);
    return address;
  }) as [number, number, number];
  const values = [source, alpha, second, beta, gamma, target, a.cols, Number(b !== undefined)];
  engine.run(`affineColumns${bitsOf(a)}`, a.rows, a.data.length * 0.4, ...values);
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
