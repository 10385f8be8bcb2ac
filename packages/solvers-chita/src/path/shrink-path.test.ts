import {
  countKept,
  createRunContext,
  keepCount,
  keptWeights,
  masked,
  matrix,
  objective,
  type Problem,
  type RunContext,
  type RunEvent,
  type Solution,
  type Units,
  type Vec,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import { bruteForce, denseHessian, exactOn, problemFrom, randomProblem, rowKinds } from "../problem.test-support.ts";
import { rowModel } from "../relaxation/row-model.ts";
import { shrinkPath } from "./shrink-path.ts";

/** The path of a problem posed as a quadratic. */
const along = (problem: Problem, context: RunContext): Promise<Solution> =>
  shrinkPath(problem, rowModel(problem, context.kernels), context);

const ctx = createRunContext();
const kept = ({ units }: Problem, { mask }: Solution): number[] => [...keptWeights(units, mask)];

/** A problem whose H is diagonal: rows are multiples of unit vectors, H_jj = bends[j] + ridge. */
function diagonalProblem(spec: { bends: number[]; w: number[]; keep: number; ridge?: number; g?: number[] }): Problem {
  const p = spec.w.length;
  const rows = matrix(p, p, new Float64Array(p * p));
  spec.bends.forEach((bend, j) => {
    rows.data[j * p + j] = Math.sqrt(p * bend);
  });
  const problem = problemFrom({
    rows,
    w: matrix(1, p, Float64Array.from(spec.w)),
    keep: spec.keep,
    ridge: spec.ridge ?? 0,
  });
  return spec.g ? { ...problem, gradient: matrix(1, p, Float64Array.from(spec.g)) } : problem;
}

describe("from dense weights", () => {
  test("products with H as a whole give the path that products with G and G' give, with and without a slope", async () => {
    for (const firstOrder of [false, true]) {
      const problem = randomProblem({ n: 12, p: 40, keep: 6, kind: "plain", dtype: "f64", ridge: 0.05, firstOrder });
      const model = rowModel(problem, ctx.kernels);
      const image = new Float64Array(model.rows);
      let calls = 0;
      const whole = {
        ...model,
        async gramTimes(x: Vec, out: Vec) {
          calls++;
          await model.times(x, image);
          await model.transposeTimes(image, out);
        },
      };
      const [byRows, byGram] = [await shrinkPath(problem, model, ctx), await shrinkPath(problem, whole, ctx)];
      // One product a round for the slope: weights outside of the support have moved to 0 in all of them.
      expect(calls).toBe(byGram.stats["rounds"]);
      expect(byGram.mask).toEqual(byRows.mask);
      // f64 sums of some ten terms, through hundreds of iterations that end at a relative residual of 1e-3.
      byGram.w.data.forEach((value: number, j: number) => {
        expect(value).toBeCloseTo(byRows.w.data[j]!, 9);
      });
      byGram.trace!.forEach((value, round) => {
        expect(value).toBeCloseTo(byRows.trace![round]!, 9);
      });
    }
  });

  test("keeps exactly k weights, zeros elsewhere, and reports the objective it reached", async () => {
    for (const kind of rowKinds) {
      for (const [n, p, keep] of [
        [6, 30, 4],
        [6, 30, 12],
        [40, 20, 7],
        [6, 10, 10],
        [6, 10, 0],
        [6, 10, 1],
      ] as const) {
        for (const dtype of ["f64", "f32"] as const) {
          const problem = randomProblem({ n, p, keep, kind, dtype, ridge: 0.05, firstOrder: n === 40 });
          const before = problem.w.data.slice();
          const solution = await along(problem, ctx);
          expect(countKept(solution.mask)).toBe(keep);
          solution.mask.forEach((bit, j) => {
            if (bit === 0) expect(solution.w.data[j]).toBe(0);
          });
          expect(solution.objective).toBe(await objective(problem, solution.w));
          expect(solution.trace).toHaveLength(solution.stats["rounds"]!);
          // The trace follows Q through the conjugate gradients without a product of its own.
          const nothing = await objective(problem, matrix(1, p, new Float64Array(p)));
          const drift = Math.abs(solution.trace!.at(-1)! - solution.objective);
          expect(drift).toBeLessThan((dtype === "f64" ? 1e-11 : 1e-5) * Math.abs(nothing));
          expect(problem.w.data).toEqual(before);
        }
      }
    }
  });

  test("with a diagonal curvature finds the optimum: the largest H_jj w_j^2, as they were", async () => {
    const bends = Array.from({ length: 14 }, (_, j) => 4 ** ((j * 5) % 7));
    const w = Array.from({ length: 14 }, (_, j) => (j % 3 === 0 ? -1 : 1) * (1 + ((j * 11) % 14)));
    const problem = diagonalProblem({ bends, w, keep: 5, ridge: 0.5 });
    const solution = await along(problem, ctx);
    const best = await bruteForce(problem, 5);
    expect(kept(problem, solution)).toEqual(best.columns);
    expect(solution.objective).toBeCloseTo(best.value, 10);
    solution.w.data.forEach((value, j) => {
      if (solution.mask[j] === 1) expect(value).toBeCloseTo(w[j]!, 10);
    });
  });

  test("ends near the exact minimiser on its support, far below the weights as they were", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const problem = randomProblem({ n: 20, p: 30, keep: 8, ridge: 0.1, seed, firstOrder: seed % 2 === 1 });
      const solution = await along(problem, ctx);
      const exact = await exactOn(problem, kept(problem, solution), await denseHessian(problem));
      const asTheyWere = await objective(problem, masked(problem.w, problem.units, solution.mask));
      // Conjugate gradients stop at a residual of 1e-2, of which Q feels the square.
      expect(solution.objective - exact.value).toBeLessThan(1e-3 * (asTheyWere - exact.value));
      expect(solution.objective).toBeGreaterThan(exact.value - 1e-12);
    }
  });

  test("is nearer the optimum than one cut and one re-fit, on average, because rounds re-fit in between", async () => {
    let [path, cut] = [0, 0];
    for (let seed = 0; seed < 20; seed++) {
      const problem = randomProblem({ n: 12, p: 16, keep: 4, ridge: 0.1, seed });
      const { value } = await bruteForce(problem, 4);
      const { relax: _, ...only } = problem.constraint;
      const stepwise = await along(problem, ctx);
      const atOnce = await along({ ...problem, constraint: only }, ctx);
      expect([stepwise.stats["rounds"]! > 3, atOnce.stats["rounds"]]).toEqual([true, 1]);
      expect(countKept(atOnce.mask)).toBe(4);
      // Both are computed in f64, along different ways.
      expect(stepwise.objective).toBeGreaterThan(value * (1 - 1e-12));
      path += stepwise.objective / value / 20;
      cut += atOnce.objective / value / 20;
    }
    expect(path).toBeLessThan(cut);
    expect(path).toBeLessThan(1.3); // greedy: 1.17 here, against 1.64 for the cut
  });

  test("prunes units that own several weights whole", async () => {
    const owned = [Uint32Array.of(0, 1, 2), Uint32Array.of(3), Uint32Array.of(4, 5), Uint32Array.of(6, 7, 8, 9)];
    const units: Units = {
      count: 4,
      perWeight: false,
      indices: (unit) => owned[unit]!,
      reduce: (score) => Float64Array.from(owned, (indices) => indices.reduce((sum, j) => sum + score[j]!, 0)),
      costs: {},
    };
    const problem = { ...randomProblem({ n: 8, p: 10, keep: 2 }), units, constraint: keepCount({ count: 4, keep: 2 }) };
    const solution = await along(problem, ctx);
    expect(countKept(solution.mask)).toBe(2);
    owned.forEach((indices, unit) => {
      for (const j of indices) expect(solution.w.data[j] !== 0).toBe(solution.mask[unit] === 1);
    });
  });
});

