import {
  countKept,
  createRng,
  createRunContext,
  factorCurvature,
  keepCount,
  matrix,
  type Problem,
} from "@secateur/core";
import { denseFactor } from "@secateur/fisher";
import { describe, expect, test } from "vitest";
import { combinatorial, denseHessian, exactOn, masks, randomProblem, withoutColumns } from "../problem.test-support.ts";
import { cbs, cbsSelector } from "./cbs.ts";
import { cbsModel, cbsPoint, cbsValue } from "./cbs-model.ts";
import { cbsSearch } from "./cbs-search.ts";
import { magnitudeStart, partitionStart } from "./cbs-starts.ts";
import { type SwapPool, swap, swapBest, swapGain, swapPass } from "./swap-pool.ts";
import { unitBlock } from "./unit-products.ts";

const ctx = createRunContext();

/** The pool of all weights of a problem. */
async function wholePool(problem: Problem, mask: Uint8Array): Promise<SwapPool> {
  const model = await cbsModel(problem, ctx);
  const { v } = await cbsPoint(model, mask);
  const members = Uint32Array.from(mask.keys());
  return { B: await unitBlock(model.products, members, ctx), v: v.slice(), pruned: mask.map((bit) => 1 - bit) };
}

/** The same problem, calling back before every product with its rows. */
function counting(problem: Problem, onProduct: () => void): Problem {
  const view = problem.curvature.factor!();
  const curvature = factorCurvature({
    ...view,
    times(x, out) {
      onProduct();
      return view.times(x, out);
    },
    transposeTimes(u, out) {
      onProduct();
      return view.transposeTimes(u, out);
    },
  });
  return { ...problem, curvature };
}

describe("swap gains", () => {
  test("are the decrease of w_P'Hw_P, for every pair, also after other swaps", async () => {
    const problem = randomProblem({ n: 5, p: 9, keep: 4 });
    const H = await denseHessian(problem);
    const pool = await wholePool(problem, magnitudeStart(problem));
    const value = (): number =>
      combinatorial(
        problem,
        H,
        pool.pruned.map((bit) => 1 - bit),
      );
    const rng = createRng("swaps");
    for (let round = 0; round < 6; round++) {
      const outs = [...pool.pruned.keys()].filter((j) => pool.pruned[j] === 1);
      const intos = [...pool.pruned.keys()].filter((j) => pool.pruned[j] === 0);
      for (const i of outs) {
        for (const j of intos) {
          const trial = { ...pool, pruned: pool.pruned.slice(), v: pool.v.slice() };
          const predicted = swapGain(trial, i, j);
          trial.pruned[i] = 0;
          trial.pruned[j] = 1;
          const after = combinatorial(
            problem,
            H,
            trial.pruned.map((bit) => 1 - bit),
          );
          // Sums of some 80 products of order one in f64.
          expect(Math.abs(value() - after - predicted)).toBeLessThan(1e-11);
        }
      }
      swap(pool, outs[rng.integer(outs.length)]!, intos[rng.integer(intos.length)]!);
    }
  });

  test.each(["best", "published"] as const)("of a %s search add up to what it gained", async (search) => {
    for (let seed = 0; seed < 8; seed++) {
      const problem = randomProblem({ n: 5, p: 12, keep: 5, seed });
      const H = await denseHessian(problem);
      const start = magnitudeStart(problem);
      const pool = await wholePool(problem, start);
      const allowed = () => () => true;
      const { gain, swaps } =
        search === "best"
          ? swapBest(pool, { least: 0, maxSwaps: 100, allowed })
          : swapPass(pool, { least: 0, window: 3, misses: 4, allowed });
      const end = pool.pruned.map((bit) => 1 - bit);
      expect(countKept(end)).toBe(5);
      expect(combinatorial(problem, H, start) - combinatorial(problem, H, end)).toBeCloseTo(gain, 10);
      expect(gain > 0).toBe(swaps > 0);
    }
  });

  test("a best search ends where no swap gains", async () => {
    const problem = randomProblem({ n: 5, p: 12, keep: 5 });
    const pool = await wholePool(problem, magnitudeStart(problem));
    swapBest(pool, { least: 0, maxSwaps: 100, allowed: () => () => true });
    for (const i of pool.pruned.keys()) {
      for (const j of pool.pruned.keys()) {
        if (pool.pruned[i] === 1 && pool.pruned[j] === 0) expect(swapGain(pool, i, j)).toBeLessThanOrEqual(1e-12);
      }
    }
  });

  test("the published pass stops when its first pair finds nothing, and counts misses", () => {
    // Restoring 0 gains 4; pruning 1 costs 9, pruning 2 costs 16: no swap helps.
    const diagonal = (...d: number[]): Float64Array =>
      Float64Array.from({ length: 9 }, (_, s) => (s % 4 === 0 ? d[s / 4]! : 0));
    const none = { B: diagonal(4, 9, 16), v: Float64Array.of(4, 0, 0), pruned: Uint8Array.of(1, 0, 0) };
    expect(swapPass(none, { least: 0, window: 10, misses: 20, allowed: () => () => true })).toEqual({
      swaps: 0,
      gain: 0,
    });
    // Restoring 0 gains 25; pruning 2 costs least.
    const one = { B: diagonal(25, 9, 1), v: Float64Array.of(25, 0, 0), pruned: Uint8Array.of(1, 0, 0) };
    expect(swapPass(one, { least: 0, window: 1, misses: 1, allowed: () => () => true })).toEqual({
      swaps: 1,
      gain: 24,
    });
    expect([...one.pruned]).toEqual([0, 0, 1]);
  });
});

