/**
 * Blocked Cholesky, A = L L', right-looking in place (Golub and Van Loan, Matrix Computations, 4th ed., 4.2.9). A matrix that does
 * not fit the wasm memory is factored left-looking by square tiles; each entry sees the same operations in the same order,
 * so the bytes are the same.
 */
import { checkCholesky, type Mat } from "@secateur/core";
import type { Engine } from "../engine.ts";
import { placeBlock, storeBlock } from "../memory/staging.ts";
import { bitsOf, NO_DIAGONAL, unitSize } from "./product.ts";
import { floorTo, ranges } from "./tiles.ts";

/** Columns factored at a time. */
const BLOCK = 64;

/** In place; -1, or the first pivot that is not positive and finite. */
export function cholesky(engine: Engine, a: Mat): number {
  checkCholesky(a);
  const n = a.rows;
  const address = engine.memory.addressOf(a.data);
  if (address !== undefined) return factorInPlace(engine, { bits: bitsOf(a), address, n });
  const copy = engine.memory.tryReserve(a.data.byteLength);
  if (copy === undefined) return factorByTiles(engine, a);
  try {
    const first = copy / a.data.BYTES_PER_ELEMENT;
    engine.memory.viewLike(a.data).set(a.data, first);
    const pivot = factorInPlace(engine, { bits: bitsOf(a), address: copy, n });
    a.data.set(engine.memory.viewLike(a.data).subarray(first, first + n * n));
    return pivot;
  } finally {
    engine.memory.release(copy);
  }
}

/** A square matrix in the wasm memory, n entries a row. */
interface Square {
  readonly bits: "32" | "64";
  readonly address: number;
  readonly n: number;
}

function factorInPlace(engine: Engine, square: Square): number {
  const { bits, address, n } = square;
  const size = Number(bits) / 8;
  const at = (row: number, col: number): number => address + (row * n + col) * size;
  for (const [from, to] of ranges(n, BLOCK)) {
    const nb = to - from;
    const pivot = engine.call(`factorBlock${bits}`, engine.scratch[0] as number, at(from, from), n, nb);
    if (pivot >= 0) return from + pivot;
    const rest = n - to;
    const below = { bits, l: at(from, from), ldl: n, nb, rows: at(to, from), ldr: n, count: rest };
    const arePacked = solveRows(engine, below);
    for (const [colFrom, colTo] of ranges(rest, packedRows(engine, bits))) {
      subtractProduct(engine, {
        bits,
        a: at(to + colFrom, from),
        lda: n,
        b: arePacked ? undefined : at(to + colFrom, from),
        ldb: n,
        out: at(to + colFrom, to + colFrom),
        ldo: n,
        m: rest - colFrom,
        n: colTo - colFrom,
        k: nb,
        diagonal: 0,
      });
    }
  }
  engine.run(`clearUpper${bits}`, n, n * n * 0.05 * size, address, n);
  return -1;
}

function factorByTiles(engine: Engine, a: Mat): number {
  const { slabs } = engine;
  const bits = bitsOf(a);
  const n = a.rows;
  const edge = floorTo(Math.sqrt(slabs.a.bytes / a.data.BYTES_PER_ELEMENT), BLOCK);
  for (const [colFrom, colTo] of ranges(n, edge)) {
    for (const [below, belowEnd] of ranges(n - colFrom, edge)) {
      const [rowFrom, rowTo] = [colFrom + below, colFrom + belowEnd];
      const isDiagonal = rowFrom === colFrom;
      const tile = { rowFrom, rowTo, colFrom, colTo };
      const out = placeBlock(engine, slabs.out, a, tile);
      const shape = { bits, out: out.address, ldo: out.stride, m: rowTo - rowFrom, n: colTo - colFrom } as const;
      for (const [sumFrom, sumTo] of ranges(colFrom, edge)) {
        const left = placeBlock(engine, slabs.a, a, { ...tile, colFrom: sumFrom, colTo: sumTo });
        const rightBlock = { rowFrom: colFrom, rowTo: colTo, colFrom: sumFrom, colTo: sumTo };
        const right = isDiagonal ? left : placeBlock(engine, slabs.b, a, rightBlock);
        const operands = { a: left.address, lda: left.stride, b: right.address, ldb: right.stride, k: sumTo - sumFrom };
        subtractProduct(engine, { ...shape, ...operands, diagonal: isDiagonal ? 0 : NO_DIAGONAL });
      }
      if (isDiagonal) {
        const pivot = factorInPlace(engine, { bits, address: out.address, n: shape.n });
        if (pivot >= 0) return colFrom + pivot;
      } else {
        const factor = placeBlock(engine, slabs.b, a, { rowFrom: colFrom, rowTo: colTo, colFrom, colTo });
        solveTile(engine, { ...shape, l: factor.address });
      }
      storeBlock(engine, a, tile, out);
    }
  }
  for (let i = 0; i < n; i++) a.data.fill(0, i * n + i + 1, (i + 1) * n);
  return -1;
}

