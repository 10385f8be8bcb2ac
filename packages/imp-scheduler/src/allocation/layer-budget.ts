/** How many weights of each layer are kept: exact totals within bounds. */
import type { BoundedLayer } from "@secateur/core";
import { budgetTooLarge, budgetTooTight } from "../errors.ts";

/** @throws ERR_IMPOSSIBLE when no choice within the bounds keeps `keep` weights */
export function assertFits(layers: readonly BoundedLayer[], keep: number): void {
  const least = layers.reduce((sum, layer) => sum + layer.least, 0);
  const most = layers.reduce((sum, layer) => sum + layer.most, 0);
  if (keep < least) {
    const total = layers.reduce((sum, { size }) => sum + size, 0);
    const held = layers.filter((layer) => layer.least > 0).map(({ name }) => name);
    throw budgetTooTight({ keep, least, total, why: held.join(", ") });
  }
  if (keep > most) throw budgetTooLarge(keep, most);
}

/**
 * Spreads exactly `keep` weights in proportion to `shares`, within the bounds: layers that would leave them are fixed at the
 * bound, and the others share what is left, until all fit. Fractions go to the largest remainders, ties to the lower index.
 *
 * @param shares - one a layer, >= 0: kept weights are proportional to it
 * @returns kept weights a layer; their sum is `keep`
 * @throws ERR_IMPOSSIBLE
 */
export function apportion(layers: readonly BoundedLayer[], shares: readonly number[], keep: number): readonly number[] {
  assertFits(layers, keep);
  const fixed = new Map<number, number>();
  for (;;) {
    const free = layers.map((_, index) => index).filter((index) => !fixed.has(index));
    const left = keep - [...fixed.values()].reduce((sum, value) => sum + value, 0);
    const sum = free.reduce((total, index) => total + shares[index]!, 0);
    const wanted = (index: number): number => (sum === 0 ? left / free.length : (left * shares[index]!) / sum);
    const over = free.filter((index) => wanted(index) > layers[index]!.most);
    const under = free.filter((index) => wanted(index) < layers[index]!.least);
    // Fixing layers below their bounds leaves less for the others, above leaves more: the side that is further off in all goes first.
    const excess = over.reduce((total, index) => total + wanted(index) - layers[index]!.most, 0);
    const lack = under.reduce((total, index) => total + layers[index]!.least - wanted(index), 0);
    if (over.length === 0 && under.length === 0) return rounded({ layers, fixed, free, wanted, left });
    if (excess >= lack) for (const index of over) fixed.set(index, layers[index]!.most);
    else for (const index of under) fixed.set(index, layers[index]!.least);
  }
}

function rounded(spec: {
  layers: readonly BoundedLayer[];
  fixed: ReadonlyMap<number, number>;
  free: readonly number[];
  wanted: (index: number) => number;
  left: number;
}): readonly number[] {
  const { layers, fixed, free, wanted, left } = spec;
  const kept = layers.map((_, index) => fixed.get(index) ?? Math.floor(wanted(index) + 1e-9));
  let missing = left - free.reduce((sum, index) => sum + kept[index]!, 0);
  const byRemainder = [...free].sort((a, b) => wanted(b) - kept[b]! - (wanted(a) - kept[a]!) || a - b);
  for (const index of byRemainder) {
    if (missing <= 0) break;
    if (kept[index]! >= layers[index]!.most) continue;
    kept[index]!++;
    missing--;
  }
  return kept;
}