describe("from weights that meet the constraint already", () => {
  /** Weight 0 is kept, the slope wants weight 1: Q = 0 as it is, 1/2 - 9/2 = -4 at (0, 3). */
  const swapPays = diagonalProblem({ bends: [1, 1, 1], w: [1, 0, 0], keep: 1, g: [0, -3, 0] });

  test("without growth keeps the support and re-fits", async () => {
    const solution = await along({ ...swapPays, regrowFraction: 0 }, ctx);
    expect([...solution.mask]).toEqual([1, 0, 0]);
    expect(solution.w.data[0]).toBeCloseTo(1, 12);
  });

  test("with growth brings a pruned weight back that is clearly better, at its best value", async () => {
    const solution = await along({ ...swapPays, regrowFraction: 1 }, ctx);
    expect([...solution.mask]).toEqual([0, 1, 0]);
    expect(solution.w.data[1]).toBeCloseTo(3, 12);
    expect(solution.objective).toBeCloseTo(-4, 12);
  });

  test("with growth tries the weights that may be kept, whatever the slope of those that may not", async () => {
    // Weight 1 would gain most and may not be kept; weight 2 gains 2 - 1/2 over the one that is kept.
    const problem = diagonalProblem({ bends: [1, 1, 1], w: [1, 0, 0], keep: 1, g: [0, -3, -2] });
    const eligible = Uint8Array.of(1, 0, 1);
    const all = keepCount({ count: 3, keep: 1 });
    const constraint = {
      ...all,
      count: { keep: 1, eligible },
      select: (score: Float64Array | Float32Array) =>
        all.select(score.map((value, j) => (eligible[j] === 1 ? value : Number.NEGATIVE_INFINITY))),
    };
    const solution = await along({ ...problem, regrowFraction: 1, constraint }, ctx);
    expect([...solution.mask]).toEqual([0, 0, 1]);
    expect(solution.objective).toBeCloseTo(-1.5, 12);
  });

  test("keeps exactly k whatever the growth, and on average ends lower than without", async () => {
    let [still, grown] = [0, 0];
    for (let seed = 0; seed < 20; seed++) {
      const problem = randomProblem({ n: 15, p: 40, keep: 10, ridge: 0.2, seed, firstOrder: true });
      problem.w.data.fill(0, 10);
      for (const regrowFraction of [0.1, 0.5, 3, 100]) {
        const solution = await along({ ...problem, regrowFraction }, ctx);
        expect(countKept(solution.mask)).toBe(10);
        if (regrowFraction === 0.5) grown += solution.objective;
      }
      still += (await along(problem, ctx)).objective;
    }
    expect(grown).toBeLessThan(still);
  });

  test("fills up to k when fewer weights are left than may be kept", async () => {
    const problem = randomProblem({ n: 15, p: 12, keep: 5, ridge: 0.2, firstOrder: true });
    problem.w.data.fill(0, 2);
    for (const regrowFraction of [0, 0.2, 2]) {
      const solution = await along({ ...problem, regrowFraction }, ctx);
      expect(countKept(solution.mask)).toBe(5);
      expect([solution.mask[0], solution.mask[1]]).toEqual([1, 1]);
    }
  });
});

