import {
  assertNeeds,
  keepWeights,
  keptWeights,
  type Mask,
  type Mat,
  objective,
  type Problem,
  type RunContext,
  type Saliency,
  type Solution,
  type Solver,
  selectorFrom,
  solverFrom,
  throwIfAborted,
} from "@secateur/core";
import { describe, expect, test } from "vitest";
import { failedChecks, testPlanted } from "../planted.test-support.ts";
import { denseHessian, minimiserOn, optimumOf } from "./brute-force.ts";
import { describeSolver, solverChecks } from "./solver-checks.ts";
import type { SolverSpec } from "./solver-suite.ts";

/** The largest magnitudes, then the minimiser on them: right in every respect. */
const refitted = (change: Partial<Parts> = {}): Solver => solverOf({ ...parts, ...change });

interface Parts {
  readonly needs: Solver["needs"];
  readonly score: (problem: Problem, ctx: RunContext) => Float64Array;
  readonly weights: (problem: Problem, mask: Mask, ctx: RunContext) => Mat | Promise<Mat>;
  /** What happens before and after, and to the solution. */
  readonly start: (problem: Problem, ctx: RunContext) => void | Promise<void>;
  readonly finish: (solution: Solution, problem: Problem) => Solution | Promise<Solution>;
}

const parts: Parts = {
  needs: {},
  score: ({ w }) => Float64Array.from(w.data, Math.abs),
  async weights(problem, mask) {
    // One call where there is a dense matrix, so that an abort need not wait for its columns.
    const found = await minimiserOn(problem, mask, problem.curvature.gram?.() ?? (await denseHessian(problem)));
    return found?.w ?? keepWeights.update(problem, mask, {} as RunContext);
  },
  start: (_problem, ctx) => throwIfAborted(ctx.signal),
  finish: (solution) => solution,
};

function solverOf({ needs, score, weights, start, finish }: Parts): Solver {
  return {
    needs,
    async solve(problem, ctx) {
      assertNeeds("test", needs, problem);
      await start(problem, ctx);
      const mask = problem.constraint.select(problem.units.reduce(score(problem, ctx)));
      const w = await weights(problem, mask, ctx);
      await ctx.tick({ task: "solve", done: 1, total: 1 });
      return finish({ w, mask, objective: await objective(problem, w), status: "exact", stats: {} }, problem);
    },
  };
}

const checksOf = (change: Partial<Parts>, spec: Partial<SolverSpec> = {}) =>
  solverChecks({ create: () => refitted(change), ...spec });

const magnitude: Saliency = { needs: {}, score: ({ w }) => w.data.map(Math.abs) };

describeSolver({
  test,
  name: "a correct solver",
  create: () => refitted(),
  claims: ["identity", "mask"],
  baseline: () => solverFrom(selectorFrom(magnitude)),
});

describeSolver({
  test,
  name: "a correct solver that draws",
  create: () => refitted({ score: ({ w }, { rng }) => Float64Array.from(w.data, () => rng.next()) }),
  randomised: true,
  claims: ["mask"],
});

test("exhaustive search passes every claim", async () => {
  const exhaustive: Solver = {
    needs: {},
    async solve(problem) {
      return { ...(await optimumOf(problem)), status: "exact", stats: {} };
    },
  };
  const checks = solverChecks({ create: () => exhaustive, claims: ["identity", "diagonal", "one", "any-k", "always"] });
  expect(await failedChecks(checks.filter(({ name }) => name.includes("as it claims")))).toEqual([]);
});

