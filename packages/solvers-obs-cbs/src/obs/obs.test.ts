import { countKept, createRunContext, keepCount, objective, type Problem, type Solver } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { cbs } from "../cbs/cbs.ts";
import { denseHessian, exactOn, masks, randomProblem } from "../problem.test-support.ts";
import { obd } from "./obd.ts";
import { obs } from "./obs.ts";
import { singleUpdater, woodfisher, woodfisherSaliency } from "./woodfisher.ts";

const ctx = createRunContext();
const solvers: Readonly<Record<string, Solver>> = {
  obd: obd(),
  "obs in rounds": obs({ rounds: 3 }),
  "obs with single updates": obs({ rounds: 2, update: "single" }),
  woodfisher: woodfisher(),
  "woodfisher as published": woodfisher({ update: "single", blockSize: 4 }),
  cbs: cbs(),
  "cbs in steps": cbs({ steps: 3 }),
  "cbs as published": cbs({ search: "published", draws: 5, starts: 2 }),
};

async function bestByBruteForce(problem: Problem, keep: number): Promise<number> {
  const H = await denseHessian(problem);
  let best = Number.POSITIVE_INFINITY;
  for (const mask of masks(problem.w.cols, keep)) {
    best = Math.min(best, await objective(problem, { ...problem.w, data: exactOn(problem, H, mask) }));
  }
  return best;
}

describe.each(Object.entries(solvers))("%s", (_name, solver) => {
  test.each([
    { n: 6, p: 10, keep: 4 },
    { n: 15, p: 10, keep: 3, firstOrder: true },
    { n: 5, p: 10, keep: 6, dead: [0, 9] },
  ])(
    "keeps exactly k weights, zeros elsewhere, leaves the problem alone and reports what it reached: %j",
    async (spec) => {
      const problem = randomProblem(spec);
      const before = problem.w.data.slice();
      const { w, mask, objective: value, trace, stats } = await solver.solve(problem, ctx);
      expect(mask.reduce((sum, bit) => sum + bit, 0)).toBe(spec.keep);
      for (let j = 0; j < spec.p; j++) if (mask[j] === 0) expect(w.data[j]).toBe(0);
      expect(value).toBe(await objective(problem, w));
      expect(problem.w.data).toEqual(before);
      if (trace) {
        expect(trace[trace.length - 1]).toBe(value);
        // Q of the chosen weights as they were: what the update starts from.
        const chosen = problem.w.data.map((weight, j) => weight * mask[j]!);
        expect(stats["selectionObjective"]).toBeCloseTo(await objective(problem, { ...w, data: chosen }), 12);
      }
    },
  );

  test("keeps as many as it should where all scores are equal, and keeps nothing or everything when told to", async () => {
    const problem = randomProblem({ n: 4, p: 6, keep: 2, dead: [0, 1, 2, 3, 4, 5] });
    problem.w.data.fill(-0.5);
    expect(countKept((await solver.solve(problem, ctx)).mask)).toBe(2);
    const none = randomProblem({ n: 4, p: 6, keep: 0 });
    expect([...(await solver.solve(none, ctx)).w.data]).toEqual([0, 0, 0, 0, 0, 0]);
    const all = randomProblem({ n: 4, p: 6, keep: 6 });
    const { w } = await solver.solve(all, ctx);
    w.data.forEach((value, j) => {
      expect(value).toBeCloseTo(all.w.data[j]!, 12);
    });
  });
});

describe("Optimal Brain Surgeon", () => {
  test("removing one weight is the brute-force minimiser", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const problem = randomProblem({ n: 6, p: 9, keep: 8, seed });
      const best = await bestByBruteForce(problem, 8);
      for (const solver of [obs({ rounds: "each" }), woodfisher(), woodfisher({ update: "single" })]) {
        const { objective: value } = await solver.solve(problem, ctx);
        // f64 inverses of condition number below a thousand
        expect(Math.abs(value - best)).toBeLessThan(1e-10);
      }
    }
  });

  test("its saliency is what removing a weight costs, weight by weight", async () => {
    const problem = randomProblem({ n: 6, p: 9, keep: 4 });
    const scores = await woodfisherSaliency().score(problem, ctx);
    const H = await denseHessian(problem);
    for (let j = 0; j < 9; j++) {
      const mask = new Uint8Array(9).fill(1);
      mask[j] = 0;
      expect(scores[j]).toBeCloseTo(await objective(problem, { ...problem.w, data: exactOn(problem, H, mask) }), 10);
    }
  });

  test("one at a time it is the greedy sequence of exact removals", async () => {
    const problem = randomProblem({ n: 6, p: 9, keep: 4 });
    const H = await denseHessian(problem);
    let mask = new Uint8Array(9).fill(1);
    for (let round = 0; round < 5; round++) {
      let best: { value: number; mask: Uint8Array<ArrayBuffer> } | undefined;
      for (let j = 0; j < 9; j++) {
        if (mask[j] === 0) continue;
        const next = mask.slice();
        next[j] = 0;
        const value = await objective(problem, { ...problem.w, data: exactOn(problem, H, next) });
        if (!best || value < best.value) best = { value, mask: next };
      }
      mask = best!.mask;
    }
    const found = await obs({ rounds: "each" }).solve(problem, ctx);
    expect([...found.mask]).toEqual([...mask]);
    expect(found.stats["rounds"]).toBe(5);
    expect(found.trace).toHaveLength(5);
  });

  test("the joint update never loses to the sum of single ones on the same mask, and equals it for one pruned weight", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const problem = randomProblem({ n: 6, p: 9, keep: 4, seed });
      const [joint, single] = [
        await woodfisher().solve(problem, ctx),
        await woodfisher({ update: "single" }).solve(problem, ctx),
      ];
      expect(single.mask).toEqual(joint.mask);
      expect(joint.objective).toBeLessThanOrEqual(single.objective);
      const again = await singleUpdater().update(problem, single.mask, ctx);
      expect(again.data).toEqual(single.w.data);
    }
  });

  test("with blocks of the network's size is the whole network's", async () => {
    const problem = randomProblem({ n: 6, p: 9, keep: 4 });
    const layers = [{ name: "all", start: 0, size: 9 }];
    const [whole, block] = [woodfisherSaliency({ blockSize: "network" }), woodfisherSaliency({ blockSize: "layer" })];
    const [a, b] = [await whole.score(problem, ctx), await block.score({ ...problem, layers }, ctx)];
    a.forEach((value, j) => {
      expect(b[j]).toBeCloseTo(value, 10);
    });
  });

  test.each([obs(), woodfisher()])("refuses ridge 0 where H is singular, naming pivot and damping", async (solver) => {
    const problem = randomProblem({ n: 4, p: 9, keep: 3, ridge: 0 });
    await expect(solver.solve(problem, ctx)).rejects.toThrow(
      expect.objectContaining({ code: "ERR_SINGULAR", message: expect.stringMatching(/pivot \d.*damping 0\)/) }),
    );
  });

  test("a constraint that cannot be relaxed has one round", async () => {
    const { relax: _, ...rigid } = keepCount({ count: 9, keep: 4 });
    const problem = randomProblem({ n: 6, p: 9, keep: 4, constraint: rigid });
    expect((await obs().solve(problem, ctx)).stats["rounds"]).toBe(1);
  });
});
