/**
 * Improves a support by swaps: the kept weights that want to be smallest and the pruned ones that want to be largest form a
 * pool; all others stay. Eliminating the others F leaves min over supports of lambda/2 (x'Bx - 2 b'x) on the pool P, with
 *   B = I + A_P' M_F^-1 A_P / lambda,   b = v_P - A_P' u_F / lambda,   M_F = I + A_F A_F' / lambda,  M_F u_F = A_F v_F - y,
 * in which a tableau (tableau.ts) prices every swap exactly. The exact minimiser on the new support follows from the same
 * factorisation, M_F u = A_F v_F + A_P x - y, so that a round costs one n x n Cholesky. Notation: row-space.ts.
 */

import { dtypeOf, type Kernels, type Mat, matrix, type RunContext, type Vec, zeros } from "@secateur/core";
import { pointAt, solveFactored, valueAt, withScratch } from "@secateur/core/linalg";
import { chitaDefaults } from "../chita-defaults.ts";
import {
  type ColumnsGram,
  candidateWeights,
  factorizeRows,
  type RowSpace,
  times,
  writeColumns,
  writeSupportGram,
} from "./row-space.ts";
import { Tableau } from "./tableau.ts";

/** Limits of {@link exchange}. */
export interface ExchangeOptions {
  /** Pool members of each kind, >= 1. */
  readonly pool?: number | undefined;
  /** Rounds, >= 1. */
  readonly maxRounds?: number | undefined;
}

/** A support, the minimiser on it and how it was found. */
export interface Exchanged {
  /** Ascending. */
  readonly columns: Uint32Array;
  /** [p], zero outside the columns. */
  readonly w: Vec;
  /** Q of the support that came in, and after each round. */
  readonly trace: readonly number[];
  readonly swaps: number;
}

/** Limits of a tableau search. */
const search = { tenure: 5, misses: 20, maxSwaps: 400 };
/** A round that gains less than this fraction of the first one's gain is the last. */
export const worthwhile = 0.1;

/**
 * Swaps until a round no longer pays.
 *
 * @param spec.columns - the support to start from, ascending, 0 < length < p
 * @param spec.known - a Gram matrix to start from
 * @param spec.candidates - V [p], what each weight would take if kept; ranks the first pool
 */
export async function exchange(
  spec: { space: RowSpace; columns: Uint32Array; candidates: Vec; known?: ColumnsGram } & ExchangeOptions,
  ctx: RunContext,
): Promise<Exchanged> {
  const { space, pool = chitaDefaults.pool, maxRounds = chitaDefaults.rounds } = spec;
  const { kernels, rows, lambda, model } = space;
  return withScratch(kernels, async (alloc) => {
    const gram = matrix(rows, rows, alloc(rows * rows, "f64"));
    await writeSupportGram(space, spec.columns, { out: gram, known: spec.known });
    const first = await swapRound(space, { gram, columns: spec.columns, candidates: spec.candidates, pool });
    let best = first;
    let swaps = first.swaps;
    // With a raised damping the tableau's gain belongs to another Q than the values do.
    const trace = lambda === model.damping ? [first.value + first.gain, first.value] : [first.value];
    for (let round = 1; round < maxRounds && best.gain > worthwhile * first.gain; round++) {
      await ctx.tick({ task: "solve", done: round, total: maxRounds, values: { objective: best.value } });
      const next = await swapRound(space, { gram, columns: best.columns, candidates: best.candidates, pool });
      swaps += next.swaps;
      if (!(next.value < best.value)) break;
      best = next;
      trace.push(best.value);
    }
    return { columns: best.columns, w: best.w, trace, swaps };
  });
}

interface Round {
  readonly columns: Uint32Array;
  readonly w: Vec;
  readonly candidates: Vec;
  readonly value: number;
  /** How much lower Q is than on the support that came in. */
  readonly gain: number;
  readonly swaps: number;
}

/** One pool. Turns `gram` from the old support's into the new one's. */
function swapRound(
  space: RowSpace,
  spec: { gram: Mat; columns: Uint32Array; candidates: Vec; pool: number },
): Promise<Round> {
  const { kernels, lambda, model, size, rows } = space;
  const { gram } = spec;
  return withScratch(kernels, async (alloc) => {
    const pool = choosePool(space, spec);
    const A = matrix(rows, pool.members.length, alloc(rows * pool.members.length, "f64"));
    await writeColumns(space, pool.members, A.data);
    const centre = Float64Array.from(pool.members, (j) => space.centre[j]!);
    const { chosen, x, u, gain, swaps } = await searchPool(
      { rows, lambda, kernels, factorize: (M) => factorizeRows(space, M) },
      { gram, A, kept: pool.kept, centre, eliminate: (L) => eliminate(space, pool.others, L) },
    );
    const candidates = await candidateWeights(space, u);
    chosen.forEach((i, s) => {
      candidates[pool.members[i]!] = x[s]!;
    });
    const columns = Uint32Array.from([...pool.others, ...Array.from(chosen, (i) => pool.members[i]!)]).sort();
    const w = zeros(size, model.dtype);
    for (const j of columns) w[j] = candidates[j]!;
    const value = valueAt(model, await pointAt(model, w));
    return { columns, w, candidates, value, gain, swaps };
  });
}

/** What a pool is searched in: the space of the rows, without anything of p numbers. */
export interface PoolSpace {
  readonly rows: number;
  readonly lambda: number;
  readonly kernels: Kernels;
  /** Replaces I + A_S A_S' / lambda by its Cholesky factor. @throws ERR_SINGULAR */
  factorize(M: Mat): void;
}