// out [m, n] := out L^-T for a factored tile L [n, n], block after block of columns.
function solveTile(
  engine: Engine,
  tile: { bits: "32" | "64"; out: number; ldo: number; m: number; n: number; l: number },
): void {
  const { bits, out, ldo, m, n, l } = tile;
  const size = Number(bits) / 8;
  for (const [from, to] of ranges(n, BLOCK)) {
    const nb = to - from;
    const diagonalBlock = l + (from * n + from) * size;
    solveRows(engine, { bits, l: diagonalBlock, ldl: n, nb, rows: out + from * size, ldr: ldo, count: m });
    subtractProduct(engine, {
      bits,
      a: out + from * size,
      lda: ldo,
      b: l + (to * n + from) * size,
      ldb: n,
      out: out + to * size,
      ldo,
      m,
      n: n - to,
      k: nb,
      diagonal: NO_DIAGONAL,
    });
  }
}

interface RowSolve {
  readonly bits: "32" | "64";
  readonly l: number;
  readonly ldl: number;
  readonly nb: number;
  readonly rows: number;
  readonly ldr: number;
  readonly count: number;
}

// rows := rows L^-T. Returns whether all solved rows stay packed as the right-hand operand of the next product.
function solveRows(engine: Engine, { bits, l, ldl, nb, rows, ldr, count }: RowSolve): boolean {
  const size = Number(bits) / 8;
  const most = packedRows(engine, bits);
  for (const [from, to] of ranges(count, most)) {
    const values = [l, ldl, nb, rows + from * ldr * size, ldr, to - from, engine.slabs.packed.address];
    engine.run(
      `solveRows${bits}`,
      Math.ceil(((to - from) * size) / 32),
      ((to - from) * nb * nb * size) / 24,
      ...values,
    );
  }
  return count <= most;
}

interface Subtraction {
  readonly bits: "32" | "64";
  readonly a: number;
  readonly lda: number;
  /** Undefined when the packed slab holds it already. */
  readonly b: number | undefined;
  readonly ldb: number;
  readonly out: number;
  readonly ldo: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly diagonal: number;
}

// out [m, n] -= a [m, k] b [n, k]', with sums cut at every BLOCK columns.
function subtractProduct(engine: Engine, { bits, a, lda, b, ldb, out, ldo, m, n, k, diagonal }: Subtraction): void {
  if (m === 0 || n === 0) return;
  const size = Number(bits) / 8;
  const { address: packed } = engine.slabs.packed;
  if (b !== undefined) {
    const units = Math.ceil(k / BLOCK) * Math.ceil((n * size) / 256);
    engine.run(`packPanels${bits}`, units, n * k * 0.6, b, ldb, 1, k, n, BLOCK, packed);
  }
  const unit = unitSize({ rows: m, cols: n, size, threads: engine.threads, isTransposed: false });
  const units = Math.ceil(m / unit.rows) * Math.ceil(n / unit.cols);
  const values = [a, lda, 0, packed, out, ldo, m, n, k, BLOCK, unit.rows, unit.cols, diagonal, -1, 1];
  engine.run(`gemmUnits${bits}`, units, (m * n * k * size) / 48, ...values);
}

function packedRows(engine: Engine, bits: "32" | "64"): number {
  return floorTo(engine.slabs.packed.bytes / (BLOCK * (Number(bits) / 8)), 8);
}
