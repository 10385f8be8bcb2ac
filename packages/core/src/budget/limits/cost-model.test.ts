/** Limits on costs that are no sums over weights, checked against every mask of small networks. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { referenceKernels } from "../../kernels/reference-kernels.ts";
import type { FlatParam } from "../../problem/flat-weights.ts";
import { bindBudget } from "../bound-budget.ts";
import type { Budget, CostModel } from "../budget.ts";
import { stackUnits } from "../stack-units.ts";
import { weightMask } from "../units.ts";
import { expectedCost, freeUnits, leastCost, linearCosts, modelCost, shareAt } from "./cost-model.ts";

const param = (name: string, [rows, cols]: readonly [number, number], start: number): FlatParam => ({
  ...{ name, shape: [rows, cols], rows, cols, prunable: true, flopsPerWeight: 2, start, size: rows * cols },
});
const params = [param("a.weight", [2, 3], 0), param("b.weight", [2, 2], 6)];

/** Dense costs as much as all blocks and more; sparse by single weights; blocks of both rows. Every way costs less the less is kept. */
const model: CostModel = {
  other: 1,
  params: {
    "a.weight": [
      { fixed: 9, each: 0, outputs: 1 },
      { fixed: 1, each: 2, outputs: 1 },
      { fixed: 2, each: 3, outputs: 2 },
    ],
    "b.weight": [
      { fixed: 6, each: 0, outputs: 1 },
      { fixed: 0.5, each: 1.75, outputs: 1 },
    ],
  },
};

/** The same by its definition. */
function costOf(weights: ArrayLike<number>): number {
  const kept = (from: number, to: number): number => Array.from(weights).slice(from, to).filter(Boolean).length;
  const columns = [0, 1, 2].filter((c) => weights[c] || weights[3 + c]).length;
  const a = Math.min(9, 1 + 2 * kept(0, 6), 2 + 3 * columns);
  return 1 + a + Math.min(6, 0.5 + 1.75 * kept(6, 10));
}

const maskOf = (bits: number, count: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, u) => (bits >> u) & 1);
const scores = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 10, maxLength: 10 });
const fractions = fc.double({ min: 0.35, max: 1, noNaN: true });
const limitedTo = (amount: number, more: Budget = {}): Budget => ({
  ...more,
  limits: [{ kind: "milliseconds", amount }, ...(more.limits ?? [])],
  costs: { milliseconds: model },
});

test("a mask costs by the cheapest way of every parameter", () => {
  const units = stackUnits(params);
  for (let bits = 0; bits < 1024; bits++) {
    const mask = maskOf(bits, 10);
    expect(modelCost(model, units, mask)).toBeCloseTo(costOf(mask), 12);
  }
});

test("the expected cost where single weights are kept at random is the mean over all masks of one way, and the share is its inverse", () => {
  const oneWay: CostModel = {
    other: 1,
    params: Object.fromEntries(params.map(({ name }) => [name, [{ fixed: 2, each: 3, outputs: 2 }]])),
  };
  const units = stackUnits(params);
  for (const share of [0.2, 0.5, 0.9]) {
    let mean = 0;
    for (let bits = 0; bits < 1024; bits++) {
      const mask = maskOf(bits, 10);
      const kept = mask.reduce((sum, bit) => sum + bit, 0);
      mean += share ** kept * (1 - share) ** (10 - kept) * modelCost(oneWay, units, mask);
    }
    expect(expectedCost(oneWay, units, share)).toBeCloseTo(mean, 9); // sums of a thousand products
    expect(shareAt(oneWay, units, expectedCost(oneWay, units, share))).toBeCloseTo(share, 9);
  }
});