/** What the search of a pool gives. */
export interface PoolFound {
  /** Places in the pool that are kept now, ascending. */
  readonly chosen: Uint32Array;
  /** Their weights. */
  readonly x: Float64Array;
  /** The row-space solution [rows] on the new support. */
  readonly u: Float64Array;
  /** How much lower Q is than on the support that came in. */
  readonly gain: number;
  readonly swaps: number;
}

/**
 * Swaps within a pool, and the solution on what they end at.
 *
 * @param pool.gram - I + A_S A_S' / lambda of the support; becomes that of the new one
 * @param pool.A - columns of the members [rows, c]; `kept`: places of those that are kept so far; `centre`: their v [c]
 * @param pool.eliminate - u_F [rows] from the Cholesky factor of M_F
 */
export async function searchPool(
  { rows, lambda, kernels, factorize }: PoolSpace,
  pool: {
    gram: Mat;
    A: Mat;
    kept: Uint32Array;
    centre: Float64Array;
    eliminate(L: Mat): Promise<Float64Array>;
  },
): Promise<PoolFound> {
  const { gram, A, kept, centre } = pool;
  const addOuter = (columns: Mat, sign: 1 | -1): void =>
    kernels.gram({ a: columns, out: gram, alpha: sign / lambda, beta: 1 });
  return withScratch(kernels, async (alloc) => {
    addOuter(pick(A, kept), -1);
    const L = matrix(rows, rows, alloc(rows * rows, "f64"));
    L.data.set(gram.data);
    factorize(L);
    const base = await pool.eliminate(L);
    const X = matrix(rows, A.cols, alloc(A.data.length, "f64"));
    const { B, b } = poolSystem({ kernels, lambda }, { A, L, X, centre, base });
    const tableau = new Tableau(B.data as Float64Array, b);
    for (const i of kept) tableau.flip(i);
    const before = tableau.value;
    const found = tableau.search(search);
    found.kept.forEach((bit, i) => {
      if (bit !== tableau.kept[i]) tableau.flip(i);
    });
    const chosen = indicesBelow(A.cols).filter((i) => found.kept[i] === 1);
    const inside = pick(A, chosen);
    addOuter(inside, 1);
    const u = new Float64Array(rows);
    const x = Float64Array.from(chosen, (i) => tableau.weight(i));
    kernels.gemv({ a: inside, x, out: u });
    solveFactored(L, u, kernels);
    kernels.axpy(1, base, u);
    return { chosen, x, u, gain: 0.5 * lambda * (before - found.value), swaps: found.swaps };
  });
}

interface Pool {
  /** Ascending. */
  readonly members: Uint32Array;
  /** Places in `members` of the ones that are kept so far, ascending. */
  readonly kept: Uint32Array;
  /** The kept weights outside the pool, ascending. */
  readonly others: Uint32Array;
}

function choosePool({ kernels, size }: RowSpace, spec: { columns: Uint32Array; candidates: Vec; pool: number }): Pool {
  const { columns, candidates, pool } = spec;
  const inside = zeros(size, dtypeOf(candidates)).fill(Number.NEGATIVE_INFINITY);
  const outside = zeros(size, dtypeOf(candidates));
  for (let j = 0; j < size; j++) outside[j] = Math.abs(candidates[j]!);
  for (const j of columns) {
    inside[j] = -outside[j]!;
    outside[j] = Number.NEGATIVE_INFINITY;
  }
  const kept = kernels.largest(inside, Math.min(pool, columns.length));
  const pruned = kernels.largest(outside, Math.min(pool, size - columns.length));
  const members = Uint32Array.from([...kept, ...pruned]).sort();
  const taken = new Set(kept);
  return {
    members,
    kept: indicesBelow(members.length).filter((i) => taken.has(members[i]!)),
    others: columns.filter((j) => !taken.has(j)),
  };
}

/** u_F: the row-space solution when only the others are free. */
async function eliminate(space: RowSpace, others: Uint32Array, L: Mat): Promise<Float64Array> {
  const free = zeros(space.size, space.model.dtype);
  for (const j of others) free[j] = space.centre[j]!;
  const u = new Float64Array(space.rows);
  await times(space, free, u);
  for (let i = 0; i < u.length; i++) u[i]! -= space.target[i]!;
  solveFactored(L, u, space.kernels);
  return u;
}

function poolSystem(
  { kernels, lambda }: Pick<RowSpace, "kernels" | "lambda">,
  spec: { A: Mat; L: Mat; X: Mat; centre: Float64Array; base: Float64Array },
): { B: Mat; b: Float64Array } {
  const { A, L, X, centre, base } = spec;
  const c = centre.length;
  const b = new Float64Array(c);
  kernels.gemv({ a: A, transpose: true, x: base, out: b, alpha: -1 / lambda });
  for (let i = 0; i < c; i++) b[i]! += centre[i]!;
  X.data.set(A.data);
  kernels.triangularSolve({ l: L, b: X });
  const B = matrix(c, c, new Float64Array(c * c));
  kernels.gram({ a: X, transpose: true, out: B, alpha: 1 / lambda });
  for (let i = 0; i < c; i++) B.data[i * c + i]! += 1;
  return { B, b };
}

function pick(A: Mat, columns: Uint32Array): Mat {
  const out = matrix(A.rows, columns.length, new Float64Array(A.rows * columns.length));
  for (let i = 0; i < A.rows; i++) {
    for (let s = 0; s < columns.length; s++) out.data[i * columns.length + s] = A.data[i * A.cols + columns[s]!]!;
  }
  return out;
}

function indicesBelow(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}
