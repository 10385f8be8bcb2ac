import { createRng } from "@secateur/core";
import { expect, test } from "vitest";
import { exchangeBetween, type RowOffer } from "./exchange.ts";

const rng = createRng("offers");

function offer(out: readonly number[], into: readonly number[]): RowOffer {
  const curve = (values: readonly number[]) => ({
    columns: Uint32Array.from(values.keys()),
    values: Float64Array.from(values),
  });
  return { out: curve(out), into: curve(into) };
}

/** The rule in words: of all rows that make no move of the other kind, the cheapest removal and the largest gain, as long as one is above the other. */
function inTurn(offers: readonly RowOffer[]): Int32Array {
  const moves = new Int32Array(offers.length);
  for (;;) {
    let [giver, taker, cost, gain] = [-1, -1, Number.POSITIVE_INFINITY, 0];
    offers.forEach(({ out, into }, r) => {
      const [next, more] = [
        moves[r]! <= 0 ? out.values[-moves[r]!] : undefined,
        moves[r]! >= 0 ? into.values[moves[r]!] : undefined,
      ];
      if (next !== undefined && next < cost) [giver, cost] = [r, next];
      if (more !== undefined && more > gain) [taker, gain] = [r, more];
    });
    if (giver < 0 || taker < 0 || giver === taker || !(gain > cost * (1 + 1e-6))) return moves;
    moves[giver]!--;
    moves[taker]!++;
  }
}

test("weights go from the rows that lose least to those that gain most, one after the other, and none both gives and takes", () => {
  let moved = 0;
  for (let trial = 0; trial < 200; trial++) {
    const offers = Array.from({ length: 1 + rng.integer(12) }, () => {
      // Few values, so that ties come up; each kind as a row states it, costs rising and gains falling.
      const draw = (most: number): number[] => Array.from({ length: rng.integer(5) }, () => 1 + rng.integer(most));
      return offer(
        draw(6).sort((a, b) => a - b),
        draw(9).sort((a, b) => b - a),
      );
    });
    const moves = exchangeBetween(offers);
    expect([...moves]).toEqual([...inTurn(offers)]);
    expect(moves.reduce((sum, count) => sum + count, 0)).toBe(0);
    moved += moves.reduce((sum, count) => sum + Math.abs(count), 0);
  }
  expect(moved).toBeGreaterThan(200);
});
