/** Limits on costs that are no sums over weights, checked against every mask of small networks. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { referenceKernels } from "../kernels/reference-kernels.ts";
import type { FlatParam } from "../problem/flat-weights.ts";
import { bindBudget } from "./bound-budget.ts";
import type { Budget, CostModel } from "./budget.ts";
import { expectedCost, modelCost, shareAt } from "./cost-model.ts";
import { stackUnits, weightMask } from "./stack-units.ts";

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

test("what is named as the nearest in reach is in reach", () => {
  for (const more of [{}, { exclude: ["b"] }, { bounds: [{ match: "a", sparsity: 0.3 }] }]) {
    let nearest = 0.001;
    try {
      bindBudget(limitedTo(nearest, more), params);
    } catch (error) {
      nearest = Number(/nearest in reach is ([\d.]+)/.exec(String(error))![1]);
    }
    const bound = bindBudget(limitedTo(nearest, more), params);
    const mask = bound.constraint(bound.sparsity, referenceKernels).select(new Float64Array(10).fill(1));
    expect(mask.reduce((sum, bit) => sum + bit, 0)).toBeGreaterThan(0);
  }
});
