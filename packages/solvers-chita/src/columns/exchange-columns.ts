/**
 * The swaps of relaxation/exchange.ts, over columns in shards: the pool's columns come to whoever leads the solve, which searches it in the space of the
 * rows. A round costs two passes over the rows, and one for the value that it ends at.
 */
import { type Mat, matrix, type RunContext } from "@secateur/core";
import { solveFactored } from "@secateur/core/linalg";
import { searchPool, worthwhile } from "../relaxation/exchange.ts";
import type { Places } from "./column-shard.ts";
import { type ColumnSpace, factorOf, placeCandidates, times } from "./column-space.ts";
import { askAll } from "./sum-shards.ts";

/** What a search ends at; the shards keep the support. */
export interface ColumnExchange {
  /** Row-space solution on the support. */
  readonly u: Float64Array;
  readonly swaps: number;
  /** Q of the support that came in, and after each round. */
  readonly trace: readonly number[];
}

/**
 * Swaps until a round no longer pays.
 *
 * @param spec.gram - I + A_S A_S' / lambda of what is kept; becomes that of the new support
 */
export async function exchangeColumns(
  space: ColumnSpace,
  spec: { gram: Mat; pool: number; maxRounds: number },
  ctx: RunContext,
): Promise<ColumnExchange> {
  const { gram, pool, maxRounds } = spec;
  let best = await swapRound(space, { gram, pool });
  const firstGain = best.gain;
  let swaps = best.swaps;
  const trace = [best.value + best.gain, best.value];
  for (let round = 1; round < maxRounds && best.gain > worthwhile * firstGain; round++) {
    await ctx.tick({ task: "solve", done: round, total: maxRounds, values: { objective: best.value } });
    const before = gram.data.slice();
    const next = await swapRound(space, { gram, pool });
    swaps += next.swaps;
    if (!(next.value < best.value)) {
      // Back to the support before.
      await askAll(space.shards, (shard) => shard.swap({ into: next.out, out: next.into }));
      gram.data.set(before);
      break;
    }
    best = next;
    trace.push(best.value);
  }
  return { u: best.u, swaps, trace };
}

interface Round {
  readonly u: Float64Array;
  readonly value: number;
  readonly gain: number;
  readonly swaps: number;
  /** Columns that came in and went. */
  readonly into: Uint32Array;
  readonly out: Uint32Array;
}

async function swapRound(space: ColumnSpace, { gram, pool }: { gram: Mat; pool: number }): Promise<Round> {
  const { shards, rows, root, kernels, lambda, target } = space;
  const found = await askAll(shards, (shard) => shard.extremes(pool));
  const leaving = first(
    found.map(({ kept }) => kept),
    pool,
    1,
  );
  const members = Uint32Array.from([
    ...leaving,
    ...first(
      found.map(({ pruned }) => pruned),
      pool,
      -1,
    ),
  ]).sort();
  const wasKept = new Set(leaving);
  const kept = indices(members, (column) => wasKept.has(column));
  const gathered = await askAll(shards, (shard) => shard.gather(members));
  // Shards hold runs of columns, and members ascend.
  const centre = Float64Array.from(gathered.flatMap(({ values }) => [...values]));
  const A = matrix(rows, members.length, new Float64Array(rows * members.length));
  let from = 0;
  for (const { columns, rows: part } of gathered) {
    const width = columns.length;
    for (let i = 0; i < rows; i++) {
      for (let s = 0; s < width; s++) A.data[i * members.length + from + s] = root * part[i * width + s]!;
    }
    from += width;
  }
  const { chosen, x, u, gain, swaps } = await searchPool(
    { rows, lambda, kernels, factorize: (M) => M.data.set(factorOf(space, M).data) },
    {
      ...{ gram, A, kept, centre },
      async eliminate(L) {
        const { image } = await times(space, { of: "others", except: leaving });
        const base = image.map((value, i) => value - target[i]!);
        solveFactored(L, base, kernels);
        return base;
      },
    },
  );
  const isChosen = new Set(Array.from(chosen, (i) => members[i]!));
  const into = members.filter((column) => isChosen.has(column) && !wasKept.has(column));
  const out = members.filter((column) => !isChosen.has(column) && wasKept.has(column));
  await askAll(shards, (shard) => shard.swap({ into, out }));
  await placeCandidates(space, u);
  const places: Places = { columns: members.filter((column) => isChosen.has(column)), values: x };
  await askAll(shards, (shard) => shard.set(places));
  const { value } = await placedValue(space);
  return { u, value, gain, swaps, into, out };
}

/** At w = V where it is kept, 0 elsewhere: Q, and A w - y. A pass over the rows. */
export async function placedValue(space: ColumnSpace): Promise<{ value: number; offTarget: Float64Array }> {
  const { lambda, target, shift, kernels } = space;
  const { image, distance } = await times(space, { of: "kept" });
  const offTarget = image.map((value, i) => value - target[i]!);
  const squares = kernels.dot(offTarget, offTarget) - kernels.dot(shift, shift);
  return { value: 0.5 * (squares + lambda * distance), offTarget };
}

/** The `count` places that come first by value (times `sign`), ties by column; ascending columns. */
function first(found: readonly Places[], count: number, sign: 1 | -1): Uint32Array {
  const all = found.flatMap(({ columns, values }) =>
    Array.from(columns, (column, i) => ({ column, value: sign * values[i]! })),
  );
  all.sort((a, b) => a.value - b.value || a.column - b.column);
  return Uint32Array.from(all.slice(0, count), ({ column }) => column).sort();
}

function indices(members: Uint32Array, wanted: (column: number) => boolean): Uint32Array {
  return Uint32Array.from(members.keys()).filter((i) => wanted(members[i]!));
}
