import { createRng, createRunContext, keptWeights, matrix, objective, type Problem, type Solver } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { chitaBlock, chitaBso, chitaCd, chitaIht, ridgeRefit, startOf } from "./named-solvers.ts";
import { bruteForce, denseHessian, exactOn, problemFrom, randomProblem } from "./problem.test-support.ts";

const ctx = createRunContext();
const solvers: Readonly<Record<string, Solver>> = {
  "chita.iht": chitaIht(),
  "chita.cd": chitaCd(),
  "chita.bso": chitaBso(),
  "chita.block": chitaBlock({ blockSize: 5 }),
};
const kept = (problem: Problem, mask: Uint8Array): number[] => [...keptWeights(problem.units, mask)];

describe.each(Object.entries(solvers))("%s", (_name, solver) => {
  test.each([
    { n: 6, p: 10, keep: 3 },
    { n: 12, p: 9, keep: 4, firstOrder: true },
    { n: 4, p: 10, keep: 6, ridge: 0.5, dtype: "f32" as const },
  ])("keeps exactly k weights, zeros elsewhere, and reports the objective it reached: %j", async (spec) => {
    const problem = randomProblem(spec);
    const before = problem.w.data.slice();
    const { w, mask, objective: value } = await solver.solve(problem, ctx);
    expect(kept(problem, mask)).toHaveLength(spec.keep);
    for (let j = 0; j < spec.p; j++) if (mask[j] === 0) expect(w.data[j]).toBe(0);
    expect(value).toBe(await objective(problem, w));
    expect(problem.w.data).toEqual(before);
  });

  test("k = 0 gives zeros and k = p without a slope gives the dense weights back", async () => {
    const none = randomProblem({ n: 5, p: 6, keep: 0 });
    expect((await solver.solve(none, ctx)).w.data.every((value) => value === 0)).toBe(true);
    const all = randomProblem({ n: 5, p: 6, keep: 6 });
    const { w, objective: value } = await solver.solve(all, ctx);
    expect(value).toBeLessThan(1e-20); // rounding of zero
    all.w.data.forEach((dense, j) => {
      expect(w.data[j]).toBeCloseTo(dense, 10);
    });
  });
});

describe("the exact ridge back-solve", () => {
  test.each(["primal", "dual", "cg"] as const)(
    "in its %s form equals elimination on the dense Hessian",
    async (form) => {
      for (const spec of [
        { n: 5, p: 12, keep: 8 },
        { n: 20, p: 12, keep: 5 },
        { n: 5, p: 12, keep: 8, firstOrder: true },
      ]) {
        const problem = randomProblem(spec);
        const { mask } = startOf(problem).support;
        const exact = await exactOn(problem, kept(problem, mask), await denseHessian(problem));
        const w = await ridgeRefit({ form }).update(problem, mask, ctx);
        // f64 solves of condition number below 1e4, and conjugate gradients to 1e-12.
        w.data.forEach((value, j) => {
          expect(Math.abs(value - exact.w.data[j]!)).toBeLessThan(1e-9);
        });
      }
    },
  );

  test("without a slope equals the joint OBS update w - H^-1 E_P (E_P' H^-1 E_P)^-1 w_P", async () => {
    const problem = randomProblem({ n: 4, p: 6, keep: 5, ridge: 0.3 });
    const { mask } = startOf(problem).support;
    const pruned = mask.indexOf(0);
    // One pruned weight q: delta w = -w_q / [H^-1]_qq * H^-1 e_q. H^-1 e_q is the exact minimiser of 1/2 x'Hx - e_q'x.
    const H = await denseHessian(problem);
    const zero = { ...problem, w: matrix(1, 6, new Float64Array(6)) };
    const minusUnit = matrix(1, 6, new Float64Array(6));
    minusUnit.data[pruned] = -1;
    const column = (await exactOn({ ...zero, gradient: minusUnit }, [0, 1, 2, 3, 4, 5], H)).w.data;
    const { w } = await chitaBso().solve(problem, ctx);
    const ratio = problem.w.data[pruned]! / column[pruned]!;
    w.data.forEach((value, j) => {
      if (j !== pruned) expect(Math.abs(value - (problem.w.data[j]! - ratio * column[j]!))).toBeLessThan(1e-12);
    });
  });

  test("says which pivot failed when the columns are dependent and the ridge is 0", async () => {
    const rows = matrix(3, 3, Float64Array.of(1, 1, 0, 2, 2, 0, 3, 3, 1));
    const problem = problemFrom({ rows, w: matrix(1, 3, Float64Array.of(3, 2, 1)), keep: 2, ridge: 0 });
    await expect(chitaBso({ form: "primal" }).solve(problem, ctx)).rejects.toMatchObject({ code: "ERR_SINGULAR" });
    const { objective: value } = await chitaBso({ form: "cg" }).solve(problem, ctx);
    expect(value).toBeGreaterThanOrEqual(0);
  });
});

