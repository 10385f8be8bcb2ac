/**
 * Local search on the support of one row: swaps of a kept and a pruned weight, each priced with all kept weights re-fitted, the best
 * first, until none lowers Q (row-tableau.ts has the formulas). The published SparseSwaps (Zimmer et al. 2025) prices swaps with the
 * kept weights as they are; sparse-swaps.ts has that rule.
 */
import type { Mask, SwapCheck } from "@secateur/core";
import { type RowTableau, swap } from "./row-tableau.ts";

/** Which pairs are looked at. */
export interface SwapRule {
  /** Only within groups of so many neighbours. */
  readonly group?: number | undefined;
  /** Weights that may come in [cols]; default: all. */
  readonly eligible?: Uint8Array | undefined;
  /** For the mask of the row as it is: asked about every pair of columns that would be the best so far; default: all may. */
  readonly maySwap?: ((row: Mask) => SwapCheck) | undefined;
}

/** A swap of what is in two slots, and what it changes Q by. */
interface Swap {
  readonly out: number;
  readonly into: number;
  readonly change: number;
}

/** Smallest fall of Q that counts, as a fraction of the energy of the row's outputs: far above rounding, far below what matters. */
const leastFall = 1e-10;

/**
 * Swaps until none pays, or `most` were made. The tableau is changed in place.
 *
 * @param energy - 1/2 w0'H w0 of the row, the scale of falls that count
 * @returns how many swaps were made, and whether the search ended by itself
 */
export function swapUntilBest(
  tableau: RowTableau,
  rule: SwapRule,
  { energy, most }: { energy: number; most: number },
): { swaps: number; settled: boolean } {
  for (let swaps = 0; ; swaps++) {
    const best = bestSwap(tableau, rule);
    if (!best || !(best.change < -leastFall * energy)) return { swaps, settled: true };
    if (swaps === most) return { swaps, settled: false };
    swap(tableau, best.out, best.into);
  }
}

/** The swap that lowers Q most; ties go to the first slots. k (cols - k) prices, or k of with groups. */
export function bestSwap({ mask, S, N, A, T, c, w, e }: RowTableau, rule: SwapRule): Swap | undefined {
  const [k, m] = [S.length, N.length];
  const { group, eligible } = rule;
  const maySwap = rule.maySwap?.(mask);
  const candidates = Uint32Array.from(N.keys()).filter((t) => !eligible || eligible[N[t]!] === 1);
  const byGroup = group === undefined ? undefined : groupsOf(candidates, (t) => Math.floor(N[t]! / group));
  const isEvery = candidates.length === m;
  let [out, into, change] = [-1, -1, 0];
  for (let s = 0; s < k; s++) {
    const a = A[s * k + s]!;
    const share = w[s]! / a;
    const cost = w[s]! * share;
    const among = byGroup ? (byGroup.get(Math.floor(S[s]! / group!)) ?? []) : candidates;
    const row = s * m;
    for (let x = 0; x < among.length; x++) {
      const t = isEvery && !byGroup ? x : among[x]!;
      const across = T[row + t]!;
      const slope = e[t]! + across * share;
      const curvature = c[t]! + (across * across) / a;
      // A price below the best so far, without a division.
      if (!(slope * slope > (cost - change) * curvature && curvature > 0)) continue;
      if (maySwap && !maySwap(S[s]!, N[t]!)) continue;
      [out, into, change] = [s, t, cost - (slope * slope) / curvature];
    }
  }
  return out < 0 ? undefined : { out, into, change: 0.5 * change };
}

function groupsOf(slots: Uint32Array, groupOf: (slot: number) => number): ReadonlyMap<number, readonly number[]> {
  const groups = new Map<number, number[]>();
  for (const slot of slots) {
    const own = groups.get(groupOf(slot));
    if (own) own.push(slot);
    else groups.set(groupOf(slot), [slot]);
  }
  return groups;
}
