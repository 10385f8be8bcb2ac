import { describe, expect, test } from "vitest";
import { masked } from "../problem/lift.ts";
import { matrix } from "../problem/matrix.ts";
import { keepCount } from "./constraint.ts";
import { blockUnits, channelUnits, groupUnits } from "./group-units.ts";
import { keptWeights } from "./units.ts";

/** Every weight 0 .. size - 1, from the units that own them. */
function owned(units: ReturnType<typeof groupUnits>): number[] {
  return Array.from({ length: units.count }, (_, unit) => [...units.indices(unit)]).flat();
}

describe("blocks of a matrix", () => {
  test("cover every weight once, smaller at the edges", () => {
    const units = blockUnits({ rows: 3, cols: 5, height: 2, width: 2 });
    expect(units.count).toBe(6);
    expect([...units.indices(0)]).toEqual([0, 1, 5, 6]);
    expect([...units.indices(2)]).toEqual([4, 9]);
    expect([...units.indices(5)]).toEqual([14]);
    expect(owned(units).sort((a, b) => a - b)).toEqual(Array.from({ length: 15 }, (_, j) => j));
    expect([...units.costs["params"]!]).toEqual([4, 4, 2, 2, 2, 1]);
  });

  test("are kept by the sum of their scores", () => {
    const units = blockUnits({ rows: 2, cols: 4, height: 2, width: 2 });
    const w = matrix(2, 4, Float32Array.of(1, 1, 3, 0, 1, 1, 0, 0));
    expect([...units.reduce(w.data)]).toEqual([4, 3]);
    const mask = keepCount({ count: units.count, keep: 1 }).select(units.reduce(w.data));
    expect([...keptWeights(units, mask)]).toEqual([0, 1, 4, 5]);
    expect([...masked(w, units, mask).data]).toEqual([1, 1, 0, 0, 1, 1, 0, 0]);
  });
});

describe("channels of a layer", () => {
  test("are its rows, or the columns of one input channel", () => {
    const out = channelUnits({ rows: 2, cols: 6, axis: "out" });
    expect([...out.indices(1)]).toEqual([6, 7, 8, 9, 10, 11]);
    const inputs = channelUnits({ rows: 2, cols: 6, axis: "in", kernel: 3 });
    expect(inputs.count).toBe(2);
    expect([...inputs.indices(1)]).toEqual([3, 4, 5, 9, 10, 11]);
  });
});

describe("groups of weights", () => {
  test("that overlap, leave one out or name one that does not exist are refused", () => {
    for (const [groups, message] of [
      [[[0, 1], [1]], /weight 1 is in two groups/],
      [[[0], [2]], /weight 1 is in no group/],
      [[[0, 1, 2, 3]], /weight 3 does not exist/],
    ] as const) {
      const call = (): unknown => groupUnits({ size: 3, groups: groups.map((indices) => Uint32Array.from(indices)) });
      expect(call).toThrow(expect.objectContaining({ code: "ERR_GROUPS" }));
      expect(call).toThrow(message);
    }
  });
});
