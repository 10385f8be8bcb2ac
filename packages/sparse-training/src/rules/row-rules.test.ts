/** Rules that take out whole rows: filters is tested beside the other gradual rules. */
import { beginRules, createRunContext, type Mat, matrix, type ParamInfo, type TrainingRule } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { expectedActivation, stamp } from "./stamp.ts";
import { tpp } from "./tpp.ts";

const norm = (name: string, rows: number, isScale: boolean): ParamInfo => ({
  ...{ name, shape: [rows], rows, cols: 1, prunable: false, flopsPerWeight: 1 },
  ...(isScale ? { isScale } : {}),
});
/** A convolution with a normalisation behind it, one without, and a last layer. */
const params: readonly ParamInfo[] = [
  { name: "a", shape: [4, 3], rows: 4, cols: 3, prunable: true, flopsPerWeight: 2 },
  norm("a.norm.weight", 4, true),
  norm("a.norm.bias", 4, false),
  { name: "b", shape: [5, 4], rows: 5, cols: 4, prunable: true, flopsPerWeight: 2 },
  norm("b.bias", 5, false),
  { name: "c", shape: [2, 5], rows: 2, cols: 5, prunable: true, flopsPerWeight: 2 },
  norm("c.norm.weight", 2, true),
];

function normals(seed: number): Map<string, Mat> {
  const { rng } = createRunContext({ seed });
  return new Map(
    params.map(({ name, rows, cols }) => [
      name,
      matrix(
        rows,
        cols,
        Float64Array.from({ length: rows * cols }, () => rng.normal()),
      ),
    ]),
  );
}

function begin(rule: TrainingRule, weights: Map<string, Mat>, steps = 10, of = params) {
  const ctx = createRunContext();
  const run = beginRules({ rules: [rule], params: of, weights, masks: new Map(), steps, stepsPerEpoch: 2, ctx });
  const gradients = new Map(
    of.map(({ name, rows, cols }) => [name, matrix(rows, cols, new Float64Array(rows * cols))]),
  );
  return { run, ctx, gradients, at: (step: number) => ({ step, rate: 0.1, gradients }) };
}

function keptRows(weights: ReadonlyMap<string, Mat>, name: string): number[] {
  const { rows, cols, data } = weights.get(name)!;
  return Array.from({ length: rows }, (_, r) => r).filter((r) =>
    data.subarray(r * cols, (r + 1) * cols).some((w: number) => w !== 0),
  );
}

describe("tpp", () => {
  test("its penalty is that of the formula, with the gradient that finite differences give", () => {
    const [weights, strength, step] = [normals(5), 0.3, 2];
    const { run, ctx, gradients, at } = begin(tpp({ sparsity: 0.5, strength }), weights);
    const value = run.beforeStep(at(step), ctx);
    // Pruned after 7 steps of 10; lambda is at its largest after three quarters of them.
    const lambda = (strength * (step + 1)) / (0.75 * 7);
    const sums = (name: string): number[] => {
      const { rows, cols, data } = normals(5).get(name)!;
      return Array.from({ length: rows }, (_, r) =>
        Float64Array.from(data.slice(r * cols, (r + 1) * cols)).reduce((sum, w) => sum + Math.abs(w), 0),
      );
    };
    const staysIn = (name: string, keep: number): boolean[] => {
      const own = sums(name);
      const least = [...own].sort((x, y) => y - x)[keep - 1]!;
      return own.map((sum) => sum >= least);
    };
    const stays = new Map([
      ["a", staysIn("a", 2)],
      ["b", staysIn("b", 2)],
    ]);
    const penalty = (of: ReadonlyMap<string, Mat>): number => {
      let total = 0;
      for (const [name, m] of stays) {
        const { rows, cols, data } = of.get(name)!;
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < rows; j++) {
            if (m[i] && m[j]) continue;
            let dot = 0;
            for (let c = 0; c < cols; c++) dot += data[i * cols + c]! * data[j * cols + c]!;
            total += dot * dot;
          }
        }
      }
      for (const name of ["a.norm.weight", "a.norm.bias"]) {
        of.get(name)!.data.forEach((x: number, r: number) => {
          if (!stays.get("a")![r]) total += x * x;
        });
      }
      return (lambda / 2) * total;
    };
    expect(value).toBeCloseTo(penalty(weights), 12);
    for (const { name, rows, cols } of params) {
      for (let i = 0; i < rows * cols; i++) {
        const at = (h: number): number => {
          const moved = normals(5);
          moved.get(name)!.data[i]! += h;
          return penalty(moved);
        };
        // Central differences of a polynomial of degree 4: an error of h^2 times third derivatives of about 10.
        expect(Math.abs(gradients.get(name)!.data[i]! - (at(1e-4) - at(-1e-4)) / 2e-4)).toBeLessThan(1e-6);
      }
    }
  });

  test("prunes the rows that were smallest when training began, whatever they have become, resumed or not", async () => {
    const weights = normals(5);
    const chosen = begin(tpp({ sparsity: 0.5 }), normals(5));
    for (let step = 0; step < 7; step++) await chosen.run.afterStep(chosen.at(step + 1), chosen.ctx);
    const straight = begin(tpp({ sparsity: 0.5 }), weights);
    for (let step = 0; step < 3; step++) await straight.run.afterStep(straight.at(step + 1), straight.ctx);
    // The rows trade places in size.
    const others = new Map(
      [...weights].map(([name, w]) => [
        name,
        matrix(
          w.rows,
          w.cols,
          w.data.map((x: number) => 1 / x),
        ),
      ]),
    );
    const resumed = begin(tpp({ sparsity: 0.5 }), others);
    resumed.run.restore(straight.run.capture());
    for (let step = 3; step < 7; step++) await resumed.run.afterStep(resumed.at(step + 1), resumed.ctx);
    for (const name of ["a", "b", "c"]) {
      expect(resumed.run.masks.get(name)).toEqual(chosen.run.masks.get(name));
    }
    expect(chosen.run.masks.has("c")).toBe(false);
    // What is theirs goes with the rows.
    for (const [weight, vectors] of [
      ["a", ["a.norm.weight", "a.norm.bias"]],
      ["b", ["b.bias"]],
    ] as const) {
      for (const name of vectors) expect(keptRows(others, name)).toEqual(keptRows(others, weight));
    }
    expect(keptRows(others, "a").length).toBe(2);
    expect(keptRows(others, "b").length).toBe(2);
  });
});

