import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { referenceKernels } from "../kernels/reference-kernels.ts";
import type { FlatParam } from "../problem/flat-weights.ts";
import { bindBudget } from "./bound-budget.ts";
import type { Budget } from "./budget.ts";
import { countKept } from "./constraint.ts";
import { costConstraint } from "./limits/cost-constraint.ts";
import { unitMask, weightMask } from "./units.ts";

/** A convolution [2, 2, 1, 2] whose weights are used at 9 positions, and a dense layer [2, 4]. */
const conv: FlatParam = {
  ...{ name: "conv.weight", shape: [2, 2, 1, 2], rows: 2, cols: 4, prunable: true, flopsPerWeight: 18 },
  ...{ start: 0, size: 8 },
};
const dense: FlatParam = {
  ...{ name: "fc.weight", shape: [2, 4], rows: 2, cols: 4, prunable: true, flopsPerWeight: 2, start: 8, size: 8 },
};
const params = [conv, dense];
const score = Float64Array.of(8, 1, 2, 3, 4, 5, 6, 7, 16, 9, 10, 11, 12, 13, 14, 15);
const select = (budget: Budget, at?: number): readonly number[] => {
  const bound = bindBudget(budget, params);
  const mask = bound.constraint(at ?? bound.sparsity, referenceKernels).select(bound.units.reduce(score));
  return [...weightMask(bound.units, mask)];
};

describe("a budget", () => {
  test("of weights alone keeps what a sparsity keeps", () => {
    expect(select({ limits: [{ kind: "weights", amount: 0.25 }] })).toEqual([
      0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1,
    ]);
  });

  test("of operations counts each weight as often as it is used, and holds together with one of weights", () => {
    // 8 * 18 + 8 * 2 = 160 in all; the dense layer costs 16, a weight of the convolution 18.
    const flops = select({ limits: [{ kind: "flops", amount: 0.25 }] });
    expect(flops).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    const both = select({
      limits: [
        { kind: "flops", amount: 40, absolute: true },
        { kind: "weights", amount: 0.25 },
      ],
    });
    expect(countKept(Uint8Array.from(both))).toBeLessThanOrEqual(4);
  });

  test("over blocks, kernels, channels and columns keeps or removes their weights together", () => {
    const limits = [{ kind: "weights", amount: 0.5 }] as const;
    const bounds = [{ match: "*", sparsity: 1 }];
    const channels = select({ limits, bounds, units: [{ match: "*", units: { kind: "channels" } }] });
    expect(channels).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    const kernels = select({
      bounds,
      limits: [{ kind: "weights", amount: 0.125 }],
      units: [{ match: "conv*", units: { kind: "kernels" } }],
    });
    // A kernel has two weights of the convolution; single ones of the dense layer score more for their cost.
    expect(kernels).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
    // An input channel of the convolution is the same two columns of every row; of the dense layer one.
    const inputs = select({ limits, bounds, units: [{ match: "*", units: { kind: "inputs" } }] });
    expect(inputs).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    const channel = select({
      limits: [{ kind: "weights", amount: 0.75 }],
      bounds,
      units: [{ match: "conv*", units: { kind: "inputs" } }],
    });
    expect(channel.slice(0, 8)).toEqual([1, 1, 0, 0, 1, 1, 0, 0]);
    const blocks = select({ limits, bounds, units: [{ match: "*", units: { kind: "blocks", rows: 2, cols: 2 } }] });
    expect(blocks).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
  });

  test("leaves every layer whose units are groups of weights one of them, the best, unless a bound gives it up", () => {
    for (const kind of ["rows", "kernels"] as const) {
      const mask = select({ limits: [{ kind: "weights", amount: 0.5 }], units: [{ match: "*", units: { kind } }] });
      // Of the convolution the second row, and of kernels the last, score most.
      expect(countKept(Uint8Array.from(mask.slice(0, 8))), kind).toBe(kind === "rows" ? 4 : 2);
      expect(mask[7], kind).toBe(1);
      expect(countKept(Uint8Array.from(mask)), kind).toBe(8);
    }
    const limits = [{ kind: "weights", amount: 0.25 }] as const;
    const tight = { limits, units: [{ match: "*", units: { kind: "rows" } }] } as const;
    expect(() => bindBudget(tight, params)).toThrow(/what one unit of each layer keeps.*nearest in reach is 0.5$/);
    expect(bindBudget({ ...tight, bounds: [{ match: "conv*", sparsity: 1 }] }, params).sparsity).toBe(0.75);
  });

  test("has no units that an earlier pattern leaves nothing to", () => {
    const units = [
      { match: "*", units: { kind: "rows" } },
      { match: "conv*", units: { kind: "kernels" } },
    ] as const;
    const limits = [{ kind: "weights", amount: 0.5 }] as const;
    expect(() => bindBudget({ limits, units }, params)).toThrow(/'kernels' of 'conv\*' would be those of no parameter/);
    expect(bindBudget({ limits, units: [...units].reverse() }, params).units.count).toBe(6);
  });

  test("of a pattern needs no limit, and with one both hold", () => {
    const units = [{ match: "*.weight", units: { kind: "of-every", keep: 2, of: 4 } }] as const;
    expect(select({ units })).toEqual([1, 0, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1]);
    expect(countKept(Uint8Array.from(select({ units, limits: [{ kind: "weights", amount: 0.25 }] })))).toBe(4);
    // Half way to the target three of four are left.
    expect(countKept(Uint8Array.from(select({ units }, 0.25)))).toBe(12);
  });

  test("shrinks over the stages in proportion, from everything to the target", () => {
    const bound = bindBudget({ limits: [{ kind: "flops", amount: 0.2 }] }, params);
    const used = (at: number): number => {
      const mask = bound.constraint(at, referenceKernels).select(score);
      return mask.reduce((sum, bit, u) => sum + bit * bound.units.costs["flops"]![u]!, 0);
    };
    expect(used(0)).toBe(160);
    const rising = [0, 0.2, 0.4, 0.6, 0.8].map(used);
    expect(rising).toEqual([...rising].sort((a, b) => b - a));
    expect(rising.at(-1)).toBeLessThanOrEqual(32);
  });

  test.each<[Budget, RegExp]>([
    [{}, /has no limit/],
    [{ limits: [{ kind: "weights", amount: 0 }] }, /limit of weights is 0; allowed is a fraction above 0/],
    [{ limits: [{ kind: "flops", amount: 2 }] }, /at most 1: 0.1 keeps a tenth/],
    [{ limits: [{ kind: "bytes", amount: 0.5 }] }, /needs the cost model/],
    [{ limits: [{ kind: "flops", amount: 1, absolute: true }] }, /nothing would be left; the nearest in reach is 2/],
    [
      {
        limits: [{ kind: "weights", amount: 0.5 }],
        units: [{ match: "*", units: { kind: "blocks", rows: 0, cols: 2 } }],
      },
      /0 x 2/,
    ],
  ])("that says nothing or cannot be met is refused: %j", (budget, message) => {
    const call = (): unknown => bindBudget(budget, params);
    expect(call).toThrow(expect.objectContaining({ code: "ERR_BUDGET", fault: "input" }));
    expect(call).toThrow(message);
  });
});

