/**
 * Swaps of a pool of columns P, priced exactly from one factorisation however many rounds there are. With S the support that the rounds began with, but for
 * the kept ones of the first pool,
 *   M_S = I + A_S A_S' / lambda = L L',   h = L^-1 (A_S v_S - y),   X = L^-1 A_E,
 * where E is P and every column that differs from S by now, the tableau (tableau.ts) of E at the support S is
 *   [[X'X / lambda + diag(s), t], [t', .]],   s = -1 for columns of S and 1 for others,   t = v_E - X'h / lambda:
 * by Woodbury's identity the inverse of what is left of M_S without the kept ones turns into what M_S itself says. Sweeping on the columns that differ leads to the
 * present support. The solution there is u = L^-T (h + X sigma), sigma = x of columns that came in and minus the residual of those that went. Without the first pool's kept ones
 * that pool needs no difference of two large numbers: 1 - X'X / lambda is near 0 for a weight that no other can replace. Notation: row-space.ts.
 */
import { type Kernels, type Mat, matrix } from "@secateur/core";
import { withScratch } from "@secateur/core/linalg";
import { Tableau } from "./tableau.ts";

/** The support S that rounds of swaps start from. */
export interface SwapSystem {
  readonly kernels: Kernels;
  readonly lambda: number;
  /** L [n, n] f64 */
  readonly factor: Mat;
  /** h [n] */
  readonly half: Float64Array;
}

/** Columns whose state differs from that in S. */
export interface Moved {
  readonly columns: Uint32Array;
  /** 1 = in S, so pruned now. */
  readonly wasKept: Uint8Array;
  /** Their v. */
  readonly centre: Float64Array;
  /** L^-1 A over them [n, columns.length]; not asked for those of the pool that is searched. */
  readonly X: Mat;
}

/** A pool, and how it stands now. */
export interface Pool {
  readonly columns: Uint32Array;
  /** 1 = kept. */
  readonly kept: Uint8Array;
  /** Their v. */
  readonly centre: Float64Array;
  /** A over them [n, columns.length] f64; overwritten. */
  readonly A: Mat;
}

/** What the search of a pool gives. */
export interface PoolFound {
  /** Of the pool's members: 1 = kept now. */
  readonly kept: Uint8Array;
  /** Of the pool's members: the weights of those that are kept now; 0 for others. */
  readonly x: Float64Array;
  /** The row-space solution [n] on the new support. */
  readonly u: Float64Array;
  /** How much lower Q is than on the support that came in. */
  readonly gain: number;
  readonly swaps: number;
  /** For the next round. */
  readonly moved: Moved;
}

/** A difference of two numbers near 1 that is below this is their rounding, for systems of a condition number up to some 1e6. */
const leastDifference = 1e-10;
/** Limits of a tableau search. */
const search = { tenure: 5, misses: 20, maxSwaps: 400 };

/** What differs from S before the first round: the kept ones of its pool, which brings their columns. */
export function setApart({ columns, kept, centre }: Pool): Moved {
  const members = places(columns.length, (i) => kept[i] === 1);
  return {
    columns: members.map((i) => columns[i]!),
    wasKept: new Uint8Array(members.length),
    centre: Float64Array.from(members, (i) => centre[i]!),
    X: emptyMatrix(0, members.length),
  };
}

/** L^-1 b, in place: h from A_S v_S - y. */
export function halfSolved(factor: Mat, b: Float64Array, kernels: Kernels): Float64Array {
  kernels.triangularSolve({ l: factor, b: matrix(b.length, 1, b) });
  return b;
}