describe("stamp", () => {
  test("the activation it expects is the integral of what passes a ReLU", () => {
    for (const [gamma, beta] of [
      [1, 0],
      [0.5, 1.2],
      [-2, -0.7],
      [0, 0.4],
      [0, -1],
      [1, -6],
    ] as const) {
      let sum = 0;
      const h = 1e-3;
      for (let x = -9; x < 9; x += h) {
        sum += h * Math.max(0, gamma * x + beta) * (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI));
      }
      // The sum is right to h^2 times second derivatives of about 1.
      expect(Math.abs(expectedActivation(gamma, beta) - sum)).toBeLessThan(1e-6);
    }
  });

  test("channels of least activation go over the layers with a normalisation, as many as the schedule says, with all that is theirs", async () => {
    const wide = [
      { name: "a", shape: [9, 3], rows: 9, cols: 3, prunable: true, flopsPerWeight: 2 },
      norm("a.norm.weight", 9, true),
      norm("a.norm.bias", 9, false),
      ...params.slice(3),
    ];
    const { rng } = createRunContext({ seed: 2 });
    const weights = new Map(
      wide.map(({ name, rows, cols }) => [
        name,
        matrix(
          rows,
          cols,
          Float64Array.from({ length: rows * cols }, () => rng.normal()),
        ),
      ]),
    );
    // Without shifts the activations are the scales over the root of 2 pi: shares of 23.2 in a, of 5 in c, where 3 and 4 are .6 and .8.
    weights.get("a.norm.weight")!.data.set([4, -9, 1, 14, 12, 2, 8, 5, 3]);
    weights.get("a.norm.bias")!.data.fill(0);
    weights.get("c.norm.weight")!.data.set([3, 4]);
    const { run, ctx, at } = begin(stamp({ sparsity: 0.8 }), weights, 10, wide);
    const seen: number[][][] = [];
    for (let step = 1; step <= 10; step++) {
      await run.afterStep(at(step), ctx);
      if (step % 2 === 0) seen.push([keptRows(weights, "a"), keptRows(weights, "c")]);
    }
    // Of 11 channels .8 (1 - (1 - t / 4)^3) = .4625 .7 .7875 .8 leave floor(5.9) floor(3.3) floor(2.3) floor(2.2). With three left in a, 12 is .585 of their norm, below c's 3.
    expect(seen).toEqual([
      [
        [1, 3, 4],
        [0, 1],
      ],
      [[3], [0, 1]],
      [[3], [1]],
      [[3], [1]],
      [[3], [1]],
    ]);
    for (const name of ["a", "a.norm.weight", "a.norm.bias"]) {
      const { cols, data } = weights.get(name)!;
      expect(
        [...data.keys()].filter((i) => data[i] !== 0 && Math.floor(i / cols) !== 3),
        name,
      ).toEqual([]);
    }
    expect(keptRows(weights, "b")).toEqual([0, 1, 2, 3, 4]);
  });

  test("no layer loses its last channel, and what is gone stays gone", async () => {
    const weights = normals(1);
    weights.get("a.norm.weight")!.data.set([4, 0.1, 3, 2]);
    weights.get("a.norm.bias")!.data.fill(0);
    const { run, ctx, at } = begin(stamp({ sparsity: 0.9 }), weights, 8);
    await run.afterStep(at(2), ctx);
    // The largest at first is the smallest now.
    const [first] = keptRows(weights, "a");
    weights.get("a.norm.weight")!.data[first!] = 1e-3;
    for (const step of [4, 6, 8]) await run.afterStep(at(step), ctx);
    expect(keptRows(weights, "a")).toEqual([first]);
    expect(keptRows(weights, "c")).toHaveLength(1);
  });

  test("a network without normalisation behind its weights is refused", () => {
    const plain = params.filter(({ isScale }) => !isScale);
    const weights = normals(1);
    const setup = { params: plain, weights, masks: new Map(), steps: 8, stepsPerEpoch: 2 };
    expect(() => stamp({ sparsity: 0.5 }).begin(setup)).toThrow(/the network has none/);
  });
});
