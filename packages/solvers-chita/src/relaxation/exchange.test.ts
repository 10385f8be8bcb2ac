import { createRunContext, type Problem } from "@secateur/core";
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
});
