/**
 * L X = B and L'X = B in place, by blocks: the right-hand sides are packed into panels of two vectors, then each diagonal block is
 * solved for all panels and its part taken out of the rows that are left. Panels are independent, so threads share them, or the rows where panels are few.
 */
import { checkTriangularSolve, type Mat, type TriangularSolveSpec } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { type Block, isResident, placeBlock, storeBlock, withRoom } from "../memory/staging.ts";
import { bitsOf } from "./product.ts";
import { ceilTo, floorTo, ranges } from "./tiles.ts";

/** Unknowns solved at a time. */
const BLOCK = 64;
/** Rows of a unit where there are fewer panels than threads, as in assembly/triangular.ts. */
const ROW_BLOCK = 120;

/** Solves in place in `b` [n, m]. */
export function triangularSolve(engine: Engine, spec: TriangularSolveSpec): void {
  checkTriangularSolve(spec);
  const { l, b, transpose = false } = spec;
  const n = l.rows;
  if (n === 0 || b.cols === 0) return;
  const { slabs } = engine;
  const size = b.data.BYTES_PER_ELEMENT;
  const vector = 16 / size;
  const columnBytes = n * size;
  const cols = Math.min(b.cols, columnsAtOnce(slabs.packed.bytes / columnBytes, vector));
  // One vector of columns is the least; only with a tiny memory it does not fit its slab.
  const bytes = columnBytes * ceilTo(cols, vector);
  withRoom(engine, slabs.packed, bytes, ({ address: packed }) => {
    withRoom(engine, slabs.b, isResident(engine, b.data) ? 0 : bytes, (staged) => {
      for (const [colFrom, colTo] of ranges(b.cols, cols)) {
        const m = colTo - colFrom;
        const block = { rowFrom: 0, rowTo: n, colFrom, colTo };
        const source = placeBlock(engine, staged, b, block);
        solvePanels(engine, { l, isTransposed: transpose, packed, m, source });
        const values = [source.address, source.stride, n, m, packed];
        engine.run(`unpackPanels${bitsOf(b)}`, Math.ceil(m / (2 * vector)), n * m, ...values);
        storeBlock(engine, b, block, source);
      }
    });
  });
}

// Whole panels of two vectors if there is room for one, else a single vector.
function columnsAtOnce(room: number, vector: number): number {
  return room < 2 * vector ? vector : floorTo(room, 2 * vector);
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
      const cost = (nb * count * m * size) / 48;
      const isFew = panels < engine.threads;
      engine.run(
        `${isFew ? "eliminateRows" : "eliminateBlock"}${bits}`,
        isFew ? Math.ceil(count / ROW_BLOCK) : panels,
        // Of few right-hand sides the coefficients' way through memory is the cost.
        isFew ? Math.max(cost, nb * count * size * 0.1) : cost,
        ...[coefficients.address, coefficients.stride, nb, flag, packed, n, m, from, restFrom + start, count],
      );
    }
  }
}

function flip({ rowFrom, rowTo, colFrom, colTo }: Block): Block {
  return { rowFrom: colFrom, rowTo: colTo, colFrom: rowFrom, colTo: rowTo };
}
