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

/** How many removals (< 0) or additions (> 0) each row is to make; their sum is 0. A row makes one kind only. Time: moves log rows. */
export function exchangeBetween(offers: readonly RowOffer[]): Int32Array {
  const moves = new Int32Array(offers.length);
  const givers = queueOf(offers, "out");
  const takers = queueOf(offers, "into");
  for (;;) {
    // Who has taken gives nothing, and the other way round.
    while (givers.size > 0 && moves[givers.best()]! > 0) givers.drop();
    while (takers.size > 0 && moves[takers.best()]! < 0) takers.drop();
    if (givers.size === 0 || takers.size === 0) return moves;
    const [giver, taker] = [givers.best(), takers.best()];
    if (giver === taker) return moves;
    const cost = offers[giver]!.out.values[-moves[giver]!]!;
    const gain = offers[taker]!.into.values[moves[taker]!]!;
    // What a row offers further on is worth less than its own swaps: a margin keeps rounding from moving weights to and fro.
    if (!(gain > cost * (1 + 1e-6))) return moves;
    moves[giver]!--;
    moves[taker]!++;
    givers.next(-moves[giver]!);
    takers.next(moves[taker]!);
  }
}

/** Rows by their next move of one kind, the best first; ties go to the first row. */
interface RowQueue {
  readonly size: number;
  best(): number;
  drop(): void;
  /** The best row has made so many moves; it leaves the queue when it offers no more. */
  next(made: number): void;
}

/** A binary heap. */
function queueOf(offers: readonly RowOffer[], kind: "out" | "into"): RowQueue {
  const sign = kind === "out" ? 1 : -1;
  const worth = Float64Array.from(offers, (offer) => sign * (offer[kind].values[0] ?? 0));
  const rows = [...offers.keys()].filter((r) => offers[r]![kind].values.length > 0);
  const isBefore = (a: number, b: number): boolean => worth[a]! < worth[b]! || (worth[a] === worth[b] && a < b);
  rows.sort((a, b) => (isBefore(a, b) ? -1 : 1));
  const sink = (): void => {
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < rows.length && isBefore(rows[child]!, rows[least]!)) least = child;
      if (least === at) return;
      [rows[at], rows[least]] = [rows[least]!, rows[at]!];
      at = least;
    }
  };
  const drop = (): void => {
    const last = rows.pop()!;
    if (rows.length > 0) rows[0] = last;
    sink();
  };
  return {
    get size() {
      return rows.length;
    },
    best: () => rows[0]!,
    drop,
    next(made) {
      const value = offers[rows[0]!]![kind].values[made];
      if (value === undefined) return drop();
      worth[rows[0]!] = sign * value;
      sink();
    },
  };
}
