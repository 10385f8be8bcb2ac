/** Budgets as they come to the layers of a small network. */
import { describe, expect, test } from "vitest";
import { bindBudget } from "../../budget/bound-budget.ts";
import type { Budget } from "../../budget/budget.ts";
import { keepCount, keptCount } from "../../budget/constraint.ts";
import type { FlatParam } from "../../problem/flat-weights.ts";
import { createRunContext } from "../../run-context.ts";
import { assertLayerBudget, type LayerBudget, layerBudget } from "./layer-budget.ts";

const param = (name: string, [rows, cols]: readonly [number, number], start: number): FlatParam => ({
  ...{ name, shape: [rows, cols], rows, cols, prunable: true, flopsPerWeight: 2, start, size: rows * cols },
});
const params = [param("a.weight", [4, 6], 0), param("b.weight", [5, 3], 24), param("c.weight", [3, 2], 39)];
const weights = Float32Array.from({ length: 45 }, (_, j) => 1 + ((j * 7) % 45));
const of = (budget: Budget, sparsity?: number, mask = new Uint8Array(45).fill(1)): LayerBudget => {
  const bound = bindBudget(budget, params);
  assertLayerBudget(bound);
  const stage = { sparsity: sparsity ?? bound.sparsity, regrow: true };
  return layerBudget({ bound, params, weights, mask, stage }, createRunContext());
};
const limitOf = ({ limitOf }: LayerBudget, name: string, rows?: number, firstRow = 0) => {
  const { cols, rows: all } = params.find((one) => one.name === name)!;
  return limitOf!({ param: name, firstRow, rows: rows ?? all, cols });
};

