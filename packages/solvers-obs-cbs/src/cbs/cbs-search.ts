/**
 * CBS-S, the local search for argmin over masks of f(P) = w_P' H w_P (Yu et al., ICML 2022, section 4.2). Each round takes
 * the pruned units of largest alpha and the kept ones of least beta into a pool and swaps there (swap-pool.ts).
 * Departures: the pool is drawn from the whole network by two products with the factored rows, not from one layer's block of
 * H; gains are exact after every swap; and rounds end when one gains less than a fraction of what all gained so far.
 */

import type { Mask, RunContext, Units } from "@secateur/core";
import { defaults } from "../defaults.ts";
import { type CbsModel, type CbsPoint, cbsPoint } from "./cbs-model.ts";
import { type MaySwap, type SwapPool, swapBest, swapPass } from "./swap-pool.ts";
import { unitBlock } from "./unit-products.ts";

/** Settings of the local search. */
export interface CbsSearchOptions {
  /** "best" (default): the best swap of the pool, again and again. "published": one pass with window and misses a round. */
  readonly search?: "best" | "published" | undefined;
  /** Pool members of each kind; default 256. Of groups as many as have so many weights, and at least 32. */
  readonly pool?: number | undefined;
  /** Rounds at most; default 60. */
  readonly rounds?: number | undefined;
  /** A round that gains less than this fraction of all gains so far is the last; default 0.002. */
  readonly worthwhile?: number | undefined;
  /** Least gain of a swap, as a fraction of f; default 1e-7. */
  readonly epsilon?: number | undefined;
  /** Published search: kept candidates a pruned weight looks at; default 10. */
  readonly window?: number | undefined;
  /** Published search: pruned weights that may find none; default 20. */
  readonly misses?: number | undefined;
}

/** Where a search ended. */
export interface CbsFound {
  readonly mask: Mask;
  /** f before the first and after every round. */
  readonly trace: readonly number[];
  readonly swaps: number;
}

/** Swaps from a mask until it no longer pays. A round: three products' worth and n (2 pool)^2 / 2 multiply-adds. */
export async function cbsSearch(
  spec: { model: CbsModel; start: Mask } & CbsSearchOptions,
  ctx: RunContext,
): Promise<CbsFound> {
  const { model, rounds = defaults.search.rounds, worthwhile = defaults.search.worthwhile } = spec;
  let point = await cbsPoint(model, spec.start);
  const trace = [point.value];
  let swaps = 0;
  for (let round = 0; round < rounds; round++) {
    const done = await searchRound({ ...spec, point }, ctx);
    if (done.swaps === 0) break;
    const next = await cbsPoint(model, done.mask);
    // Gains are exact up to the rounding of the rows' products; what they cannot tell is no gain.
    if (!(next.value < point.value)) break;
    swaps += done.swaps;
    trace.push(next.value);
    const gain = point.value - next.value;
    point = next;
    await ctx.tick({ task: "solve", done: round + 1, total: rounds, values: { combinatorial: next.value } });
    if (gain < worthwhile * (trace[0]! - next.value)) break;
  }
  return { mask: point.mask, trace, swaps };
}

async function searchRound(
  spec: { model: CbsModel; point: CbsPoint } & CbsSearchOptions,
  ctx: RunContext,
): Promise<{ mask: Mask; swaps: number }> {
  const usual = defaults.search;
  const { model, point, pool: size = usual.pool, search = usual.search, epsilon = usual.epsilon } = spec;
  const { window = usual.window, misses = usual.misses } = spec;
  const { problem } = model;
  const members = choosePool(model, point, size);
  const pool: SwapPool = {
    B: await unitBlock(model.products, members, ctx),
    v: Float64Array.from(members, (j) => point.v[j]!),
    pruned: Uint8Array.from(members, (j) => 1 - point.mask[j]!),
  };
  const mask = point.mask.slice();
  const { constraint } = problem;
  const update = (): void =>
    members.forEach((j, s) => {
      mask[j] = 1 - pool.pruned[s]!;
    });
  // A constraint that only counts allows every swap of eligible weights, and the pool holds no others.
  const allowed = (): MaySwap => {
    if (constraint.count) return () => true;
    update();
    const fits = constraint.canSwap?.(mask);
    return (out, into) => fits?.(members[into]!, members[out]!) ?? false;
  };
  const least = epsilon * point.value;
  const { swaps } =
    search === "best"
      ? swapBest(pool, { least, maxSwaps: 4 * size, allowed })
      : swapPass(pool, { least, window, misses, allowed });
  update();
  return { mask, swaps };
}

/** The pruned units of largest alpha and the kept ones of least beta, ascending. */
function choosePool({ own, problem, kernels }: CbsModel, { mask, v }: CbsPoint, size: number): Uint32Array {
  const { units, constraint } = problem;
  const eligible = constraint.count?.eligible;
  const out = new Float64Array(mask.length).fill(Number.NEGATIVE_INFINITY);
  const into = out.slice();
  let [pruned, kept] = [0, 0];
  for (let j = 0; j < mask.length; j++) {
    if (mask[j] === 1) {
      into[j] = -(2 * v[j]! + own[j]!);
      kept++;
    } else if (eligible?.[j] !== 0 && own[j] !== 0) {
      out[j] = 2 * v[j]! - own[j]!;
      pruned++;
    }
  }
  const some = (score: Float64Array, count: number): readonly number[] => {
    const first = kernels.largest(score, Math.min(size, count));
    return units.perWeight ? [...first] : ofWeights([...first], { score, units, weights: size });
  };
  return Uint32Array.from([...some(out, pruned), ...some(into, kept)]).sort();
}

/** Fewest groups of each kind in a pool, whatever they weigh: enough that every class of a network's last layer can be among them. */
const leastGroups = 32;

/** Those of highest score that have so many weights together. */
function ofWeights(
  chosen: number[],
  { score, units, weights }: { score: Float64Array; units: Units; weights: number },
): readonly number[] {
  chosen.sort((a, b) => score[b]! - score[a]! || a - b);
  let together = 0;
  return chosen.filter((unit, place) => {
    together += units.indices(unit).length;
    return place < leastGroups || together <= weights;
  });
}