test("reports its rounds, and stops when it is aborted", async () => {
  const problem = randomProblem({ n: 10, p: 40, keep: 5 });
  const events: RunEvent[] = [];
  const controller = new AbortController();
  const onEvent = (event: RunEvent): void => {
    events.push(event);
    if (events.length === 2) controller.abort();
  };
  const watched = createRunContext({ onEvent, signal: controller.signal });
  await expect(along(problem, watched)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  // 40 to 5 weights by at most a factor 1.15 a round: ln 8 / ln 1.15 = 14.9.
  expect(events).toMatchObject([
    { task: "solve", done: 1, total: 15 },
    { task: "solve", done: 2, total: 15 },
  ]);
});

test("walks in larger steps, with shorter re-fits, where products with the curvature cost much", async () => {
  const problem = randomProblem({ n: 10, p: 40, keep: 5 });
  const { curvature } = problem;
  const dear = { ...curvature, factor: () => ({ ...curvature.factor!(), productCost: 257 * 40 }) };
  const [manyProducts, fewProducts] = [await along(problem, ctx), await along({ ...problem, curvature: dear }, ctx)];
  // A factor 1.35 a round: ln 8 / ln 1.35 = 6.9.
  expect([manyProducts.stats["rounds"], fewProducts.stats["rounds"]]).toEqual([15, 7]);
  expect(fewProducts.stats["iterations"]).toBeLessThan(manyProducts.stats["iterations"]!);
  // Five a round, fifteen after the last.
  expect(fewProducts.stats["iterations"]).toBeLessThanOrEqual(6 * 5 + 15);
});