describe("the budget of layers", () => {
  test("without more than a number of weights is the loop's to share, to a weight, whatever is excluded", () => {
    for (let keep = 7; keep <= 45; keep++) {
      const limits = [{ kind: "weights", amount: keep, absolute: true }] as const;
      const all = of({ limits });
      expect(keptCount(45, all.sparsity)).toBe(keep);
      const { params: pruned, sparsity, limitOf: told } = of({ limits, exclude: ["c"] });
      expect(pruned.map(({ name }) => name)).toEqual(["a.weight", "b.weight"]);
      expect(keptCount(39, sparsity)).toBe(keep - 6);
      expect(told).toBeUndefined();
    }
    expect(() => of({ limits: [{ kind: "weights", amount: 6, absolute: true }], exclude: ["c"] })).toThrow(
      /nothing would be left of the other layers/,
    );
  });

  test("of patterns gives each layer its own, on the way to them as far as the stage has come", () => {
    const units = [
      { match: "a", units: { kind: "of-every", keep: 1, of: 3 } },
      { match: "b", units: { kind: "of-every", keep: 2, of: 3 } },
    ] as const;
    const budget = of({ units, exclude: ["c"] });
    expect(limitOf(budget, "a.weight").constraint.pattern).toMatchObject({ keep: 1, of: 3, cols: 6 });
    expect(limitOf(budget, "b.weight").constraint.pattern).toMatchObject({ keep: 2, of: 3, cols: 3 });
    // Half of the way to one of three leaves two of three.
    expect(limitOf(of({ units, exclude: ["c"] }, 1 / 3), "a.weight").constraint.pattern).toMatchObject({ keep: 2 });
    expect(() => of({ units, limits: [{ kind: "weights", amount: 0.9 }] })).toThrow(
      /'c.weight' has weights; exclude it/,
    );
    const both = { units, exclude: ["c"], limits: [{ kind: "weights", amount: 0.3 }] } as const;
    expect(() => of(both)).toThrow(/a limit of weights below what the patterns keep/);
  });

  test("of rows and blocks keeps the same fraction of every layer's, one at least, within the limit", () => {
    const limits = [{ kind: "weights", amount: 0.5 }] as const;
    const rows = of({ limits, units: [{ match: "*", units: { kind: "rows" } }] });
    expect(params.map(({ name }) => limitOf(rows, name).constraint.count)).toEqual([2, 2, 1].map((keep) => ({ keep })));
    const blocks = of({ limits, units: [{ match: "*", units: { kind: "blocks", rows: 2, cols: 2 } }] });
    let total = 0;
    for (const { name } of params) {
      const { units, constraint } = limitOf(blocks, name);
      const sizes = units.costs["weights"]!;
      const kept = constraint.select(Float64Array.from(sizes)).reduce((sum, bit, u) => sum + bit * sizes[u]!, 0);
      expect(kept).toBeGreaterThan(0);
      total += kept;
    }
    // The smallest layer keeps a block of four of its six weights, for which the others make room.
    expect(total).toBeLessThanOrEqual(22.5);
    expect(() => limitOf(rows, "a.weight", 2)).toThrow(/grouped convolution, whose groups are problems of their own/);
  });

  test("of an allocation is what it gives each layer, to the rows of a group", () => {
    const counts = [10, 6, 6];
    const allocation = {
      settings: "mine",
      constraint: () => ({
        ...keepCount({ count: 45, keep: 22 }),
        select: (score: ArrayLike<number>) => {
          const mask = new Uint8Array(45);
          params.forEach(({ start, size }, p) => {
            const order = Array.from({ length: size }, (_, j) => start + j).sort((x, y) => score[y]! - score[x]!);
            for (const j of order.slice(0, counts[p])) mask[j] = 1;
          });
          return mask;
        },
      }),
    };
    const budget = of({ limits: [{ kind: "weights", amount: 0.5 }], allocation });
    // What is left whole is no problem to solve.
    expect(budget.params.map(({ name }) => name)).toEqual(["a.weight", "b.weight"]);
    expect(limitOf(budget, "b.weight").constraint.count).toEqual({ keep: 6 });
    const [one, other] = [limitOf(budget, "a.weight", 2), limitOf(budget, "a.weight", 2, 2)];
    expect(one.constraint.count!.keep + other.constraint.count!.keep).toBe(10);
  });

  test("on operations is shared out beside those on weights, less what excluded layers cost", () => {
    const limits = [
      { kind: "flops", amount: 0.5 },
      { kind: "weights", amount: 0.8 },
    ] as const;
    const budget = of({ limits, exclude: ["c"] });
    const [all, own] = [params, params.slice(0, 2)].map((some) => some.reduce((sum, { size }) => sum + size, 0));
    expect(budget.limits!.map(({ name, most }) => [name, most])).toEqual([
      // Every weight costs two operations.
      ["flops", 2 * (0.5 * all! - (all! - own!))],
      ["weights", 0.8 * all! - (all! - own!)],
    ]);
    expect(budget.sparsity).toBeCloseTo(1 - (0.5 * all! - (all! - own!)) / own!, 12);
    expect(() => of({ limits: [{ kind: "flops", amount: 0.01 }], exclude: ["c"] })).toThrow(/ERR_BUDGET|what/);
  });

  test("refuses by name what layers solved one after the other cannot keep to", () => {
    const rows = [{ match: "*", units: { kind: "rows" } }] as const;
    expect(() => of({ units: rows, limits: [{ kind: "flops", amount: 0.5 }] })).toThrow(
      /a limit of flops is shared out among single weights/,
    );
    const bounds = [{ match: "b", sparsity: 0.5 }];
    expect(() => of({ limits: [{ kind: "weights", amount: 0.5 }], bounds })).toThrow(
      /the bound of 'b.weight' needs an allocation/,
    );
  });

  test("of groups of a convolution is shared out among them, to a weight of the parameter's", () => {
    const limits = [{ kind: "weights", amount: 0.5 }] as const;
    const budget = of({ units: [{ match: "a", units: { kind: "rows" } }], limits });
    const whole = limitOf(budget, "b.weight").constraint.count!.keep;
    const groups = [0, 1, 2, 3, 4].map((row) => limitOf(budget, "b.weight", 1, row).constraint.count!.keep);
    expect(groups.reduce((sum, keep) => sum + keep, 0)).toBe(whole);
    expect(Math.max(...groups) - Math.min(...groups)).toBeLessThanOrEqual(1);
  });

  test("below a unit of every layer is refused, also where a bound lets go of all of them", () => {
    const rows = { units: [{ match: "*", units: { kind: "rows" } }], bounds: [{ match: "*", sparsity: 1 }] } as const;
    expect(() => of({ ...rows, limits: [{ kind: "weights", amount: 0.15 }] })).toThrow(
      /11 weights together, and the limit leaves 6/,
    );
    const kept = params.map(({ name }) => limitOf(of({ ...rows, limits: [{ kind: "weights", amount: 0.5 }] }), name));
    expect(kept.every(({ constraint }) => constraint.count!.keep >= 1)).toBe(true);
  });

  test("of patterns whose last group is shorter counts what that keeps", () => {
    // Rows of 6 keep 3 of 4 and 2 of the 2 left: 5 a row where 6 * 3 / 4 would be 4.5.
    const units = [{ match: "a", units: { kind: "of-every", keep: 3, of: 4 } }] as const;
    const limit = (amount: number) => [{ kind: "weights", amount, absolute: true }] as const;
    const excluded = { units, exclude: ["b", "c"] };
    expect(() => of({ ...excluded, limits: limit(20 + 21 - 1) })).toThrow(/below what the patterns keep/);
    expect(limitOf(of({ ...excluded, limits: limit(20 + 21) }), "a.weight").constraint.pattern).toMatchObject({
      keep: 3,
    });
  });
});
