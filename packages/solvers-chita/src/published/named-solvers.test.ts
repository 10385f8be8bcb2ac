import {
  type Constraint,
  createRng,
  createRunContext,
  factorCurvature,
  keptWeights,
  matrix,
  objective,
  type Problem,
  type Solver,
  type Vec,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import { bruteForce, denseHessian, exactOn, problemFrom, randomProblem, rowKinds } from "../problem.test-support.ts";
import { chitaBlock, chitaBso, chitaCd, chitaIht, ridgeRefit, startOf } from "./named-solvers.ts";

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

describe.each(Object.entries(solvers))("%s on awkward problems", (_name, solver) => {
  test.each(rowKinds)(
    "keeps exactly k weights and stays finite, with and without ridge: rows with %s",
    async (kind) => {
      for (const spec of [
        { n: 6, p: 14, keep: 4 },
        { n: 6, p: 14, keep: 9 },
        { n: 20, p: 10, keep: 4 },
      ]) {
        for (const ridge of [0, 0.1]) {
          for (const dtype of ["f64", "f32"] as const) {
            for (const firstOrder of [false, true]) {
              const problem = randomProblem({ ...spec, kind, ridge, dtype, firstOrder });
              const { w, mask, objective: value } = await solver.solve(problem, ctx);
              expect(kept(problem, mask)).toHaveLength(spec.keep);
              for (let j = 0; j < spec.p; j++) if (mask[j] === 0) expect(w.data[j]).toBe(0);
              expect(w.data.every(Number.isFinite)).toBe(true);
              expect(value).toBe(await objective(problem, w));
            }
          }
        }
      }
    },
  );

  test("keeps exactly k of tied weights", async () => {
    const rows = matrix(4, 8, new Float64Array(32).fill(1));
    for (const keep of [1, 5, 7]) {
      const w = matrix(1, 8, Float64Array.of(1, -1, 1, -1, 1, -1, 1, -1));
      const problem = problemFrom({ rows, w, keep, ridge: 0.1 });
      expect(kept(problem, (await solver.solve(problem, ctx)).mask)).toHaveLength(keep);
    }
  });

  test("stops when it is aborted, after reporting what it did", async () => {
    const problem = randomProblem({ n: 8, p: 20, keep: 6, firstOrder: true });
    const aborted = createRunContext({ signal: AbortSignal.abort() });
    await expect(solver.solve(problem, aborted)).rejects.toMatchObject({ code: "ERR_ABORTED" });
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

  test.each([1, 2, 4])(
    "without a slope equals the joint OBS update w - H^-1 E_P (E_P' H^-1 E_P)^-1 w_P of %i pruned weights",
    async (count) => {
      const p = 7;
      const problem = randomProblem({ n: 4, p, keep: p - count, ridge: 0.3 });
      const { mask } = startOf(problem).support;
      const pruned = [...mask.keys()].filter((j) => mask[j] === 0);
      const H = await denseHessian(problem);
      // H^-1 e_q is the exact minimiser of 1/2 x'Hx - e_q'x over all weights.
      const inverse = await Promise.all(
        pruned.map(async (q) => {
          const zero = { ...problem, w: matrix(1, p, new Float64Array(p)) };
          const gradient = matrix(1, p, new Float64Array(p));
          gradient.data[q] = -1;
          return (await exactOn({ ...zero, gradient }, [...Array(p).keys()], H)).w.data;
        }),
      );
      const l = matrix(count, count, new Float64Array(count * count));
      inverse.forEach((column, r) => {
        for (let s = 0; s < count; s++) l.data[r * count + s] = column[pruned[s]!]!;
      });
      const multipliers = matrix(
        count,
        1,
        Float64Array.from(pruned, (q) => problem.w.data[q]!),
      );
      expect(ctx.kernels.cholesky(l)).toBe(-1);
      ctx.kernels.triangularSolve({ l, b: multipliers });
      ctx.kernels.triangularSolve({ l, transpose: true, b: multipliers });
      const { w } = await chitaBso().solve(problem, ctx);
      w.data.forEach((value, j) => {
        const step = inverse.reduce((sum, column, r) => sum + multipliers.data[r]! * column[j]!, 0);
        expect(Math.abs(value - (problem.w.data[j]! - step))).toBeLessThan(1e-12); // f64 solves of order 1
      });
    },
  );

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

  test("never lets Q rise from sweep to sweep, with and without a slope, in f32 and in f64", async () => {
    for (const dtype of ["f64", "f32"] as const) {
      for (const firstOrder of [false, true]) {
        const problem = randomProblem({ n: 15, p: 12, keep: 6, ridge: 0.1, firstOrder, dtype });
        const { trace = [], objective: value } = await chitaCd({ maxSweeps: 30, tolerance: 0 }).solve(problem, ctx);
        // Lengthened steps are differences of residuals, whose rounding grows with their length.
        const rounding = (dtype === "f64" ? 1e-11 : 1e-6) * trace[0]!;
        for (let i = 1; i < trace.length; i++) expect(trace[i]!).toBeLessThanOrEqual(trace[i - 1]! + rounding);
        expect(Math.abs(trace.at(-1)! - value)).toBeLessThanOrEqual(rounding);
      }
    }
  });

  test("after no sweep has the weights as they were, and says that the limit came first", async () => {
    const problem = randomProblem({ n: 15, p: 12, keep: 6 });
    const { w, status } = await chitaCd({ maxSweeps: 0 }).solve(problem, ctx);
    expect(w.data).toEqual(startOf(problem).w);
    expect(status).toBe("max-iterations");
  });

  test("one sweep over one weight is the formula (2 lambda w + X'r + S b - alpha) / (S + 2 lambda) of the public code", async () => {
    // n times Q with lambda = ridge n / 2, X = G, y = X w0, alpha = n g; S = ||X_j||^2.
    const [n, ridge] = [5, 0.3];
    const problem = randomProblem({ n, p: 4, keep: 1, ridge, firstOrder: true });
    // With a slope the support is the one that IHT finds.
    const j = (await chitaIht().solve(problem, ctx)).mask.indexOf(1);
    const view = problem.curvature.factor!();
    const X = matrix(n, 4, new Float64Array(4 * n));
    await view.columns!(Uint32Array.of(0, 1, 2, 3), X);
    const [w0, lambda] = [problem.w.data, (ridge * n) / 2];
    const { w } = await chitaCd({ maxSweeps: 1 }).solve(problem, ctx);
    let [S, Xr] = [0, 0];
    for (let i = 0; i < n; i++) {
      // r = y - X b with b = w0 on the support, 0 elsewhere.
      let r = 0;
      for (let c = 0; c < 4; c++) if (c !== j) r += X.data[i * 4 + c]! * w0[c]!;
      S += X.data[i * 4 + j]! ** 2;
      Xr += X.data[i * 4 + j]! * r;
    }
    const alpha = n * problem.gradient!.data[j]!;
    expect(w.data[j!]).toBeCloseTo((2 * lambda * w0[j]! + Xr + S * w0[j]! - alpha) / (S + 2 * lambda), 12);
  });

  test("needs single columns, and says so", async () => {
    const problem = randomProblem({ n: 6, p: 8, keep: 3 });
    const { columns: _, rowGram: __, ...products } = problem.curvature.factor!();
    const blind = { ...problem, curvature: factorCurvature(products) };
    await expect(chitaCd().solve(blind, ctx)).rejects.toMatchObject({ code: "ERR_INCOMPATIBLE", fault: "input" });
    await expect(chitaBso({ form: "dual" }).solve(blind, ctx)).rejects.toMatchObject({ code: "ERR_INCOMPATIBLE" });
    // The others do without.
    for (const solver of [chitaIht(), chitaBso(), chitaBlock({ blockSize: 3 })]) {
      const [without, withColumns] = [await solver.solve(blind, ctx), await solver.solve(problem, ctx)];
      expect(without.objective / withColumns.objective).toBeCloseTo(1, 3); // IHT stops at a relative gain of 1e-5
    }
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
        // Values over the active set and over all weights are the same sums in another order.
        const rounding = 1e-13 * Math.abs(trace[0]!);
        for (let i = 1; i < trace.length; i++) expect(trace[i]!).toBeLessThanOrEqual(trace[i - 1]! + rounding);
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

describe("iterative hard thresholding at its limits", () => {
  test("says when the limit of steps came first", async () => {
    const problem = randomProblem({ n: 20, p: 30, keep: 6, ridge: 0.5 });
    const cut = await chitaIht({ maxIterations: 2 }).solve(problem, ctx);
    expect([cut.status, cut.stats["iterations"]]).toEqual(["max-iterations", 2]);
    expect((await chitaIht().solve(problem, ctx)).status).toBe("converged");
  });

  test("finds the same weights on an active set and on all weights at once", async () => {
    // A view whose products cost less than gathered columns makes it work on everything.
    for (let seed = 0; seed < 5; seed++) {
      const problem = randomProblem({ n: 30, p: 20, keep: 4, ridge: 0.5, seed });
      const whole = { ...problem, curvature: factorCurvature({ ...problem.curvature.factor!(), productCost: 1 }) };
      const options = { tolerance: 0, maxIterations: 500 };
      const [active, all] = [await chitaIht(options).solve(problem, ctx), await chitaIht(options).solve(whole, ctx)];
      expect(active.objective / all.objective).toBeLessThan(1.2);
      if (active.mask.join() === all.mask.join()) expect(active.objective / all.objective).toBeCloseTo(1, 6);
    }
  });

  test("keeps to the weights that the constraint allows", async () => {
    const problem = randomProblem({ n: 10, p: 16, keep: 4, firstOrder: true });
    const banned = (score: Vec): Vec => score.map((value, j) => (j % 2 === 0 ? value : Number.NEGATIVE_INFINITY));
    const among = (constraint: Constraint): Constraint => ({
      ...constraint,
      select: (score) => constraint.select(banned(score)),
      relax: (factor) => among(constraint.relax!(factor)),
    });
    const { mask } = await chitaIht().solve({ ...problem, constraint: among(problem.constraint) }, ctx);
    expect(kept(problem, mask)).toHaveLength(4);
    expect(kept(problem, mask).every((j) => j % 2 === 0)).toBe(true);
  });
});

describe("chita.block", () => {
  test("with a slope, layers and blocks without kept weights solves each block alone", async () => {
    const layers = [
      { name: "a", start: 0, size: 7 },
      { name: "b", start: 7, size: 5 },
    ];
    const problem = { ...randomProblem({ n: 9, p: 12, keep: 3, ridge: 0.2, firstOrder: true }), layers };
    const { w, mask, stats } = await chitaBlock({ blockSize: 3 }).solve(problem, ctx);
    // Two blocks of 3 in seven weights, the last with one more, and one in five.
    const ranges = [
      [0, 3],
      [3, 7],
      [7, 12],
    ] as const;
    expect(stats["blocks"]).toBe(ranges.length);
    const H = await denseHessian(problem);
    for (const [start, end] of ranges) {
      const own = { ...problem, w: matrix(1, 12, new Float64Array(12)) };
      own.w.data.set(problem.w.data.subarray(start, end), start);
      const columns = kept(problem, mask).filter((j) => j >= start && j < end);
      if (columns.length === 0) continue;
      const exact = await exactOn(own, columns, H);
      for (const j of columns) expect(Math.abs(w.data[j]! - exact.w.data[j]!)).toBeLessThan(1e-10); // f64 solves
    }
  });

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
