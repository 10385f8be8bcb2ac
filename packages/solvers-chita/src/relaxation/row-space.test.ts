import { createRng, createRunContext, type Mat, matrix, type Problem } from "@secateur/core";
import { solveFactored } from "@secateur/core/linalg";
import { describe, expect, test } from "vitest";
import { denseHessian, exactOn, randomProblem } from "../problem.test-support.ts";
import { columnsIn, fullGramOf, storedModel, supportGramOf } from "./row-space.test-support.ts";
import { candidateWeights, type RowSpace, rowSpace, times, transposeTimes } from "./row-space.ts";

const { kernels } = createRunContext();
const spaceOf = (problem: Problem): Promise<RowSpace> => rowSpace(storedModel(problem), 1e-8);

const [n, p] = [5, 12];
const problem = randomProblem({ n, p, keep: 4, ridge: 0.2, firstOrder: true });
const few = Uint32Array.of(1, 4, 6, 9);
const many = Uint32Array.from([...Array(p).keys()].filter((j) => j % 5 !== 2));

/** I + A_S A_S' / lambda, entry by entry. */
async function explicitGram(space: RowSpace, columns: Uint32Array): Promise<Mat> {
  const A = await columnsIn(space, columns);
  const gram = matrix(n, n, new Float64Array(n * n));
  kernels.gram({ a: A, out: gram, alpha: 1 / space.lambda });
  for (let i = 0; i < n; i++) gram.data[i * n + i]! += 1;
  return gram;
}

describe("the row space", () => {
  test("A is sqrt(scale) G: its products and its columns agree", async () => {
    const space = await spaceOf(problem);
    const rng = createRng("x");
    const x = Float64Array.from({ length: few.length }, () => rng.normal());
    const full = new Float64Array(p);
    few.forEach((j, s) => {
      full[j] = x[s]!;
    });
    const [Ax, direct] = [new Float64Array(n), new Float64Array(n)];
    await times(space, full, Ax);
    kernels.gemv({ a: await columnsIn(space, few), x, out: direct });
    const [Au, back] = [new Float64Array(p), new Float64Array(few.length)];
    await transposeTimes(space, Ax, Au);
    kernels.gemv({ a: await columnsIn(space, few), transpose: true, x: Ax, out: back });
    for (let i = 0; i < n; i++) expect(Ax[i]).toBeCloseTo(direct[i]!, 13);
    few.forEach((j, s) => {
      expect(Au[j]).toBeCloseTo(back[s]!, 12);
    });
  });

  test("Gram matrices are those written out on and below the diagonal, for supports below and above half of the weights, and for all", async () => {
    const space = await spaceOf(problem);
    const all = Uint32Array.from({ length: p }, (_, j) => j);
    for (const [gram, columns] of [
      [await supportGramOf(space, few), few],
      [await supportGramOf(space, many), many],
      [await fullGramOf(space), all],
    ] as const) {
      const expected = await explicitGram(space, columns);
      gram.data.forEach((value, i) => {
        if (i % n > Math.floor(i / n)) return;
        expect(value).toBeCloseTo(expected.data[i]!, 11); // entries up to a hundred, sums in another order
      });
    }
  });

  test.each([
    ["few", few],
    ["many", many],
  ])("the dual solution on a support of %s weights is the exact minimiser on it", async (_, columns) => {
    const space = await spaceOf(problem);
    const L = await supportGramOf(space, columns);
    expect(kernels.cholesky(L)).toBe(-1);
    const inside = new Float64Array(p);
    for (const j of columns) inside[j] = space.centre[j]!;
    const u = new Float64Array(n);
    await times(space, inside, u);
    for (let i = 0; i < n; i++) u[i]! -= space.target[i]!;
    solveFactored(L, u, kernels);
    const V = await candidateWeights(space, u);
    const { w } = await exactOn(problem, [...columns], await denseHessian(problem));
    for (const j of columns) expect(V[j]).toBeCloseTo(w.data[j]!, 11);
  });

  test("raises a damping of 0 to the floor's share of the mean squared row norm, and leaves others alone", async () => {
    const space = await spaceOf(problem);
    expect(space.lambda).toBe(0.2);
    const undamped = randomProblem({ n, p, keep: 4, ridge: 0 });
    const H = await denseHessian(undamped);
    let trace = 0;
    for (let j = 0; j < p; j++) trace += H.data[j * p + j]!;
    // trace(H) = trace(A A') is n times the mean squared row norm of A.
    expect((await rowSpace(storedModel(undamped), 1e-3)).lambda).toBeCloseTo((1e-3 * trace) / n, 12);
  });
});