describe("coordinate descent", () => {
  test("from any support converges to the exact back-solve on it", async () => {
    const problem = randomProblem({ n: 15, p: 12, keep: 6, ridge: 0.1 });
    const exact = await chitaBso({ form: "primal" }).solve(problem, ctx);
    const { objective: value, status } = await chitaCd({ maxSweeps: 2000, tolerance: 0 }).solve(problem, ctx);
    expect(status).toBe("converged"); // no sweep improves on rounding any more
    expect(value / exact.objective - 1).toBeLessThan(1e-12);
  });

  test("with the published residual is magnitude pruning when there is no first-order term", async () => {
    const problem = randomProblem({ n: 15, p: 12, keep: 6 });
    const { w } = await chitaCd({ residual: "published" }).solve(problem, ctx);
    expect(w.data).toEqual(startOf(problem).w);
  });
});

describe("iterative hard thresholding", () => {
  test("never lets the objective rise, and ends no higher than magnitude pruning", async () => {
    for (let seed = 0; seed < 10; seed++) {
      for (const firstOrder of [false, true]) {
        const problem = randomProblem({ n: 8, p: 30, keep: 6, seed, firstOrder });
        const { trace = [], objective: value } = await chitaIht().solve(problem, ctx);
        for (let i = 1; i < trace.length; i++) expect(trace[i]!).toBeLessThanOrEqual(trace[i - 1]!);
        const magnitude = await objective(problem, matrix(1, 30, startOf(problem).w));
        expect(value).toBeLessThanOrEqual(magnitude);
        expect(trace.length).toBeGreaterThan(2);
      }
    }
  });

  test("is near the brute-force optimum of small problems", async () => {
    let ratio = 0;
    const runs = 12;
    for (let seed = 0; seed < runs; seed++) {
      const problem = randomProblem({ n: 10, p: 10, keep: 4, seed, ridge: 0.1 });
      const { mask } = await chitaIht().solve(problem, ctx);
      const refitted = (await exactOn(problem, kept(problem, mask), await denseHessian(problem))).value;
      const { value: best } = await bruteForce(problem, 4);
      expect(refitted).toBeGreaterThanOrEqual(best * (1 - 1e-9)); // nothing beats brute force but rounding
      ratio += refitted / best / runs;
    }
    // A heuristic: on random problems its support costs at most half as much again on average (magnitude: about twice).
    expect(ratio).toBeLessThan(1.5);
  });
});

describe("chita.block", () => {
  test("equals the exact back-solve when one block covers all, and solves each block alone when several do", async () => {
    const problem = randomProblem({ n: 9, p: 12, keep: 7, ridge: 0.2 });
    const whole = await chitaBlock({ blockSize: 12 }).solve(problem, ctx);
    expect(whole.objective).toBeCloseTo((await chitaBso().solve(problem, ctx)).objective, 12);
    const halves = await chitaBlock({ blockSize: 6 }).solve(problem, ctx);
    const H = await denseHessian(problem);
    for (const [start, end] of [
      [0, 6],
      [6, 12],
    ] as const) {
      const own = { ...problem, w: matrix(1, 12, new Float64Array(12)) };
      own.w.data.set(problem.w.data.subarray(start, end), start);
      const columns = kept(problem, halves.mask).filter((j) => j >= start && j < end);
      const exact = await exactOn(own, columns, H);
      for (const j of columns) expect(Math.abs(halves.w.data[j]! - exact.w.data[j]!)).toBeLessThan(1e-10); // f64 solves
    }
  });

  test("blocks stay inside their layers", async () => {
    const { blockRanges } = await import("./block-refit.ts");
    const layers = [
      { name: "a", start: 0, size: 10 },
      { name: "b", start: 10, size: 3 },
    ];
    expect(blockRanges(layers, 4)).toEqual([
      [0, 5],
      [5, 10],
      [10, 13],
    ]);
    expect(blockRanges(layers, "layer")).toEqual([
      [0, 10],
      [10, 13],
    ]);
  });
});

test("permuting the weights permutes the answer", async () => {
  const rng = createRng("permutation");
  const [n, p] = [8, 10];
  const order = Array.from({ length: p }, (_, j) => j).sort(() => rng.next() - 0.5);
  const data = Float64Array.from({ length: n * p }, () => rng.normal());
  const w = Float64Array.from({ length: p }, () => rng.normal());
  const permuted = (row: Float64Array): Float64Array => Float64Array.from(order, (j) => row[j]!);
  const shuffled = new Float64Array(n * p);
  for (let i = 0; i < n; i++) shuffled.set(permuted(data.subarray(i * p, (i + 1) * p)), i * p);
  // Not chita.block: its blocks are ranges of positions. Coordinate descent visits another order, so it runs to the end.
  for (const solver of [chitaIht(), chitaBso(), chitaCd({ tolerance: 0, maxSweeps: 5000 })]) {
    const straight = await solver.solve(
      problemFrom({ rows: matrix(n, p, data), w: matrix(1, p, w), keep: 4, ridge: 0.1 }),
      ctx,
    );
    const other = await solver.solve(
      problemFrom({ rows: matrix(n, p, shuffled), w: matrix(1, p, permuted(w)), keep: 4, ridge: 0.1 }),
      ctx,
    );
    // The sums run in another order.
    permuted(straight.w.data as Float64Array).forEach((value, j) => {
      expect(Math.abs(value - other.w.data[j]!)).toBeLessThan(1e-6);
    });
  }
});