describe("masks over units", () => {
  test("go to weights and back", () => {
    const { units } = bindBudget(
      { limits: [{ kind: "weights", amount: 0.5 }], units: [{ match: "conv*", units: { kind: "rows" } }] },
      params,
    );
    const mask = Uint8Array.from({ length: units.count }, (_, u) => u % 2);
    expect(unitMask(units, weightMask(units, mask))).toEqual(mask);
  });
});

describe("limits on costs", () => {
  const costs = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 8, maxLength: 8 });
  const scores = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 8, maxLength: 8 });

  test("are held, nothing more would fit, and the total is at most one unit below the best, found by trying every mask", () => {
    fc.assert(
      fc.property(costs, scores, fc.integer({ min: 1, max: 50 }), (cost, value, most) => {
        const limit = { name: "cost", costs: Float64Array.from(cost), most };
        const constraint = costConstraint(8, [limit]);
        const mask = constraint.select(Float64Array.from(value));
        const total = (kept: ArrayLike<number>, of: readonly number[]): number =>
          of.reduce((sum, x, u) => sum + x * kept[u]!, 0);
        expect(constraint.violation(mask)).toBe(0);
        expect(total(mask, cost)).toBeLessThanOrEqual(most);
        for (let u = 0; u < 8; u++) if (mask[u] === 0) expect(total(mask, cost) + cost[u]!).toBeGreaterThan(most);
        let best = 0;
        for (let bits = 0; bits < 256; bits++) {
          const other = Array.from({ length: 8 }, (_, u) => (bits >> u) & 1);
          if (total(other, cost) <= most) best = Math.max(best, total(other, value));
        }
        expect(total(mask, value)).toBeGreaterThanOrEqual(best - Math.max(...value));
      }),
    );
  });

  test("are kept by swaps, and contained in relaxed ones", () => {
    // In the order by the second limit the floor's unit breaks it; by the first, or both, it does not.
    const limits = [
      { name: "a", costs: Float64Array.of(1, 1), most: 1 },
      { name: "b", costs: Float64Array.of(10, 1), most: 5 },
    ];
    const floored = { floors: [{ first: 0, end: 2, least: 1 }], sizes: Float64Array.of(1, 1) };
    expect([...costConstraint(2, limits, floored).select(Float64Array.of(2, 1))]).toEqual([0, 1]);
    const constraint = costConstraint(3, [{ name: "cost", costs: Float64Array.of(1, 2, 3), most: 3 }]);
    expect(constraint.canSwap!(Uint8Array.of(1, 1, 0))(1, 2)).toBe(false);
    expect(constraint.canSwap!(Uint8Array.of(0, 1, 0))(1, 2)).toBe(true);
    expect(constraint.relax!(2).violation(Uint8Array.of(1, 1, 1))).toBe(0);
  });
});