describe("products of kept units", () => {
  // Rows of a feed the columns of b, two each, as an image of two positions is flattened; one column of b has another source.
  const chained: CostModel = {
    other: 1,
    params: { "a.weight": [{ fixed: 0, each: 0, outputs: 1 }], "b.weight": [{ fixed: 0, each: 0, outputs: 1 }] },
    products: [
      { each: 3, factors: [{ fixed: 0, units: { "a.weight": 1 } }] },
      {
        each: 0.5,
        factors: [
          { fixed: 0, units: { "b.weight": 1 } },
          { fixed: 1, units: { "a.weight": 2 } },
        ],
      },
    ],
  };
  const units = stackUnits(params, [{ match: "*", units: { kind: "rows" } }]);
  const byDefinition = (a: number, b: number): number => 1 + 3 * a + 0.5 * b * (1 + 2 * a);

  test("cost what their definition says, on average at a share, and by one more unit its derivative", () => {
    for (let bits = 0; bits < 16; bits++) {
      const mask = maskOf(bits, 4);
      expect(modelCost(chained, units, mask)).toBe(byDefinition(mask[0]! + mask[1]!, mask[2]! + mask[3]!));
    }
    for (const share of [0.25, 0.5, 1]) {
      expect(expectedCost(chained, units, share)).toBe(byDefinition(2 * share, 2 * share));
      // d/da and d/db of the definition, at two units of each times the share.
      const [a, b] = [3 + 0.5 * (2 * share) * 2, 0.5 * (1 + 2 * (2 * share))];
      expect([...linearCosts(chained, units, share)]).toEqual([a, a, b, b]);
    }
    expect(leastCost(chained, units)).toBe(1);
  });

  test("of a mask are rounded up to what is computed at a time, and of a share in proportion", () => {
    const [, product] = chained.products!;
    const rounded: CostModel = {
      ...chained,
      products: [{ ...product!, factors: product!.factors.map((factor) => ({ ...factor, multiple: 4 })) }],
    };
    // One row of b counts as 4, one column and one row of a, 1 + 2, as 4.
    expect(modelCost(rounded, units, Uint8Array.of(1, 0, 1, 0))).toBe(1 + 0.5 * 4 * 4);
    // All are 2 rows of b, counted as 4, times 1 + 4 columns, counted as 8: half of them in proportion.
    expect(modelCost(rounded, units, Uint8Array.of(1, 1, 1, 1))).toBe(1 + 0.5 * 4 * 8);
    expect(expectedCost(rounded, units, 1)).toBe(1 + 0.5 * 4 * 8);
    expect(expectedCost(rounded, units, 0.5)).toBeCloseTo(1 + 0.5 * (1 * (4 / 2)) * (3 * (8 / 5)), 12); // rounding
    // So that whatever the whole mask breaks is reached by keeping less.
    expect(shareAt(rounded, units, 16.9)).toBeLessThan(1);
  });

  test("leave units free up to a multiple, but not where units have different numbers of places", () => {
    for (const isMean of [false, true]) {
      const [, product] = chained.products!;
      const factors = product!.factors.map((factor) => ({ ...factor, multiple: 8, isMean }));
      const rounded: CostModel = { ...chained, products: [{ ...product!, factors }] };
      const free = freeUnits(rounded, units, Uint8Array.of(1, 0, 1, 0)).map((range) => range.free);
      expect(free.some((count) => count > 0)).toBe(!isMean);
    }
  });

  test("are limited: operations too, and the mask of every order is as long as the limit allows", () => {
    const bound = bindBudget(
      {
        limits: [{ kind: "flops", amount: 0.5 }],
        units: [{ match: "*", units: { kind: "rows" } }],
        costs: { flops: chained },
      },
      params,
    );
    const dense = byDefinition(2, 2);
    for (const score of [
      [4, 3, 2, 1],
      [1, 2, 3, 4],
      [1, 4, 2, 3],
    ]) {
      const mask = bound.constraint(bound.sparsity, referenceKernels).select(Float64Array.from(score));
      const costWith = (of: ArrayLike<number>): number => byDefinition(of[0]! + of[1]!, of[2]! + of[3]!);
      const cost = costWith(mask);
      expect(cost).toBeLessThanOrEqual(dense / 2);
      expect(cost).toBeGreaterThan(1);
      const costs = linearCosts(chained, units, bound.sparsity === 0 ? 1 : 1 - bound.sparsity);
      const order = [0, 1, 2, 3].sort((a, b) => score[b]! / costs[b]! - score[a]! / costs[a]!);
      const next = order.find((unit) => mask[unit] === 0)!;
      const longer = Array.from(mask, (bit, unit) => (unit === next ? 1 : bit));
      expect(costWith(longer), "one more in order").toBeGreaterThan(dense / 2);
      expect(bound.reached(mask)[0]).toMatchObject({ kind: "flops", reached: cost / dense, dense });
    }
  });
});

