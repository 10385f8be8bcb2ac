/**
 * Local search on the support of one row: swaps of a kept and a pruned weight, each priced with all kept weights re-fitted, the best
 * first, until none lowers Q (row-tableau.ts has the formulas). The published SparseSwaps (Zimmer et al. 2025) prices swaps with the
 * kept weights as they are; sparse-swaps.ts has that rule.
 */
import type { Mask, SwapCheck } from "@secateur/core";
import { additionGain, pivot, type RowTableau, removalCost } from "./row-tableau.ts";

/** Which pairs are looked at. */
export interface SwapRule {
  /** Only within groups of so many neighbours. */
  readonly group?: number | undefined;
  /** Weights that may come in [cols]; default: all. */
  readonly eligible?: Uint8Array | undefined;
  /** For the mask of the row as it is: asked about every pair of columns that would be the best so far; default: all may. */
  readonly maySwap?: ((row: Mask) => SwapCheck) | undefined;
}

/** A swap and what it changes Q by. */
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
    pivot(tableau, best.out);
    pivot(tableau, best.into);
  }
}

/** The swap that lowers Q most; ties go to the lower indices. k (cols - k) prices, or k of with groups. */
export function bestSwap(tableau: RowTableau, rule: SwapRule): Swap | undefined {
  const { cols, M, v, mask } = tableau;
  const { group = cols, eligible } = rule;
  const maySwap = rule.maySwap?.(mask);
  const pruned: number[] = [];
  for (let j = 0; j < cols; j++) if (mask[j] === 0 && (!eligible || eligible[j] === 1)) pruned.push(j);
  const candidates = Uint32Array.from(pruned);
  const C = Float64Array.from(candidates, (j) => M[j * cols + j]!);
  const e = Float64Array.from(candidates, (j) => v[j]!);
  let [out, into, change] = [-1, -1, 0];
  for (let i = 0, from = 0, to = 0; i < cols; i++) {
    if (group === cols) to = candidates.length;
    else {
      const first = i - (i % group);
      while (from < candidates.length && candidates[from]! < first) from++;
      for (to = from; to < candidates.length && candidates[to]! < first + group; ) to++;
    }
    if (mask[i] === 0) continue;
    const a = -M[i * cols + i]!;
    const share = v[i]! / a;
    const cost = v[i]! * share;
    for (let c = from; c < to; c++) {
      const t = M[i * cols + candidates[c]!]!;
      const slope = e[c]! + t * share;
      const price = cost - (slope * slope) / (C[c]! + (t * t) / a);
      if (price < change && (!maySwap || maySwap(i, candidates[c]!))) {
        out = i;
        into = candidates[c]!;
        change = price;
      }
    }
  }
  return out < 0 ? undefined : { out, into, change: 0.5 * change };
}

/** Moves of one kind in a row, one after the other, and what each changes Q by in absolute value. */
export interface RowCurve {
  /** Columns, in order. */
  readonly columns: Uint32Array;
  /** Costs of removals or gains of additions. */
  readonly values: Float64Array;
}

/**
 * The first `depth` greedy removals ("out") or additions ("in") of a row. The tableau is changed and changed back: 2 depth pivots.
 */
export function rowCurve(
  tableau: RowTableau,
  kind: "out" | "in",
  { depth, eligible }: { depth: number; eligible?: Uint8Array | undefined },
): RowCurve {
  const { cols, mask } = tableau;
  const isOut = kind === "out";
  const columns: number[] = [];
  const values: number[] = [];
  while (values.length < depth) {
    let best = -1;
    let value = isOut ? Number.POSITIVE_INFINITY : 0;
    for (let j = 0; j < cols; j++) {
      if (mask[j] !== (isOut ? 1 : 0) || (!isOut && eligible?.[j] === 0)) continue;
      const price = isOut ? removalCost(tableau, j) : additionGain(tableau, j);
      if (isOut ? price < value : price > value) {
        best = j;
        value = price;
      }
    }
    if (best < 0) break;
    columns.push(best);
    values.push(value);
    pivot(tableau, best);
  }
  for (const j of [...columns].reverse()) pivot(tableau, j);
  return { columns: Uint32Array.from(columns), values: Float64Array.from(values) };
}
