import type { ParamInfo } from "@secateur/core";
import { expect, test } from "vitest";
import { layerCounts } from "./layer-counts.ts";

function layer(...shape: number[]): ParamInfo {
  const cols = shape.slice(1).reduce((product, extent) => product * extent, 1);
  return { name: shape.join("x"), shape, rows: shape[0]!, cols, prunable: true, flopsPerWeight: 2 };
}

test("ERK of three layers, by hand", () => {
  // Sums of extents 824, 60, 30 of 914; sizes 31360, 800, 200. A tenth of 32360 is 3236: shares 2917.36, 212.43, 106.21.
  const params = [layer(40, 784), layer(20, 40), layer(10, 20)];
  expect(layerCounts({ params, keep: 3236, distribution: "erk" })).toEqual([2917, 213, 106]);
});

test("a layer that ERK would fill beyond its size is dense, and the others share the rest", () => {
  // Sums 21, 8 and sizes 90 (10 x 1 x 3 x 3: 10 + 1 + 3 + 3 = 17), 12: of 60, a layer of 12 would get 60 * 7 / 24 = 17.5.
  const params = [layer(10, 1, 3, 3), layer(3, 4)];
  expect(layerCounts({ params, keep: 60, distribution: "erk" })).toEqual([48, 12]);
});

test.each(["erk", "uniform"] as const)(
  "%s keeps exactly as many as asked, none more than a layer has",
  (distribution) => {
    const params = [layer(7, 3), layer(16, 3, 3, 3), layer(5, 5), layer(2, 2)];
    const sizes = params.map(({ rows, cols }) => rows * cols);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    for (let keep = 0; keep <= total; keep++) {
      const counts = layerCounts({ params, keep, distribution });
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(keep);
      expect(counts.every((count, l) => count >= 0 && count <= sizes[l]!)).toBe(true);
    }
  },
);
