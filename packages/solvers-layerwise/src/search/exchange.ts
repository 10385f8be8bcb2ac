/**
 * Weights that change rows: where one row gains more by a weight than another loses, the budget of the layer moves. Each row
 * states what its next removals cost and its next additions gain (row-curves.ts); the moves are those of the largest gains and the
 * smallest costs, as long as the one is above the other.
 */
import type { RowCurve } from "./row-curves.ts";

/** What a row offers. */
export interface RowOffer {
  readonly out: RowCurve;
  readonly into: RowCurve;
}

/** How many removals (< 0) or additions (> 0) each row is to make; their sum is 0. A row makes one kind only. */
export function exchangeBetween(offers: readonly RowOffer[]): Int32Array {
  const moves = new Int32Array(offers.length);
  for (;;) {
    const giver = bestRow(offers, moves, "out");
    const taker = bestRow(offers, moves, "into");
    if (giver < 0 || taker < 0 || giver === taker) return moves;
    const cost = offers[giver]!.out.values[-moves[giver]!]!;
    const gain = offers[taker]!.into.values[moves[taker]!]!;
    // What a row offers further on is worth less than its own swaps: a margin keeps rounding from moving weights to and fro.
    if (!(gain > cost * (1 + 1e-6))) return moves;
    moves[giver]!--;
    moves[taker]!++;
  }
}

/** The row whose next move is best among those that make none of the other kind; ties go to the first. */
function bestRow(offers: readonly RowOffer[], moves: Int32Array, kind: "out" | "into"): number {
  let best = -1;
  let value = 0;
  for (let r = 0; r < offers.length; r++) {
    const made = kind === "out" ? -moves[r]! : moves[r]!;
    const next = made < 0 ? undefined : offers[r]![kind].values[made];
    if (next === undefined) continue;
    if (best < 0 || (kind === "out" ? next < value : next > value)) {
      best = r;
      value = next;
    }
  }
  return best;
}
