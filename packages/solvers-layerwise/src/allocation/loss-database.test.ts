import { createRng } from "@secateur/core";
import { expect, test } from "vitest";
import { type LossLevels, leastLoss, lossLevels, shareByLevels } from "./loss-database.ts";

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Levels whose losses rise, by leaps and bounds. */
function someLevels(size: number, seed: number): LossLevels {
  const rng = createRng(`levels ${seed}`);
  const kept = [size];
  while (kept.at(-1)! > 0) kept.push(Math.max(0, kept.at(-1)! - 1 - Math.floor(rng.next() * 5)));
  let loss = 0;
  return { kept: Uint32Array.from(kept), loss: Float64Array.from(kept, () => (loss += rng.next() ** 4)) };
}

test("levels chosen by dynamic programming lose what the best of all combinations does, on grids fine and coarse", () => {
  for (let seed = 0; seed < 20; seed++) {
    const layers = [9, 14, 11, 6].map((size, l) => someLevels(size, 10 * seed + l));
    for (const [budget, steps] of [
      [17, 17],
      [25, 100],
      [30, 7],
      [0, 10],
    ] as const) {
      const step = Math.max(1, Math.ceil(budget / steps));
      const room = Math.floor(budget / step);
      let least = Number.POSITIVE_INFINITY;
      const visit = (l: number, cost: number, loss: number): void => {
        if (cost > room) return;
        if (l === layers.length) {
          least = Math.min(least, loss);
          return;
        }
        for (const [i, kept] of layers[l]!.kept.entries()) {
          visit(l + 1, cost + Math.ceil(kept / step), loss + layers[l]!.loss[i]!);
        }
      };
      visit(0, 0, 0);
      const chosen = leastLoss(layers, { budget, steps });
      // The same four numbers in another order of addition.
      expect(sum(layers.map(({ loss }, l) => loss[chosen[l]!]!))).toBeCloseTo(least, 12);
      expect(sum(layers.map(({ kept }, l) => kept[chosen[l]!]!))).toBeLessThanOrEqual(budget);
    }
  }
});

test("what the grid leaves of a budget is kept too, and never more than a layer may keep", () => {
  for (let seed = 0; seed < 10; seed++) {
    const layers = [30, 17, 25].map((size, l) => someLevels(size, 100 + 10 * seed + l));
    for (const keep of [0, 1, 20, 37, 72, 80]) {
      const kept = shareByLevels(layers, keep);
      expect(sum(kept)).toBe(Math.min(keep, 72));
      for (const [l, count] of kept.entries()) expect(count).toBeLessThanOrEqual(layers[l]!.kept[0]!);
    }
  }
});

test("a level's loss is what its removals cost, allocated over the rows as OBC does", () => {
  const rows = [{ losses: Float64Array.of(1, 2, 8) }, { losses: Float64Array.of(3, 4, 5) }];
  const { kept, loss } = lossLevels(rows, { size: 6, energy: 2 });
  expect([...kept]).toEqual([6, 5, 4, 3, 2, 1, 0]);
  expect([...loss]).toEqual([0, 0.5, 1.5, 3, 5, 7.5, 1011.5]);
  const bounded = lossLevels(rows, { size: 6, eligible: 3, energy: 2 });
  expect([...bounded.kept]).toEqual([3, 2, 1, 0]);
  expect([...bounded.loss]).toEqual([3, 5, 7.5, 1011.5]);
});

test("no layer is emptied while the budget has a weight for each, however little one of them loses", () => {
  const rows = (losses: number) => [{ losses: new Float64Array(2000).fill(losses) }];
  const layers = [1e-9, 1e-3, 1].map((losses) => lossLevels(rows(losses), { size: 2000, energy: 1 }));
  for (const keep of [3, 10, 500]) {
    const kept = shareByLevels(layers, keep);
    expect(sum(kept)).toBe(keep);
    expect(Math.min(...kept)).toBeGreaterThan(0);
  }
  expect(shareByLevels(layers, 2)).toEqual([0, 1, 1]);
});