describe("CBS-S against brute force", () => {
  test.each(["best", "published"] as const)(
    "the %s search never loses to its start and is often optimal",
    async (search) => {
      let optimal = 0;
      const problems = 30;
      for (let seed = 0; seed < problems; seed++) {
        const problem = randomProblem({ n: 6, p: 12, keep: 5, seed });
        const H = await denseHessian(problem);
        const mask = await cbsSelector({ search, draws: 10, starts: 4 }).select(problem, ctx);
        const found = combinatorial(problem, H, mask);
        expect(found).toBeLessThanOrEqual(combinatorial(problem, H, magnitudeStart(problem)) + 1e-12);
        let best = Number.POSITIVE_INFINITY;
        for (const other of masks(12, 5)) best = Math.min(best, combinatorial(problem, H, other));
        expect(found).toBeGreaterThanOrEqual(best - 1e-10);
        if (found <= best + 1e-9) optimal++;
      }
      // Measured: 26 and 23 of 30. Kernels that round otherwise may end one or two problems elsewhere.
      expect(optimal).toBeGreaterThanOrEqual(search === "best" ? 24 : 21);
    },
  );

  test("its trace is f/2 after every round, falling, and stats say where it began and ended", async () => {
    const problem = randomProblem({ n: 6, p: 14, keep: 6 });
    const H = await denseHessian(problem);
    const { trace = [], stats, mask } = await cbs({ pool: 2, steps: 1 }).solve(problem, ctx);
    expect(stats["combinatorialStart"]).toBeCloseTo(combinatorial(problem, H, magnitudeStart(problem)), 10);
    expect(stats["combinatorial"]).toBeCloseTo(combinatorial(problem, H, mask), 10);
    expect(stats["rounds"]).toBeGreaterThan(1);
    for (let round = 1; round < trace.length; round++) expect(trace[round]!).toBeLessThan(trace[round - 1]!);
    // Without a first-order term Q of the pruned weights alone is f/2.
    expect(stats["selectionObjective"]).toBeCloseTo(stats["combinatorial"]! / 2, 12);
  });

  test("in steps it ends at the exact minimiser on its mask", async () => {
    for (let seed = 0; seed < 5; seed++) {
      const problem = randomProblem({ n: 8, p: 14, keep: 4, seed });
      const many = await cbs({ steps: 5 }).solve(problem, ctx);
      expect(many.stats["steps"]).toBe(5);
      expect(countKept(many.mask)).toBe(4);
      const exact = exactOn(problem, await denseHessian(problem), many.mask);
      exact.forEach((value, j) => {
        expect(many.w.data[j]).toBeCloseTo(value, 9);
      });
    }
  });

  test("steps lower what is left after the update on problems with many weights for the rows", async () => {
    let [one, many] = [0, 0];
    for (let seed = 0; seed < 20; seed++) {
      const problem = randomProblem({ n: 12, p: 40, keep: 6, seed });
      one += (await cbs({ steps: 1 }).solve(problem, ctx)).objective;
      many += (await cbs().solve(problem, ctx)).objective;
    }
    // A statement about the mean of 20 problems; on single ones the greedy path may lose.
    expect(many).toBeLessThan(0.9 * one);
  });

  test("where H is diagonal, steps end at the optimum, which magnitudes alone would miss", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const problem = randomProblem({ n: 12, p: 12, keep: 4, seed });
      const H = await denseHessian(problem);
      const diagonal = matrix(12, 12, new Float64Array(144));
      for (let j = 0; j < 12; j++) diagonal.data[j * 13] = Math.sqrt(12 * H.data[j * 13]!);
      const curvature = factorCurvature(denseFactor({ rows: diagonal, damping: 0, kernels: ctx.kernels }));
      const scores = problem.w.data.map((w, j) => H.data[j * 13]! * w * w);
      const { mask } = await cbs({ rounds: 0 }).solve({ ...problem, curvature }, ctx);
      expect(mask).toEqual(problem.constraint.select(scores));
    }
  });

  test.each([
    { n: 5, p: 12, keep: 6 }, // fewer rows than kept weights
    { n: 20, p: 12, keep: 6, dead: [...Array(12).keys()] }, // weights that no gradient reaches
  ])("without damping names pivot and damping before any product where H is singular: %j", async (spec) => {
    for (const steps of [1, 4]) {
      const problem = randomProblem({ ...spec, ridge: 0 });
      let products = 0;
      const counted = counting(problem, () => products++);
      await expect(cbs({ steps, rounds: 0 }).solve(counted, ctx)).rejects.toThrow(
        expect.objectContaining({
          code: "ERR_SINGULAR",
          message: expect.stringMatching(/pivot \d.*damping 0\).*ridge/),
        }),
      );
      // What the selection of the first step looks at.
      expect(products).toBeLessThanOrEqual(2);
    }
  });

  test("on Gram matrices of columns finds what it finds on columns", async () => {
    for (let seed = 0; seed < 5; seed++) {
      const problem = randomProblem({ n: 8, p: 14, keep: 4, seed });
      const selector = cbsSelector({ start: seed % 2 === 0 ? "magnitude" : "saliency" });
      expect(await selector.select(withoutColumns(problem), ctx)).toEqual(await selector.select(problem, ctx));
    }
  });

  test("keeps to the eligible weights of a constraint", async () => {
    const eligible = Uint8Array.of(0, 1, 1, 0, 1, 1, 1, 0, 1, 1);
    const base = keepCount({ count: 10, keep: 3 });
    const constraint = {
      ...base,
      count: { keep: 3, eligible },
      select: (score: Float32Array | Float64Array) =>
        base.select(score.map((value, j) => (eligible[j] === 1 ? value : Number.NEGATIVE_INFINITY))),
    };
    const problem = randomProblem({ n: 6, p: 10, keep: 3, constraint });
    const mask = await cbsSelector({ draws: 6, starts: 7 }).select(problem, ctx);
    expect(countKept(mask)).toBe(3);
    mask.forEach((bit, j) => {
      expect(bit <= eligible[j]!).toBe(true);
    });
  });

  test("asks a constraint that does not only count before every swap", async () => {
    const { count: _, ...base } = keepCount({ count: 10, keep: 4 });
    const frozen = { ...base, canSwap: () => () => false };
    const problem = randomProblem({ n: 6, p: 10, keep: 4, constraint: frozen });
    expect(await cbsSelector().select(problem, ctx)).toEqual(magnitudeStart(problem));
    const free = randomProblem({ n: 6, p: 10, keep: 4, constraint: base });
    const model = await cbsModel(free, ctx);
    const moved = await cbsSearch({ model, start: magnitudeStart(free) }, ctx);
    expect(await cbsValue(model, moved.mask)).toBeLessThan(await cbsValue(model, magnitudeStart(free)));
  });

  test("refuses curvatures without columns", async () => {
    const problem = randomProblem({ n: 4, p: 6, keep: 3 });
    const { columns: _, ...view } = problem.curvature.factor!();
    const bare = { ...problem, curvature: { ...problem.curvature, factor: () => view } };
    await expect(cbs().solve(bare, ctx)).rejects.toThrow(/single columns/);
  });
});

describe("random magnitude partitions", () => {
  test("keep exactly k, differ by draw, and in each chunk keep the largest", () => {
    const problem = randomProblem({ n: 3, p: 100, keep: 30 });
    const [a, b] = [partitionStart(problem, createRng(1)), partitionStart(problem, createRng(2))];
    expect([countKept(a), countKept(b)]).toEqual([30, 30]);
    expect(a).not.toEqual(b);
    expect(partitionStart(problem, createRng(1))).toEqual(a);
    const mean = (mask: Uint8Array, bit: number): number => {
      const chosen = [...problem.w.data].filter((_, j) => mask[j] === bit).map(Math.abs);
      return chosen.reduce((sum, value) => sum + value, 0) / chosen.length;
    };
    expect(mean(a, 1)).toBeGreaterThan(2 * mean(a, 0));
  });
});