describe("the suite rejects a solver that", () => {
  let calls = 0;
  const withMask = (change: (mask: Mask, problem: Problem) => void): Partial<Parts> => ({
    finish(solution, problem) {
      const mask = solution.mask.slice();
      change(mask, problem);
      const data = solution.w.data.slice().fill(0);
      for (const j of keptWeights(problem.units, mask)) data[j] = solution.w.data[j]!;
      const w = { ...solution.w, data };
      return objective(problem, w).then((value) => ({ ...solution, w, mask, objective: value }));
    },
  });
  /** Nine rounds of products with a tick each, all of whose aborts are caught. */
  const swallowing = refitted({
    weights: async (problem, mask, ctx) => {
      const [x, out] = [new Float64Array(problem.w.cols), new Float64Array(problem.w.cols)];
      for (let round = 0; round < 9; round++) {
        await problem.curvature.apply(x, out);
        await ctx.tick({ task: "solve", done: round });
      }
      return keepWeights.update(problem, mask, ctx);
    },
  });
  testPlanted([
    [
      "keeps one unit too few",
      () => checksOf(withMask((mask) => void mask.fill(0, mask.indexOf(1), mask.indexOf(1) + 1))),
      /keeps exactly/,
    ],
    [
      "keeps one unit too many",
      () => checksOf(withMask((mask) => void mask.fill(1, mask.indexOf(0), mask.indexOf(0) + 1))),
      /keeps exactly/,
    ],
    [
      "returns a mask over weights where units are groups",
      () =>
        checksOf({
          finish: (solution, problem) => ({ ...solution, mask: new Uint8Array(problem.w.data.length).fill(1) }),
        }),
      /keeps exactly/,
    ],
    [
      "keeps any k weights whatever the pattern",
      () =>
        checksOf({
          finish: async (solution, problem) => {
            if (problem.constraint.count) return solution;
            const mask = Uint8Array.from(solution.mask, (_, j) => (j < 3 ? 1 : 0));
            const w = await keepWeights.update(problem, mask, {} as RunContext);
            return { ...solution, mask, w, objective: await objective(problem, w) };
          },
        }),
      /keeps exactly/,
    ],
    [
      "leaves weights where the mask is 0",
      () => checksOf({ finish: async (solution, problem) => ({ ...solution, w: problem.w, objective: 0 }) }),
      /keeps exactly/,
    ],
    [
      "reports a stale objective",
      () => checksOf({ finish: (solution) => ({ ...solution, objective: solution.objective * 1.01 }) }),
      /keeps exactly/,
    ],
    [
      "leaves out its stats",
      () => checksOf({ finish: ({ stats: _, ...solution }) => solution as Solution }),
      /objective it has/,
    ],
    [
      "makes up a status",
      () => checksOf({ finish: (solution) => ({ ...solution, status: "done" as "exact" }) }),
      /keeps exactly/,
    ],
    [
      "divides by curvature that is 0 on dead columns",
      () =>
        checksOf({
          weights: (problem, mask) => {
            const diagonal = problem.curvature.diagonal();
            const damping = problem.curvature.factor?.().damping ?? 0;
            const w = keepWeights.update(problem, mask, {} as RunContext) as Mat;
            return {
              ...w,
              data: w.data.map(
                (value, j) => (value * (diagonal[j % w.cols]! - damping)) / (diagonal[j % w.cols]! - damping),
              ),
            };
          },
        }),
      /keeps exactly|damping 0/,
    ],
    [
      "fails on f32 weights",
      () =>
        checksOf({
          weights: (problem, mask) => {
            const { buffer, byteOffset } = problem.w.data;
            const data = new Float64Array(buffer.slice(byteOffset)).slice(0, problem.w.data.length);
            return keepWeights.update({ ...problem, w: { ...problem.w, data } }, mask, {} as RunContext);
          },
        }),
      /keeps exactly|as they were/,
    ],
    [
      "moves weights when everything is kept",
      () =>
        checksOf({
          weights: (problem, mask) => {
            const w = keepWeights.update(problem, mask, {} as RunContext) as Mat;
            return { ...w, data: w.data.map((value) => 0.9 * value) };
          },
        }),
      /k = all/,
    ],
    [
      "crashes when nothing is kept",
      () =>
        checksOf({
          start: (problem) => {
            if (problem.constraint.count?.keep === 0) throw new TypeError("reduce of empty array");
          },
        }),
      /k = 0/,
    ],
    [
      "ends a singular problem with NaN",
      () =>
        checksOf({
          weights: async (problem, mask) => {
            const found = await minimiserOn(problem, mask, await denseHessian(problem));
            return found?.w ?? { ...problem.w, data: problem.w.data.map(() => Number.NaN) };
          },
        }),
      /damping 0/,
    ],
    [
      "ends a singular problem with an error of no code",
      () =>
        checksOf({
          weights: async (problem, mask) => {
            const found = await minimiserOn(problem, mask, await denseHessian(problem));
            if (!found) throw new Error("singular");
            return found.w;
          },
        }),
      /damping 0/,
    ],
    [
      "writes into the weights it is given",
      () =>
        checksOf({
          start: (problem) => {
            problem.w.data[0] = 2 * problem.w.data[0]!;
          },
        }),
      /as they were/,
    ],
    [
      "returns the weights it is given",
      () =>
        checksOf({
          finish: (solution, problem) => {
            problem.w.data.set(solution.w.data);
            return { ...solution, w: problem.w };
          },
        }),
      /as they were/,
    ],
    [
      "draws unseeded",
      () => checksOf({ score: ({ w }) => Float64Array.from(w.data, () => Math.random()) }, { randomised: true }),
      /same bytes/,
    ],
    [
      "remembers earlier problems",
      () => {
        const solver = refitted({
          score: ({ w }) => Float64Array.from(w.data, (value) => Math.abs(value) + Math.sin(calls++)),
        });
        return solverChecks({ create: () => solver });
      },
      /same bytes/,
    ],
    [
      "takes the place of a weight into account",
      () => checksOf({ score: ({ w }) => Float64Array.from(w.data, (value, j) => Math.abs(value) + 0.3 * j) }),
      /permutes/,
    ],
    ["calls itself randomised and is not", () => checksOf({}, { randomised: true }), /other seeds/],
    [
      "uses views that it did not declare",
      () => checksOf({ start: (problem) => void problem.curvature.inverse!() }),
      /only what it needs/,
    ],
    [
      "declares a view that does not exist",
      () => checksOf({ needs: { curvature: ["hessian" as "gram"] } }),
      /names of views/,
    ],
    [
      "claims a minimum without looking for it",
      () => checksOf({ weights: keepWeights.update }, { claims: ["mask"] }),
      /minimiser on its mask/,
    ],
    ["claims the optimum and stops at magnitudes", () => checksOf({}, { claims: ["any-k"] }), /any k weights/],
    ["claims the optimum for patterns too", () => checksOf({}, { claims: ["always"] }), /every tiny problem/],
    ["claims to know diagonal curvature and ignores it", () => checksOf({}, { claims: ["diagonal"] }), /H is diagonal/],
    ["claims the best single weight and takes another", () => checksOf({}, { claims: ["one"] }), /one weight/],
    [
      "keeps the smallest weights and claims H = I",
      () =>
        checksOf(
          { score: ({ w }) => Float64Array.from(w.data, (value) => -Math.abs(value)) },
          { claims: ["identity"] },
        ),
      /H = I/,
    ],
    [
      "is worse than its baseline",
      () =>
        checksOf(
          { score: ({ w }) => Float64Array.from(w.data, (value) => -Math.abs(value)), weights: keepWeights.update },
          { baseline: () => refitted() },
        ),
      /baseline/,
    ],
    ["solves what it says it refuses", () => checksOf({}, { refuses: ["rows"] }), /refuses/],
    [
      "starts although the run is aborted",
      () =>
        solverChecks({
          create: () => ({
            needs: {},
            solve: (problem, ctx) =>
              refitted().solve(problem, { ...ctx, signal: new AbortController().signal, tick: async () => {} }),
          }),
        }),
      /aborted already/,
    ],
    [
      "catches the abort and goes on",
      () =>
        solverChecks({
          create: () => ({
            ...swallowing,
            solve: (problem, ctx) =>
              swallowing.solve(problem, { ...ctx, tick: (progress) => ctx.tick(progress).catch(() => {}) }),
          }),
        }),
      /soon after an abort/,
    ],
    [
      "never asks whether it was aborted",
      () =>
        checksOf({
          weights: async (problem, mask, ctx) => {
            const [x, out] = [new Float64Array(problem.w.cols), new Float64Array(problem.w.cols)];
            for (let round = 0; round < 300; round++) await problem.curvature.apply(x, out);
            return keepWeights.update(problem, mask, ctx);
          },
        }),
      /soon after an abort/,
    ],
    [
      "plans no stage",
      () => solverChecks({ create: () => ({ ...refitted(), plan: () => ({ stages: 0 }) }) }),
      /plans runs/,
    ],
    [
      "plans by the number of calls",
      () => solverChecks({ create: () => ({ ...refitted(), plan: () => ({ stages: 1 + (calls++ % 7) }) }) }),
      /plans runs/,
    ],
  ]);
});