/** Swaps within a pool. n^2 multiply-adds a column of the pool, n e^2 / 2 and e^3 for the e columns of pool and moved ones. */
export function searchPool(system: SwapSystem, pool: Pool, moved: Moved): Promise<PoolFound> {
  const { kernels, lambda, factor, half } = system;
  const { rows } = factor;
  const inPool = new Set(pool.columns);
  const others = places(moved.columns.length, (i) => !inPool.has(moved.columns[i]!));
  const wasMoved = new Set(moved.columns);
  const size = pool.columns.length + others.length;
  kernels.triangularSolve({ l: factor, b: pool.A });
  return withScratch(kernels, async (alloc) => {
    const X = matrix(rows, size, alloc(rows * size, "f64"));
    writeBeside(X, [pool.A, 0], [gathered(moved.X, others, kernels), pool.columns.length]);
    const C = matrix(size, size, alloc(size * size, "f64"));
    kernels.gram({ a: X, transpose: true, out: C, alpha: 1 / lambda });
    const columns = Uint32Array.from([...pool.columns, ...others.map((i) => moved.columns[i]!)]);
    const centre = Float64Array.from([...pool.centre, ...Array.from(others, (i) => moved.centre[i]!)]);
    const now = Uint8Array.from([...pool.kept, ...others.map((i) => 1 - moved.wasKept[i]!)]);
    const wasKept = now.map((bit, e) => (wasMoved.has(columns[e]!) ? 1 - bit : bit));
    const t = centre.slice();
    kernels.gemv({ a: X, transpose: true, x: half, out: t, alpha: -1 / lambda, beta: 1 });
    const atStart = { C, t, wasKept };
    const whole = tableauAt(
      atStart,
      places(size, () => true),
    );
    for (const e of inOrder(wasKept, (member) => now[member] !== wasKept[member])) whole.flip(e);
    // What is left of 1 where a kept column of S is taken out must be more than the rounding of that difference.
    const fixed = now.map((bit, e) => Number(bit === 1 && wasKept[e] === 1 && -whole.pivot(e) < leastDifference));
    const tableau = whole.part(places(pool.columns.length, () => true));
    const before = tableau.value;
    const found = tableau.search({ ...search, fixed: fixed.subarray(0, pool.columns.length) });
    found.kept.forEach((bit, i) => {
      if (bit !== tableau.kept[i]) tableau.flip(i);
    });
    const x = Float64Array.from(found.kept, (bit, i) => (bit === 1 ? tableau.weight(i) : 0));
    const differ = places(size, (e) => (found.kept[e] ?? now[e]) !== wasKept[e]);
    const XD = gathered(X, differ, kernels);
    const u = half.slice();
    kernels.gemv({ a: XD, x: changesAt(atStart, differ), out: u, beta: 1 });
    kernels.triangularSolve({ l: factor, transpose: true, b: matrix(rows, 1, u) });
    const next: Moved = {
      columns: differ.map((e) => columns[e]!),
      wasKept: Uint8Array.from(differ, (e) => wasKept[e]!),
      centre: Float64Array.from(differ, (e) => centre[e]!),
      X: XD,
    };
    return { kept: found.kept, x, u, gain: 0.5 * lambda * (before - found.value), swaps: found.swaps, moved: next };
  });
}

interface AtStart {
  readonly C: Mat;
  readonly t: Float64Array;
  readonly wasKept: Uint8Array;
}

/** The tableau of some of the columns at the support S. Its value counts from a number that no search asks for, but of the size of what it is made of. */
function tableauAt({ C, t, wasKept }: AtStart, members: Uint32Array): Tableau {
  const c = members.length;
  const T = new Float64Array((c + 1) ** 2);
  for (let i = 0; i < c; i++) {
    const e = members[i]!;
    for (let j = 0; j <= i; j++) T[i * (c + 1) + j] = C.data[e * C.cols + members[j]!]!;
    T[i * (c + 1) + i]! += wasKept[e] === 1 ? -1 : 1;
    T[c * (c + 1) + i] = t[e]!;
    if (wasKept[e] === 1) T[T.length - 1]! -= t[e]! ** 2;
  }
  return new Tableau(
    T,
    Uint8Array.from(members, (e) => wasKept[e]!),
  );
}

/** sigma of the columns that differ from S. */
function changesAt(atStart: AtStart, differ: Uint32Array): Float64Array {
  const wasKept = differ.map((e) => atStart.wasKept[e]!);
  const tableau = tableauAt(atStart, differ);
  for (const i of inOrder(wasKept, () => true)) tableau.flip(i);
  return Float64Array.from(differ, (_, i) => (wasKept[i] === 1 ? -tableau.weight(i) : tableau.weight(i)));
}

/** Members to flip: those that come in, whose pivots are 1 and more, before those whose place they may take. */
function inOrder(wasKept: ArrayLike<number>, wanted: (member: number) => boolean): Uint32Array {
  const members = places(wasKept.length, wanted);
  return Uint32Array.from([...members.filter((e) => wasKept[e] !== 1), ...members.filter((e) => wasKept[e] === 1)]);
}

function places(count: number, wanted: (i: number) => boolean): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i).filter(wanted);
}

function emptyMatrix(rows: number, cols: number): Mat {
  return matrix(rows, cols, new Float64Array(rows * cols));
}

/** A[:, columns], f64. */
export function gathered(A: Mat, columns: Uint32Array, kernels: Kernels): Mat {
  const out = emptyMatrix(A.rows, columns.length);
  kernels.gatherColumns(A, columns, out);
  return out;
}

/** Writes matrices into the columns of `out` from where each begins. */
function writeBeside(out: Mat, ...parts: readonly (readonly [Mat, number])[]): void {
  for (const [part, from] of parts) {
    for (let i = 0; i < out.rows; i++) {
      out.data.set(part.data.subarray(i * part.cols, (i + 1) * part.cols), i * out.cols + from);
    }
  }
}
