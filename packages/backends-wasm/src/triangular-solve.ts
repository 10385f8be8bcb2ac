/**
 * L X = B and L'X = B in place, by blocks: the right-hand sides are packed into panels of two vectors, then each diagonal block is
 * solved for all panels and its part taken out of the rows that are left. Panels are independent, so threads share them.
 */
import { checkTriangularSolve, type Mat, type TriangularSolveSpec } from "@secateur/core";
import type { Engine } from "./engine.ts";
import { bitsOf } from "./product.ts";
import { type Block, placeBlock, spaceFor, storeBlock } from "./staging.ts";
import { ceilTo, floorTo, ranges } from "./tiles.ts";

/** Unknowns solved at a time. */
const BLOCK = 64;

/** Solves in place in `b` [n, m]. */
export function triangularSolve(engine: Engine, spec: TriangularSolveSpec): void {
  checkTriangularSolve(spec);
  const { l, b, transpose = false } = spec;
  const n = l.rows;
  if (n === 0 || b.cols === 0) return;
  const { slabs, memory } = engine;
  const size = b.data.BYTES_PER_ELEMENT;
  const vector = 16 / size;
  const columnBytes = n * size;
  // One vector of columns is the least; only with a tiny memory does it not fit its slab.
  const fits = columnBytes * vector <= slabs.packed.bytes;
  const cols = fits ? Math.floor(slabs.packed.bytes / columnBytes / vector) * vector : vector;
  const step = Math.min(b.cols, cols < 2 * vector ? cols : floorTo(cols, 2 * vector));
  const bytes = columnBytes * ceilTo(step, vector);
  const packed = fits ? slabs.packed : { address: memory.reserve(2 * bytes), bytes };
  const staged = fits ? slabs.b : { address: packed.address + bytes, bytes };
  try {
    for (const [colFrom, colTo] of ranges(b.cols, step)) {
      const block = { rowFrom: 0, rowTo: n, colFrom, colTo };
      const source = placeBlock(engine, staged, b, block);
      solvePanels(engine, { l, isTransposed: transpose, packed: packed.address, m: colTo - colFrom, source });
      const target = spaceFor(engine, staged, b, block);
      const panels = Math.ceil((colTo - colFrom) / (2 * vector));
      const values = [target.address, target.stride, n, colTo - colFrom, packed.address];
      engine.run(`unpackPanels${bitsOf(b)}`, panels, n * (colTo - colFrom), ...values);
      storeBlock(engine, b, block, target);
    }
  } finally {
    if (!fits) memory.release(packed.address);
  }
}

interface PanelSolve {
  readonly l: Mat;
  readonly isTransposed: boolean;
  readonly packed: number;
  readonly m: number;
  readonly source: { readonly address: number; readonly stride: number };
}

function solvePanels(engine: Engine, { l, isTransposed, packed, m, source }: PanelSolve): void {
  const n = l.rows;
  const bits = bitsOf(l);
  const size = l.data.BYTES_PER_ELEMENT;
  const flag = Number(isTransposed);
  const panels = Math.ceil((m * size) / 32);
  const packValues = [source.address, source.stride, 0, n, m, n, packed];
  engine.run(`packPanels${bits}`, Math.ceil((m * size) / 256), n * m * 0.6, ...packValues);
  const steps = [...ranges(n, BLOCK)];
  for (const [from, to] of isTransposed ? steps.reverse() : steps) {
    const nb = to - from;
    const diagonal = placeBlock(engine, engine.slabs.a, l, { rowFrom: from, rowTo: to, colFrom: from, colTo: to });
    const values = [diagonal.address, diagonal.stride, nb, flag, packed, n, m, from];
    engine.run(`solveBlock${bits}`, panels, (nb * nb * m * size) / 24, ...values);
    const [restFrom, restTo] = isTransposed ? [0, from] : [to, n];
    // A copied stretch of coefficients fits its slab.
    const most = floorTo(engine.slabs.a.bytes / (nb * size), 8);
    for (const [start, end] of ranges(restTo - restFrom, most)) {
      const rows = { rowFrom: restFrom + start, rowTo: restFrom + end, colFrom: from, colTo: to };
      const coefficients = placeBlock(engine, engine.slabs.a, l, isTransposed ? flip(rows) : rows);
      const count = end - start;
      engine.run(
        `eliminateBlock${bits}`,
        panels,
        (nb * count * m * size) / 48,
        ...[coefficients.address, coefficients.stride, nb, flag, packed, n, m, from, restFrom + start, count],
      );
    }
  }
}

function flip({ rowFrom, rowTo, colFrom, colTo }: Block): Block {
  return { rowFrom: colFrom, rowTo: colTo, colFrom: rowFrom, colTo: rowTo };
}
