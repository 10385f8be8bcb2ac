/**
 * The swaps of relaxation/exchange.ts, over columns in shards: the pool's columns come to whoever leads the solve, which searches it in the space of the
 * rows. A round costs two passes over the rows, and one for the value that it ends at.
 */
import { keptPlaces, type Mat, matrix, type RunContext } from "@secateur/core";
import { worthwhile } from "../relaxation/exchange.ts";
import {
  gathered,
  halfSolved,
  type Moved,
  type Pool,
  type SwapSystem,
  searchPool,
  setApart,
} from "../relaxation/swap-system.ts";
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
 * @param spec.gram - I + A_S A_S' / lambda of what is kept; becomes its factor
 */
export async function exchangeColumns(
  space: ColumnSpace,
  spec: { gram: Mat; pool: number; maxRounds: number },
  ctx: RunContext,
): Promise<ColumnExchange> {
  const { gram, pool, maxRounds } = spec;
  const { lambda, kernels, target } = space;
  const begun = await takePool(space, pool);
  const leaving = begun.columns.filter((_, i) => begun.kept[i] === 1);
  const keptOnes = gathered(begun.A, keptPlaces(begun.kept), kernels);
  kernels.gram({ a: keptOnes, out: gram, alpha: -1 / lambda, beta: 1 });
  const factor = factorOf(space, gram);
  const { image } = await times(space, { of: "others", except: leaving });
  const right = image.map((value, i) => value - target[i]!);
  const system = { kernels, lambda, factor, half: halfSolved(factor, right, kernels) };
  let best = await swapRound(space, { system, moved: setApart(begun), taken: begun });
  const firstGain = best.gain;
  let swaps = best.swaps;
  const trace = [best.value + best.gain, best.value];
  for (let round = 1; round < maxRounds && best.gain > worthwhile * firstGain; round++) {
    await ctx.tick({ task: "solve", done: round, total: maxRounds, values: { objective: best.value } });
    const taken = await takePool(space, pool);
    const next = await swapRound(space, { system, moved: best.moved, taken });
    swaps += next.swaps;
    if (!(next.value < best.value)) {
      // Back to the support before.
      await askAll(space.shards, (shard) => shard.swap({ into: next.out, out: next.into }));
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
  readonly moved: Moved;
  /** Columns that came in and went. */
  readonly into: Uint32Array;
  readonly out: Uint32Array;
}

async function swapRound(
  space: ColumnSpace,
  { system, moved, taken }: { system: SwapSystem; moved: Moved; taken: Pool },
): Promise<Round> {
  const { shards } = space;
  const { columns: members, kept } = taken;
  const found = await searchPool(system, taken, moved);
  const { u, gain, swaps } = found;
  const into = members.filter((_, i) => found.kept[i]! > kept[i]!);
  const out = members.filter((_, i) => found.kept[i]! < kept[i]!);
  await askAll(shards, (shard) => shard.swap({ into, out }));
  await placeCandidates(space, u);
  const isKept = (_: number, i: number): boolean => found.kept[i] === 1;
  const places: Places = { columns: members.filter(isKept), values: found.x.filter(isKept) };
  await askAll(shards, (shard) => shard.set(places));
  const { value } = await placedValue(space);
  return { u, value, gain, swaps, moved: found.moved, into, out };
}

/** The kept places of least |V| and the others of greatest. */
async function takePool({ shards, rows, root }: ColumnSpace, pool: number): Promise<Pool> {
  const extremes = await askAll(shards, (shard) => shard.extremes(pool));
  const leaving = first(
    extremes.map(({ kept }) => kept),
    pool,
    1,
  );
  const members = Uint32Array.from([
    ...leaving,
    ...first(
      extremes.map(({ pruned }) => pruned),
      pool,
      -1,
    ),
  ]).sort();
  const wasKept = new Set(leaving);
  const kept = Uint8Array.from(members, (column) => Number(wasKept.has(column)));
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
  return { columns: members, kept, centre, A };
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
