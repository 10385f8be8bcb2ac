import { createRng, createRunContext, factorCurvature, matrix, type Problem } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { chita } from "../chita.ts";
import { bruteForce, countingContext, problemFrom, randomProblem } from "../problem.test-support.ts";
import { storedModel } from "./row-space.test-support.ts";
import { searchSupport } from "./search.ts";

const ctx = createRunContext();
const keep = 2;
const task = { keep, pool: 64, rounds: 4, iterations: 20 };

/** More than four times as many weights as are kept, and rows: the search runs over some of the columns. */
const few = { n: 2, p: 24, keep, ridge: 0.05 };

/** Large weights without curvature belong to the support, and only their magnitude says so. */
function withIdleLargeWeights(seed: number): Problem {
  const rng = createRng(seed);
  const [n, p] = [2, 40];
  const rows = matrix(
    n,
    p,
    Float64Array.from({ length: n * p }, (_, e) => (e % p < 6 ? 0 : 3 * rng.normal())),
  );
  const w = matrix(
    1,
    p,
    Float64Array.from({ length: p }, (_, j) => (j < 6 ? 0.9 + 0.02 * j : 0.8 * rng.normal())),
  );
  return problemFrom({ rows, w, keep, ridge: 0.5 });
}

/** Weight 0 alone could do what all others do together, but is small: neither its saliency nor its magnitude shows it. */
function withSubstitute(seed: number): Problem {
  const rng = createRng(seed);
  const { n, p } = few;
  const rows = matrix(
    n,
    p,
    Float64Array.from({ length: n * p }, (_, e) => (e % p === 0 ? 10 : 1 + 0.1 * rng.normal())),
  );
  const w = matrix(
    1,
    p,
    Float64Array.from({ length: p }, (_, j) => (j === 0 ? 0.001 : 0.3 + 0.01 * rng.normal())),
  );
  return problemFrom({ rows, w, keep, ridge: 0.05 });
}

describe("the search over some of the columns", () => {
  test.each([
    ["random", (seed: number) => randomProblem({ ...few, seed })],
    ["uneven columns", (seed: number) => randomProblem({ ...few, seed, kind: "uneven columns" })],
    ["a slope", (seed: number) => randomProblem({ ...few, seed, firstOrder: true })],
    ["large weights without curvature", withIdleLargeWeights],
    ["a weight that joins later", withSubstitute],
  ])("finds what brute force finds, and its bound is never above that: %s", async (_, make) => {
    let found = 0;
    for (let seed = 0; seed < 8; seed++) {
      const problem = make(seed);
      const { value } = await bruteForce(problem, keep);
      const { lowerBound, columns } = await searchSupport({ model: storedModel(problem), ...task }, ctx);
      const { objective, mask } = await chita().solve(problem, ctx);
      // f64 sums and systems of condition numbers up to some 1e4.
      const rounding = 1e-8 * Math.abs(value);
      expect(lowerBound).toBeLessThanOrEqual(value + rounding);
      expect([...columns]).toEqual([...mask.keys()].filter((j) => mask[j] === 1));
      expect(objective).toBeGreaterThanOrEqual(value - rounding);
      if (objective <= value + 1e-6 * Math.abs(value)) found++;
    }
    expect(found).toBeGreaterThanOrEqual(7); // a tabu search is a heuristic
  });

  test("a column that was left out joins where its weight would be among the largest", async () => {
    const problem = withSubstitute(0);
    const { columns, iterations } = await searchSupport({ model: storedModel(problem), ...task }, ctx);
    expect([...columns]).toContain(0);
    expect(iterations).toBeLessThanOrEqual(task.iterations);
    // Without iterations left nothing joins, and the weights found are feasible all the same.
    const hasty = await searchSupport({ model: storedModel(problem), ...task, iterations: 1 }, ctx);
    expect(hasty.columns).toHaveLength(keep);
    expect(hasty.iterations).toBe(1);
  });

  test("frees the kernels' memory where columns join, also when it is aborted", async () => {
    for (const after of [1, 2, 3, 4, Number.POSITIVE_INFINITY]) {
      const controller = new AbortController();
      let events = 0;
      const onEvent = (): void => {
        if (++events === after) controller.abort();
      };
      const { ctx: counted, live } = countingContext({ signal: controller.signal, onEvent });
      await chita()
        .solve(withSubstitute(1), counted)
        .catch((error: unknown) => expect(error).toMatchObject({ code: "ERR_ABORTED" }));
      expect(live()).toBe(0);
    }
  });

  test("rows whose products cost more than their number says are searched as a whole where little is pruned", async () => {
    const problem = randomProblem({ n: 2, p: 24, keep: 14, ridge: 0.05 });
    const view = problem.curvature.factor!();
    const curvature = factorCurvature({ ...view, productCost: 5 * view.rows * view.dim });
    const { mask, objective } = await chita().solve({ ...problem, curvature }, ctx);
    expect(mask.reduce((sum, bit) => sum + bit, 0)).toBe(14);
    expect(objective).toBe((await chita().solve(problem, ctx)).objective);
  });

  test("rows that cannot be read leave no memory behind", async () => {
    const problem = randomProblem(few);
    const view = problem.curvature.factor!();
    const broken = factorCurvature({
      ...view,
      columns: () => {
        throw new Error("unreadable");
      },
    });
    const { ctx: counted, live } = countingContext();
    await expect(chita().solve({ ...problem, curvature: broken }, counted)).rejects.toThrow("unreadable");
    expect(live()).toBe(0);
  });
});
