/**
 * Improves a support by swaps, round by round: the kept weights that want to be smallest and the pruned ones that want to be largest form a pool P; all
 * others F stay. Eliminating those leaves min over supports of lambda/2 (x'Bx - 2 b'x) on the pool, with
 *   B = I + A_P' M_F^-1 A_P / lambda,   b = v_P - A_P' u_F / lambda,   M_F = I + A_F A_F' / lambda,  M_F u_F = A_F v_F - y,
 * in which a tableau (tableau.ts) prices every swap exactly. One n x n Cholesky serves all rounds (swap-system.ts), and the
 * exact minimiser on each support follows from it. Notation: row-space.ts.
 */

import { dtypeOf, matrix, type RunContext, type Vec, zeros } from "@secateur/core";
import { pointAt, valueAt, withScratch } from "@secateur/core/linalg";
import { chitaDefaults, effortFor } from "../chita-defaults.ts";
import {
  type ColumnsGram,
  candidateWeights,
  factorizeRows,
  type RowSpace,
  times,
  writeColumns,
  writeSupportGram,
} from "./row-space.ts";
import { halfSolved, type Moved, type Pool, type SwapSystem, searchPool, setApart } from "./swap-system.ts";

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
  const { space, pool = effortFor(spec.space.rows).pool, maxRounds = chitaDefaults.rounds } = spec;
  const { kernels, rows, lambda, model } = space;
  return withScratch(kernels, async (alloc) => {
    const begun = await takePool(space, { ...spec, pool });
    const { others } = begun;
    const factor = matrix(rows, rows, alloc(rows * rows, "f64"));
    await writeSupportGram(space, others, { out: factor, known: spec.known });
    factorizeRows(space, factor);
    const system = { kernels, lambda, factor, half: halfSolved(factor, await rightSide(space, others), kernels) };
    const first = await swapRound(space, { system, moved: setApart(begun), taken: begun });
    let best = first;
    let swaps = first.swaps;
    // With a raised damping the tableau's gain belongs to another Q than the values do.
    const trace = lambda === model.damping ? [first.value + first.gain, first.value] : [first.value];
    for (let round = 1; round < maxRounds && best.gain > worthwhile * first.gain; round++) {
      await ctx.tick({ task: "solve", done: round, total: maxRounds, values: { objective: best.value } });
      const taken = await takePool(space, { ...best, pool });
      const next = await swapRound(space, { system, moved: best.moved, taken });
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
  readonly moved: Moved;
  readonly value: number;
  /** How much lower Q is than on the support that came in. */
  readonly gain: number;
  readonly swaps: number;
}

/** One pool. */
async function swapRound(
  space: RowSpace,
  { system, moved, taken }: { system: SwapSystem; moved: Moved; taken: TakenPool },
): Promise<Round> {
  const { model, size } = space;
  const found = await searchPool(system, taken, moved);
  const candidates = await candidateWeights(space, found.u);
  taken.columns.forEach((j, i) => {
    if (found.kept[i] === 1) candidates[j] = found.x[i]!;
  });
  const chosen = taken.columns.filter((_, i) => found.kept[i] === 1);
  const columns = Uint32Array.from([...taken.others, ...chosen]).sort();
  const w = zeros(size, model.dtype);
  for (const j of columns) w[j] = candidates[j]!;
  const value = valueAt(model, await pointAt(model, w));
  return { columns, w, candidates, moved: found.moved, value, gain: found.gain, swaps: found.swaps };
}

interface TakenPool extends Pool {
  /** The kept weights outside the pool, ascending. */
  readonly others: Uint32Array;
}

async function takePool(
  space: RowSpace,
  { columns, candidates, pool }: { columns: Uint32Array; candidates: Vec; pool: number },
): Promise<TakenPool> {
  const { kernels, size, rows } = space;
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
  const A = matrix(rows, members.length, new Float64Array(rows * members.length));
  await writeColumns(space, members, A.data);
  return {
    columns: members,
    kept: Uint8Array.from(members, (j) => Number(taken.has(j))),
    centre: Float64Array.from(members, (j) => space.centre[j]!),
    A,
    others: columns.filter((j) => !taken.has(j)),
  };
}

/** A_S v_S - y */
async function rightSide(space: RowSpace, columns: Uint32Array): Promise<Float64Array> {
  const v = zeros(space.size, space.model.dtype);
  for (const j of columns) v[j] = space.centre[j]!;
  const out = new Float64Array(space.rows);
  await times(space, v, out);
  for (let i = 0; i < out.length; i++) out[i]! -= space.target[i]!;
  return out;
}
