import { createRunContext, factorCurvature, matrix, type Problem, referenceKernels } from "@secateur/core";
import { denseFactor } from "@secateur/fisher";
import { describe, expect, test } from "vitest";
import { bruteForce, denseHessian, exactOn, randomProblem } from "../problem.test-support.ts";
import { type Exchanged, type ExchangeOptions, exchange } from "./exchange.ts";
import { storedModel } from "./row-space.test-support.ts";
import { rowSpace } from "./row-space.ts";

const ctx = createRunContext();

async function exchangeFrom(problem: Problem, columns: Uint32Array, options: ExchangeOptions): Promise<Exchanged> {
  const space = await rowSpace(storedModel(problem), 1e-8);
  return exchange({ space, columns, candidates: problem.w.data, ...options }, ctx);
}

const largestMagnitudes = (problem: Problem, keep: number): Uint32Array =>
  ctx.kernels.largest(problem.w.data.map(Math.abs), keep);

describe("exchange", () => {
  test.each([
    { n: 8, p: 40, keep: 10, pool: 3 },
    { n: 8, p: 40, keep: 10, pool: 64 },
    { n: 8, p: 30, keep: 24, pool: 4 },
    { n: 12, p: 12, keep: 5, pool: 2, firstOrder: true },
    { n: 6, p: 30, keep: 20, pool: 5, firstOrder: true },
  ])("goes from the exact minimum on its first support to that on its last, never up: %j", async (spec) => {
    for (let seed = 0; seed < 4; seed++) {
      const problem = randomProblem({ ...spec, ridge: 0.1, seed });
      const H = await denseHessian(problem);
      const columns = largestMagnitudes(problem, spec.keep);
      const { columns: last, w, trace } = await exchangeFrom(problem, columns, { pool: spec.pool });
      expect(last).toHaveLength(spec.keep);
      expect([...last]).toEqual([...new Set(last)].sort((a, b) => a - b));
      // f64 systems of condition number up to about 1e3; values of order 1.
      expect(trace[0]).toBeCloseTo((await exactOn(problem, [...columns], H)).value, 10);
      for (let round = 1; round < trace.length; round++) expect(trace[round]).toBeLessThanOrEqual(trace[round - 1]!);
      const exact = await exactOn(problem, [...last], H);
      expect(trace.at(-1)).toBeCloseTo(exact.value, 10);
      w.forEach((value, j) => {
        expect(value).toBeCloseTo(exact.w.data[j]!, 9);
      });
    }
  });

  test("small pools reach over rounds what one small pool cannot", async () => {
    let [one, many] = [0, 0];
    for (let seed = 0; seed < 10; seed++) {
      const problem = randomProblem({ n: 10, p: 40, keep: 10, ridge: 0.1, seed });
      const columns = largestMagnitudes(problem, 10);
      one += (await exchangeFrom(problem, columns, { pool: 4, maxRounds: 1 })).trace.at(-1)!;
      many += (await exchangeFrom(problem, columns, { pool: 4, maxRounds: 6 })).trace.at(-1)!;
    }
    expect(many).toBeLessThan(one);
  });

  test("from magnitudes alone comes near the optimum of small problems, with everything in the pool", async () => {
    let found = 0;
    for (let seed = 0; seed < 20; seed++) {
      const problem = randomProblem({ n: 7, p: 12, keep: 4, ridge: 0.1, seed });
      const { trace } = await exchangeFrom(problem, largestMagnitudes(problem, 4), { pool: 12 });
      const { value } = await bruteForce(problem, 4);
      expect(trace.at(-1)).toBeGreaterThan(value * (1 - 1e-9)); // rounding
      if (trace.at(-1)! < value * (1 + 1e-9)) found++;
    }
    expect(found).toBeGreaterThanOrEqual(18); // a tabu search is a heuristic
  });

  test("replaces columns by near copies of them, round after round, and ends at the exact minimum on its support", async () => {
    for (let seed = 0; seed < 6; seed++) {
      const half = 12;
      const plain = randomProblem({ n: 8, p: 2 * half, keep: 8, ridge: 0.1, seed });
      const rows = matrix(8, 2 * half, new Float64Array(16 * half));
      await plain.curvature.factor!().columns!(
        Uint32Array.from({ length: 2 * half }, (_, j) => j),
        rows,
      );
      // Column j + 12 is column j but for a millionth, so that either of a pair makes the other worth nothing.
      for (let i = 0; i < 8; i++) {
        const row = rows.data.subarray(i * 2 * half, (i + 1) * 2 * half);
        for (let j = 0; j < half; j++) row[half + j] = row[j]! * (1 + 1e-6 * (i + j));
      }
      const curvature = factorCurvature(denseFactor({ rows, damping: 1e-4, kernels: referenceKernels }));
      const problem = { ...plain, curvature };
      const found = await exchangeFrom(problem, largestMagnitudes(problem, 8), { pool: 3, maxRounds: 8 });
      const exact = await exactOn(problem, [...found.columns], await denseHessian(problem));
      // A condition number of some 1e5.
      expect(found.trace.at(-1)! / exact.value).toBeCloseTo(1, 6);
      expect(found.swaps).toBeGreaterThan(0);
    }
  });
});
