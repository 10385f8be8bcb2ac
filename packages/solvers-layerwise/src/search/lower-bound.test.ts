import {
  createRunContext,
  keepCount,
  keepOfEvery,
  type Mask,
  matrix,
  type Problem,
  type RunEvent,
  withoutRegrowth,
} from "@secateur/core";
import { expect, test } from "vitest";
import { bestOnMask, keeping, layerOf, secondMoment, someInputs } from "../layer.test-support.ts";
import { layerwise } from "../methods/layerwise.ts";
import { layerProblem } from "../problem/layer-problem.ts";
import { lowerBound } from "./lower-bound.ts";

/** The least Q of all masks that a budget allows: two rows of six, every mask tried. */
function leastOfAll({ w, curvature, constraint }: Problem): number {
  const H = curvature.gram!();
  let least = Number.POSITIVE_INFINITY;
  for (let bits = 0; bits < 1 << 12; bits++) {
    const mask: Mask = Uint8Array.from({ length: 12 }, (_, i) => (bits >> i) & 1);
    if (constraint.violation(mask) > 0) continue;
    const losses = [0, 1].map((r) => {
      const row = Float64Array.from(w.data.subarray(6 * r, 6 * r + 6));
      return bestOnMask(H, row, mask.subarray(6 * r, 6 * r + 6)).loss;
    });
    least = Math.min(least, losses[0]! + losses[1]!);
  }
  return least;
}

async function boundOf(problem: Problem, steps: number): Promise<number> {
  const ctx = createRunContext();
  const layer = await layerProblem(problem, ctx);
  return (await lowerBound(problem, layer, { steps }, ctx))!;
}

test("no mask of a budget goes below the bound, which more steps only raise", async () => {
  for (let seed = 0; seed < 4; seed++) {
    for (const constraint of [
      keeping(4),
      keeping(8),
      (count: number) => keepOfEvery({ count, cols: 6, keep: 1, of: 3 }),
      (count: number) => keepOfEvery({ count, cols: 6, keep: 2, of: 4 }),
    ]) {
      const problem = layerOf({ rows: 2, cols: 6, seed, constraint });
      const least = leastOfAll(problem);
      let before = 0;
      for (const steps of [1, 10, 200]) {
        const bound = await boundOf(problem, steps);
        // Rounding of sums of a dozen f64 products.
        expect(bound).toBeLessThanOrEqual(least * (1 + 1e-9));
        expect(bound).toBeGreaterThanOrEqual(before);
        before = bound;
      }
      // A bound that says nothing would pass the lines above.
      expect(before).toBeGreaterThan(0.2 * least);
    }
  }
});

test("where inputs have nothing to do with each other the bound is what the budget has to lose", async () => {
  const H = matrix(
    6,
    6,
    Float64Array.from({ length: 36 }, (_, i) => (i % 7 === 0 ? 1 + i / 7 : 0)),
  );
  const problem = layerOf({ rows: 2, cols: 6, H, constraint: keeping(5) });
  // The diagonal is split off but for a millionth.
  expect((await boundOf(problem, 50)) / leastOfAll(problem)).toBeCloseTo(1, 4);
});

test("slopes and weights that may not stay are bounded with what they are", async () => {
  const gradient = matrix(
    2,
    6,
    Float64Array.from({ length: 12 }, (_, i) => Math.sin(3 * i)),
  );
  const problem = { ...layerOf({ rows: 2, cols: 6, constraint: keeping(6) }), gradient };
  const solver = layerwise({ boundSteps: 100 });
  const { objective, stats } = await solver.solve(problem, createRunContext());
  expect(stats["lowerBound"]).toBeLessThanOrEqual(objective + 1e-9);
  const eligible = Uint8Array.from({ length: 12 }, (_, i) => (i % 3 === 0 ? 0 : 1));
  const barred = { ...problem, constraint: withoutRegrowth(keepCount({ count: 12, keep: 6 }), eligible) };
  const found = await solver.solve(barred, createRunContext());
  expect(found.stats["lowerBound"]).toBeLessThanOrEqual(found.objective + 1e-9);
  expect(found.stats["lowerBound"]).toBeGreaterThan(stats["lowerBound"]!);
});

test("an H of too few examples has directions without curvature, and no bound", async () => {
  const H = secondMoment(someInputs(3, 6));
  const codes: string[] = [];
  const onEvent = (event: RunEvent): void => void (event.type === "note" && codes.push(event.code));
  const { stats } = await layerwise({ boundSteps: 10 }).solve(
    layerOf({ rows: 2, cols: 6, H, constraint: keeping(6) }),
    createRunContext({ onEvent }),
  );
  expect(stats["lowerBound"]).toBeUndefined();
  expect(codes).toContain("no-lower-bound");
});
