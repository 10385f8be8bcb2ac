import { createRng, createRunContext, type Mat, matrix, type Problem, type RunEvent, type Vec } from "@secateur/core";
import { solveFactored } from "@secateur/core/linalg";
import { describe, expect, test } from "vitest";
import { bruteForce, randomProblem } from "../problem.test-support.ts";
import { cappedSelection, kthLargest } from "./capped-selection.ts";
import { type Relaxation, type RelaxationOptions, solveRelaxation } from "./relaxation.ts";
import { columnsIn, fullGramOf, storedModel } from "./row-space.test-support.ts";
import { type RowSpace, rowSpace, times } from "./row-space.ts";

const ctx = createRunContext();
const { kernels } = ctx;

async function relax(
  problem: Problem,
  k: number,
  options: RelaxationOptions = {},
): Promise<Relaxation & { space: RowSpace }> {
  const space = await rowSpace(storedModel(problem), 1e-8);
  const preconditioner = await fullGramOf(space);
  expect(kernels.cholesky(preconditioner)).toBe(-1);
  return { space, ...(await solveRelaxation({ space, k, preconditioner, ...options }, ctx)) };
}

/**
 * The relaxation's primal value at any 0 <= z <= 1 of sum k (z_j divides the damping of weight j): the maximum over u of a
 * concave quadratic, solved exactly from (I + A Z A' / lambda) u = A Z v - y. By weak duality no bound may exceed it.
 */
async function primalValue(problem: Problem, space: RowSpace, z: Vec): Promise<number> {
  const { rows, size, lambda, centre, target, model } = space;
  const A = await columnsIn(
    space,
    Uint32Array.from({ length: size }, (_, j) => j),
  );
  const scaled: Mat = { ...A, data: A.data.map((value, i) => value * Math.sqrt(z[i % size]!)) };
  const L = matrix(rows, rows, new Float64Array(rows * rows));
  kernels.gram({ a: scaled, out: L, alpha: 1 / lambda });
  for (let i = 0; i < rows; i++) L.data[i * rows + i]! += 1;
  expect(kernels.cholesky(L)).toBe(-1);
  const u = new Float64Array(rows);
  await times(
    space,
    centre.map((v, j) => z[j]! * v),
    u,
  );
  for (let i = 0; i < rows; i++) u[i]! -= target[i]!;
  solveFactored(L, u, kernels);
  const image = new Float64Array(size);
  kernels.gemv({ a: A, transpose: true, x: u, out: image });
  let value = -0.5 * kernels.dot(u, u) - kernels.dot(u, target) + 0.5 * lambda * kernels.dot(model.w0, model.w0);
  for (let j = 0; j < size; j++) value -= 0.5 * lambda * z[j]! * (centre[j]! - image[j]! / lambda) ** 2;
  return value - (problem.gradient ? kernels.dot(problem.gradient.data, model.w0) : 0);
}

const problems = [
  { n: 6, p: 14, keep: 4, ridge: 0.05 },
  { n: 6, p: 14, keep: 10, ridge: 0.5 },
  { n: 16, p: 12, keep: 3, ridge: 0.05 },
  { n: 6, p: 14, keep: 4, ridge: 0.2, firstOrder: true },
  { n: 16, p: 12, keep: 6, ridge: 1, firstOrder: true },
].flatMap((spec) => [0, 1, 2].map((seed) => ({ ...spec, seed })));

describe("the relaxation", () => {
  test("its bound is never above the brute-force optimum, and grows with the iterations", async () => {
    for (const spec of problems) {
      const problem = randomProblem(spec);
      const { value } = await bruteForce(problem, spec.keep);
      let last = Number.NEGATIVE_INFINITY;
      for (const maxIterations of [1, 2, 3, 5, 10, 20]) {
        const { lowerBound } = await relax(problem, spec.keep, { maxIterations, tolerance: 0 });
        // f64 sums of terms up to a hundred times the value.
        expect(lowerBound).toBeLessThanOrEqual(value + 1e-11);
        expect(lowerBound).toBeGreaterThanOrEqual(last);
        last = lowerBound;
      }
    }
  });

  test("its bound is never above the relaxation's primal value, wherever that is taken", async () => {
    const rng = createRng("z");
    for (const spec of problems) {
      const problem = randomProblem(spec);
      const { space, lowerBound } = await relax(problem, spec.keep, { maxIterations: 100, tolerance: 0 });
      for (let trial = 0; trial < 20; trial++) {
        const raw = Float64Array.from({ length: spec.p }, () => rng.next() ** 4);
        const total = raw.reduce((sum, value) => sum + value, 0);
        // Clipping at 1 only lowers the sum: still feasible.
        const z = raw.map((value) => Math.min(1, (spec.keep * value) / total));
        expect(lowerBound).toBeLessThanOrEqual((await primalValue(problem, space, z)) + 1e-11); // rounding, as above
      }
      // At an indicator the primal value is Q's minimum on that support.
      const best = await bruteForce(problem, spec.keep);
      const indicator = new Float64Array(spec.p);
      for (const j of best.columns) indicator[j] = 1;
      expect(await primalValue(problem, space, indicator)).toBeCloseTo(best.value, 10);
    }
  });

  test("comes close to the relaxation's optimum, as a primal point near its end certifies", async () => {
    for (const spec of problems) {
      const problem = randomProblem(spec);
      const { space, lowerBound, candidates } = await relax(problem, spec.keep, { maxIterations: 200, tolerance: 0 });
      const q = candidates.map((value) => value ** 2);
      const z = new Float64Array(spec.p);
      let least = Number.POSITIVE_INFINITY;
      // The smoothing's width is the solver's own affair: any z is a certificate.
      for (const width of [0.03, 0.1, 0.3, 1, 3]) {
        cappedSelection({ q, k: spec.keep, width: width * kthLargest(q, spec.keep, kernels), z, guess: 0 });
        least = Math.min(least, await primalValue(problem, space, z));
      }
      const pruned = await primalValue(problem, space, new Float64Array(spec.p));
      // At most 0.4 % here; the smoothing keeps it from going to 0.
      expect(least - lowerBound).toBeLessThan(0.01 * pruned);
    }
  });

  test("claims no bound when the weights are sparse enough as they are", async () => {
    const problem = randomProblem({ n: 6, p: 10, keep: 4 });
    problem.w.data.fill(0, 3);
    const { lowerBound, candidates, iterations } = await relax(problem, 4);
    expect([lowerBound, iterations]).toEqual([Number.NEGATIVE_INFINITY, 0]);
    expect([...candidates]).toEqual([...problem.w.data]);
  });

  test("reports every iteration and stops when aborted", async () => {
    const problem = randomProblem(problems[0]!);
    const events: RunEvent[] = [];
    const controller = new AbortController();
    const onEvent = (event: RunEvent): void => {
      events.push(event);
      if (events.length === 3) controller.abort();
    };
    const space = await rowSpace(storedModel(problem), 1e-8);
    const preconditioner = await fullGramOf(space);
    kernels.cholesky(preconditioner);
    const watched = createRunContext({ onEvent, signal: controller.signal });
    await expect(solveRelaxation({ space, k: 4, preconditioner }, watched)).rejects.toMatchObject({
      code: "ERR_ABORTED",
    });
    expect(events.map((event) => event.type === "progress" && event.done)).toEqual([1, 2, 3]);
  });
});