describe("a limit on a modelled cost", () => {
  test("holds exactly, and the next unit in order of its linear cost would break it", () => {
    fc.assert(
      fc.property(scores, fractions, (value, amount) => {
        const bound = bindBudget(limitedTo(amount), params);
        const constraint = bound.constraint(bound.sparsity, referenceKernels);
        const mask = constraint.select(Float64Array.from(value));
        const most = amount * costOf(new Uint8Array(10).fill(1));
        expect(costOf(mask)).toBeLessThanOrEqual(most * (1 + 1e-9));
        expect(constraint.violation(mask)).toBe(0);
        for (let bits = 0; bits < 1024; bits++) {
          const other = maskOf(bits, 10);
          expect(constraint.violation(other) === 0).toBe(costOf(other) <= most * (1 + 1e-9));
        }
        const pruned = [...mask.keys()].filter((u) => mask[u] === 0);
        const breaks = (u: number): boolean => costOf(mask.map((bit, v) => (v === u ? 1 : bit))) > most;
        expect(pruned.length === 0 || pruned.some(breaks)).toBe(true);
        expect(bound.reached(mask)).toEqual([
          {
            kind: "milliseconds",
            asked: amount,
            reached: costOf(mask) / costOf(new Uint8Array(10).fill(1)),
            absolute: false,
            dense: costOf(new Uint8Array(10).fill(1)),
          },
        ]);
      }),
      { numRuns: 30 },
    );
  });

  test("holds together with one on weights, over blocks, with a layer left dense and another bounded", () => {
    fc.assert(
      fc.property(scores, (value) => {
        const more: Budget = {
          limits: [{ kind: "weights", amount: 0.8 }],
          units: [{ match: "a", units: { kind: "blocks", rows: 2, cols: 1 } }],
          bounds: [{ match: "b", sparsity: 0.5 }],
        };
        const bound = bindBudget(limitedTo(0.7, more), params);
        const constraint = bound.constraint(bound.sparsity, referenceKernels);
        const weights = weightMask(bound.units, constraint.select(bound.units.reduce(Float64Array.from(value))));
        expect(costOf(weights)).toBeLessThanOrEqual(0.7 * costOf(new Uint8Array(10).fill(1)));
        for (let c = 0; c < 3; c++) expect(weights[c]).toBe(weights[3 + c]);
        expect(weights.slice(6).reduce((sum, bit) => sum + bit, 0)).toBeGreaterThanOrEqual(2);
        expect(weights.reduce((sum, bit) => sum + bit, 0)).toBeLessThanOrEqual(8);
      }),
      { numRuns: 30 },
    );
  });

  test("changes nothing beside another limit under which it is met anyway", () => {
    fc.assert(
      fc.property(scores, (value) => {
        const weights: Budget["limits"] = [{ kind: "weights", amount: 0.3 }];
        const alone = bindBudget({ limits: weights }, params);
        const both = bindBudget(limitedTo(0.9, { limits: weights }), params);
        const select = ({ constraint, sparsity }: typeof alone): Uint8Array =>
          constraint(sparsity, referenceKernels).select(Float64Array.from(value));
        expect(costOf(select(alone))).toBeLessThanOrEqual(0.9 * costOf(new Uint8Array(10).fill(1)));
        const total = (mask: Uint8Array): number => value.reduce((sum, one, j) => sum + one * mask[j]!, 0);
        expect(total(select(both))).toBe(total(select(alone)));
      }),
      { numRuns: 30 },
    );
  });

  test("comes down over the stages, from nothing to what was asked", () => {
    const bound = bindBudget(limitedTo(0.5), params);
    const amounts = [0, 0.3, 0.6, 1].map((part) => bound.limitsAt(part * bound.sparsity)[0]!.amount);
    expect(amounts[0]).toBeCloseTo(1, 12);
    expect(amounts[3]).toBeCloseTo(0.5, 12);
    expect(amounts).toEqual([...amounts].sort((a, b) => b - a));
  });

  test("counts a parameter that is not pruned as dense", () => {
    const bound = bindBudget(limitedTo(0.9), [params[0]!]);
    const all = bound.reached(new Uint8Array(6).fill(1))[0]!.reached;
    const none = bound.reached(new Uint8Array(6))[0]!.reached;
    expect([all, none]).toEqual([1, (1 + 1 + 6) / (1 + 9 + 6)]);
  });

  test.each<[Budget, RegExp]>([
    [limitedTo(0.01), /limit of milliseconds, 0.01, is below what a single unit costs.*nearest in reach is 0\.2\d\d$/],
    [limitedTo(0.5, { exclude: ["a"] }), /below what exclusions and bounds keep; the nearest in reach is 0\.65\d$/],
    [limitedTo(0.5, { exclude: ["c*"] }), /no prunable parameter matches 'c\*'; there are a\.weight, b\.weight/],
    [limitedTo(0.5, { bounds: [{ match: "a", sparsity: 2 }] }), /the bound of 'a' is 2/],
    [{ limits: [{ kind: "bytes", amount: 0.5 }], costs: { milliseconds: model } }, /bytes needs the cost model/],
    [
      { limits: [{ kind: "bytes", amount: 0.5 }], costs: { bytes: { other: 0, params: {} } } },
      /nothing about 'a.weight'/,
    ],
  ])("that cannot be met is refused, with the nearest that can: %j", (budget, message) => {
    expect(() => bindBudget(budget, params)).toThrow(message);
  });
});

