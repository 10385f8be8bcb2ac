import { type RunSituation, resolvePlan, type SolverWork } from "@secateur/core";
import { expect, test } from "vitest";
import { chita } from "./chita.ts";

const situation: RunSituation = {
  ...{ sparsity: 0.9, prunable: 32_360, examples: 60_000, initialSparsity: 0, weightReuse: 1 },
};
const workOf = (overrides: Partial<RunSituation>, plan = {}): SolverWork => {
  const of = { ...situation, ...overrides };
  return chita().work!(resolvePlan(chita(), of, plan), of);
};

test("the work of a run is that counted in the kernels of MLPNet on MNIST, within a factor of two", () => {
  // Multiply-adds, and sparse ones by what they take longer than dense ones: 1.9e10 + 3e10, 2.5e10 + 1.2e10, 3.9e10 + 0.7e10.
  for (const [sparsity, counted, longer] of [
    [0.5, 4.9e10, 6.1e10],
    [0.9, 3.7e10, 5.6e10],
    [0.98, 4.6e10, 7.4e10],
  ] as const) {
    const { products, asDense } = workOf({ sparsity });
    for (const ratio of [products / counted, asDense! / longer]) {
      expect(ratio).toBeGreaterThan(0.5);
      expect(ratio).toBeLessThan(2);
    }
  }
});

test("work grows with the examples, with competing ridges, and with the factors of layers", () => {
  const [some, more] = [2000, 4000].map((examples) => workOf({}, { examples, targetExamples: examples }).products);
  expect(more).toBeCloseTo(2 * some!, 0);
  const [one, three] = [[1], [0.6, 2, 6]].map(
    (ridgeFactors) => workOf({}, { stages: 1, targetStages: 0, ridgeFactors }).products,
  );
  expect(three).toBeCloseTo(3 * one!, 0);
  const kronecker = { curvature: "kronecker-gauss-newton" };
  const layer = { rows: 40, cols: 809, groups: 1, positions: 1 };
  const [once, twice] = [1, 2].map((count) =>
    workOf({ prunable: count * 32_360, layers: Array.from({ length: count }, () => layer) }, kronecker),
  );
  expect(twice!.products).toBe(2 * once!.products);
  // Beyond the passes the second moment of the inputs is taken, of each of 2,000 examples: there are fewer than 32 to an input.
  expect(once!.curvature).toBe((2000 * 809 ** 2) / 2);
});

test("every group of a depthwise convolution has factors of its own", () => {
  const kronecker = { curvature: "kronecker-gauss-newton" };
  const of = (groups: number, rows: number) =>
    workOf(
      {
        prunable: 512 * 9,
        layers: Array.from({ length: 512 / rows }, () => ({ rows, cols: 9, groups, positions: 49 })),
      },
      kronecker,
    );
  // As 512 layers of one row.
  expect(of(512, 512)).toEqual(of(1, 1));
});

test("large factors are walked along with few products, as the path does", () => {
  const kronecker = { curvature: "kronecker-gauss-newton" };
  const products = (rows: number) =>
    workOf({ prunable: rows * rows, layers: [{ rows, cols: rows, groups: 1, positions: 4 }] }, kronecker).products /
    rows ** 3;
  // 1,536 multiply-adds a weight are the limit: factors of 768 rows.
  expect(products(700)).toBeGreaterThan(4 * products(800));
});
