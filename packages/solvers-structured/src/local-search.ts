/**
 * The mask of OSSCAR (Meng, Ibrahim, Behdin, Hazimeh, Ponomareva, Mazumder: OSSCAR: One-shot structured pruning in vision and language models with
 * combinatorial optimization, ICML 2024): groups go in order of what each costs once everything else is re-fitted, then single exchanges of a kept
 * group and a pruned one follow as long as Q falls.
 * Departures: an exchange's gain is exact for the pair, where the published code takes the cheapest groups out and the best ones in and looks
 * afterwards; the best exchange of a pool of candidates is taken, and the search ends where the pool holds none, so that with a pool of all
 * groups no exchange is left that lowers Q.
 */
import { type Mask, type Problem, type RunContext, shrinkingBudgets } from "@secateur/core";
import { exchangeGain, gainOf, type Leaving, leaving } from "./exchange.ts";
import { type Sweeps, sweepIn, sweepOut } from "./sweep.ts";

/** How far to search. */
export interface SearchOptions {
  /** How often costs are taken again on the way to the budget, >= 1. */
  readonly looks: number;
  /** Exchanges at most, >= 0. */
  readonly swaps: number;
  /** Candidates of each kind for an exchange, >= 1. */
  readonly pool: number;
}

/** What a search found. */
export interface FoundGroups {
  /** [units.count] */
  readonly mask: Mask;
  /** Exchanges made. */
  readonly swaps: number;
  /** Whether no exchange of the pool was left. */
  readonly settled: boolean;
  /** How far the exchanges lowered Q. */
  readonly gained: number;
}

/** A gain below this share of what removing everything costs is rounding. */
const leastGain = 1e-10;

/**
 * Removes groups until the budget holds, then exchanges them. `sweeps` begins with every column free, and ends at the mask found.
 *
 * @param spec.groups - columns of each unit
 * @param spec.energy - what Q rises by where everything goes, for the least gain
 */
export async function searchGroups(
  spec: {
    problem: Pick<Problem, "units" | "constraint">;
    groups: readonly Uint32Array[];
    sweeps: Sweeps;
    energy: number;
    options: SearchOptions;
  },
  ctx: RunContext,
): Promise<FoundGroups> {
  const { problem, groups, sweeps, options } = spec;
  let mask: Mask = new Uint8Array(groups.length).fill(1);
  const budgets = shrinkingBudgets(problem, { steps: options.looks, spacing: "even" });
  for (const [index, budget] of budgets.entries()) {
    const scores = new Float64Array(groups.length);
    for (const [unit, columns] of groups.entries()) {
      // What is gone stays gone unless the budget has room for nothing else.
      scores[unit] = mask[unit] === 1 ? leaving(sweeps, columns).cost : -1 / (1 + gainOf(sweeps, columns));
    }
    const next = budget.select(scores);
    for (const [unit, columns] of groups.entries()) {
      if (next[unit] === mask[unit]) continue;
      if (next[unit] === 1) sweepIn(sweeps, columns);
      else sweepOut(sweeps, columns);
    }
    mask = next;
    await ctx.tick({ task: "solve", done: index + 1, total: budgets.length });
  }
  return { ...(await exchangeGroups({ ...spec, mask }, ctx)) };
}

async function exchangeGroups(
  spec: Parameters<typeof searchGroups>[0] & { mask: Mask },
  ctx: RunContext,
): Promise<FoundGroups> {
  const { problem, groups, sweeps, energy, options } = spec;
  const mask = spec.mask.slice();
  const canSwap = (at: Mask) => problem.constraint.canSwap?.(at);
  let [swaps, gained] = [0, 0];
  while (swaps < options.swaps) {
    const may = canSwap(mask);
    if (!may) break;
    const best = bestExchange({ mask, groups, sweeps, may, pool: options.pool });
    if (!best || best.gain <= leastGain * energy) return { mask, swaps, gained, settled: true };
    sweepOut(sweeps, groups[best.out]!);
    sweepIn(sweeps, groups[best.into]!);
    mask[best.out] = 0;
    mask[best.into] = 1;
    swaps++;
    gained += best.gain;
    await ctx.tick({ task: "solve", done: swaps, total: options.swaps });
  }
  // Ended by what was asked for is an end; only a search cut short is none.
  return { mask, swaps, gained, settled: options.swaps === 0 || !problem.constraint.canSwap };
}

/** The exchange of greatest gain among the cheapest kept groups and the pruned ones that help most; equal ones by place. */
function bestExchange(spec: {
  mask: Mask;
  groups: readonly Uint32Array[];
  sweeps: Sweeps;
  may: (out: number, into: number) => boolean;
  pool: number;
}): { readonly out: number; readonly into: number; readonly gain: number } | undefined {
  const { mask, groups, sweeps, may, pool } = spec;
  const kept: { unit: number; at: Leaving }[] = [];
  const pruned: { unit: number; gain: number }[] = [];
  groups.forEach((columns, unit) => {
    if (mask[unit] === 1) kept.push({ unit, at: leaving(sweeps, columns) });
    else pruned.push({ unit, gain: gainOf(sweeps, columns) });
  });
  kept.sort((a, b) => a.at.cost - b.at.cost || a.unit - b.unit);
  pruned.sort((a, b) => b.gain - a.gain || a.unit - b.unit);
  let best: { out: number; into: number; gain: number } | undefined;
  for (const { unit: out, at } of kept.slice(0, pool)) {
    for (const { unit: into } of pruned.slice(0, pool)) {
      if (!may(out, into)) continue;
      const gain = exchangeGain(sweeps, at, groups[into]!);
      if (!best || gain > best.gain) best = { out, into, gain };
    }
  }
  return best;
}