test("what is named as the nearest in reach is in reach, and a little more too, whatever the scores", () => {
  const floored: readonly Budget[] = [{}, { exclude: ["b"] }, { bounds: [{ match: "a", sparsity: 0.3 }] }];
  fc.assert(
    fc.property(scores, fc.constantFrom(...floored), fc.constantFrom(1, 1.01, 1.1, 1.3), (score, more, times) => {
      const refusal = ((): string => {
        try {
          bindBudget(limitedTo(0.001, more), params);
          return "";
        } catch (error) {
          return String(error);
        }
      })();
      const nearest = Number(/nearest in reach is ([\d.]+)/.exec(refusal)![1]);
      const bound = bindBudget(limitedTo(Math.min(1, times * nearest), more), params);
      const constraint = bound.constraint(bound.sparsity, referenceKernels);
      const mask = constraint.select(Float64Array.from(score));
      expect(constraint.violation(mask)).toBe(0);
      // Where nothing has to stay, the best unit for its cost may be one that does not fit.
      if (Object.keys(more).length > 0 || new Set(score).size === 1) expect(mask).toContain(1);
    }),
  );
});

describe("what exclusions and bounds keep", () => {
  // 8 x 8 weights in blocks of 4 x 1, of which a bound of 0.75 keeps 16: 4 blocks at least, 16 where each is in another.
  const layer = param("a.weight", [8, 8], 0);
  const blocks: CostModel = {
    other: 0,
    params: {
      "a.weight": [
        { fixed: 64, each: 0, outputs: 1 },
        { fixed: 0, each: 4, outputs: 4 },
      ],
    },
  };
  const bounded = (amount: number): Budget => ({
    limits: [{ kind: "bytes", amount }],
    bounds: [{ match: "a", sparsity: 0.75 }],
    costs: { bytes: blocks },
  });
  /** The best weights are the first row of each block. */
  const spread = Float64Array.from({ length: 64 }, (_, j) => (j % 32 < 8 ? 100 + j : j / 64));

  test.each([0.25, 0.5, 0.9, 1])("goes by whole blocks where its best weights break a limit of bytes: %d", (amount) => {
    const bound = bindBudget(bounded(amount), [layer]);
    const constraint = bound.constraint(bound.sparsity, referenceKernels);
    const mask = constraint.select(spread);
    expect(constraint.violation(mask)).toBe(0);
    expect(mask.reduce((sum, bit) => sum + bit, 0)).toBeGreaterThanOrEqual(16);
    // Of equally full blocks those of the highest scores: the last four.
    if (amount === 0.25) expect([...mask.subarray(32, 40)]).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  });

  test("names a least that does not depend on how little was asked for, where a way of large blocks is the best at small shares only", () => {
    // Blocks of 8 rows cost less where whole columns are kept, single weights where they are spread.
    const ways = [
      { fixed: 64, each: 0, outputs: 1 },
      { fixed: 0, each: 1.5, outputs: 1 },
      { fixed: 1, each: 6, outputs: 8 },
    ];
    const costs = { bytes: { other: 0, params: { "a.weight": ways } } };
    const at = (amount: number) => bindBudget({ ...bounded(amount), costs }, [layer]);
    for (const amount of [0.001, 0.01, 0.1, 0.2]) {
      // 16 weights are two whole columns: 1 + 2 * 6 = 13 of 1 + 8 * 6 = 49.
      expect(() => at(amount)).toThrow(/nearest in reach is 0\.266$/);
    }
    for (const amount of [0.266, 0.28, 0.4, 0.9]) {
      const bound = at(amount);
      const constraint = bound.constraint(bound.sparsity, referenceKernels);
      expect(constraint.violation(constraint.select(spread))).toBe(0);
    }
  });

  test("is refused where it fits each of two limits and not both", () => {
    const both: Budget = {
      limits: [{ kind: "flops", amount: 0.5 }, ...limitedTo(0.66).limits!],
      ...{ exclude: ["b"], costs: { milliseconds: model } },
    };
    expect(() => bindBudget(both, params)).not.toThrow();
    const heavy = params.map((one) => (one.name === "b.weight" ? { ...one, flopsPerWeight: 1 } : one));
    const apart = { ...both, limits: [{ kind: "flops", amount: 0.1 } as const, ...limitedTo(0.66).limits!] };
    expect(() => bindBudget(apart, heavy)).toThrow(/limit of flops, 0.1, is below what exclusions and bounds keep/);
  });

  test("is never more than what may come back, and holds against patterns", () => {
    const mayStay = Uint8Array.from({ length: 64 }, (_, j) => (j < 10 ? 1 : 0));
    const bound = bindBudget({ limits: [{ kind: "weights", amount: 0.5 }], exclude: [], bounds: bounded(1).bounds! }, [
      layer,
    ]);
    expect(bound.constraint(0.5, referenceKernels, mayStay).violation(mayStay)).toBe(0);
    expect(bound.constraint(0.5, referenceKernels).violation(mayStay)).toBe(6);
    const units = [{ match: "*", units: { kind: "of-every", keep: 2, of: 4 } as const }];
    // An excluded parameter stays dense, whatever its pattern; the other follows its own.
    const excluded = bindBudget({ units, exclude: ["b"] }, params);
    const mask = excluded.constraint(excluded.sparsity, referenceKernels).select(new Float64Array(10).fill(1));
    expect([...mask]).toEqual([1, 1, 0, 1, 1, 0, 1, 1, 1, 1]);
    expect(excluded.floors).toMatchObject([{ part: { param: { name: "b.weight" } }, least: 4 }]);
    const dense = Uint8Array.from(mask).fill(0, 6);
    expect(excluded.constraint(excluded.sparsity, referenceKernels).violation(dense)).toBe(4);
    expect(() => bindBudget({ units, bounds: [{ match: "a", sparsity: 0.25 }] }, params)).toThrow(
      /bound of 'a.weight' keeps 5 of its 6 weights, and its pattern keeps 2 of every 4/,
    );
  });

  test("and an allocation does not go with limits that depend on which weights a layer keeps", () => {
    const allocation = {
      settings: "",
      constraint: () => bindBudget(bounded(1), [layer]).constraint(0, referenceKernels),
    };
    expect(() => bindBudget({ ...bounded(0.5), bounds: [], allocation }, [layer])).toThrow(
      /its bytes depend on which; limit weights or flops with an allocation/,
    );
  });
});
