import {
  createRng,
  createRunContext,
  type FactorView,
  factorCurvature,
  groupUnits,
  keepCount,
  type Mat,
  matrix,
  type Problem,
} from "@secateur/core";
import { type ColumnView, indices } from "@secateur/core/linalg";
import { expect, test } from "vitest";
import { allMasks, bestOn } from "./groups.test-support.ts";
import { addGroups, groupCosts, rowSpace } from "./row-space.ts";
import { structuredObs } from "./structured-obs.ts";
import { taylorScores } from "./taylor.ts";

const ctx = createRunContext();
const damping = 0.1;

/** Gradient rows G [n, p] as a view with columns. */
function viewOf(G: Mat): ColumnView {
  const { rows, cols, data } = G;
  const view: FactorView = {
    ...{ rows, dim: cols, scale: 1 / rows, damping, dtype: "f64", productCost: rows * cols },
    times(x, out) {
      for (let r = 0; r < rows; r++) out[r] = indices(0, cols).reduce((sum, j) => sum + data[r * cols + j]! * x[j]!, 0);
    },
    transposeTimes(u, out) {
      for (let j = 0; j < cols; j++) out[j] = indices(0, rows).reduce((sum, r) => sum + data[r * cols + j]! * u[r]!, 0);
    },
    columns(support, out) {
      for (let r = 0; r < rows; r++)
        for (const [s, j] of support.entries()) out.data[r * out.cols + s] = data[r * cols + j]!;
    },
    columnNormsSquared: () =>
      Float64Array.from({ length: cols }, (_, j) =>
        indices(0, rows).reduce((sum, r) => sum + data[r * cols + j]! ** 2, 0),
      ),
  };
  return view as ColumnView;
}

/** One row of weights in groups of uneven sizes, some of more weights than there are rows. */
function problemOf(seed: number, keep = 2): { problem: Problem; H: Mat; groups: readonly Uint32Array[]; G: Mat } {
  const rng = createRng(`rows ${seed}`);
  const groups = [indices(0, 2), indices(2, 9), indices(9, 12), indices(12, 14), indices(14, 20)];
  const G = matrix(
    4,
    20,
    Float64Array.from({ length: 80 }, () => rng.normal()),
  );
  const view = viewOf(G);
  const H = matrix(20, 20, new Float64Array(400));
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < 20; j++) {
      for (let r = 0; r < 4; r++) H.data[i * 20 + j]! += (G.data[r * 20 + i]! * G.data[r * 20 + j]!) / 4;
    }
    H.data[i * 21]! += damping;
  }
  const w = matrix(
    1,
    20,
    Float64Array.from({ length: 20 }, () => rng.normal()),
  );
  const problem: Problem = {
    ...{ id: "network", w, curvature: factorCurvature(view), units: groupUnits({ size: 20, groups }) },
    constraint: keepCount({ count: groups.length, keep }),
  };
  return { problem, H, groups, G };
}

const keptOf = (groups: readonly Uint32Array[], mask: ArrayLike<number>): Uint8Array => {
  const kept = new Uint8Array(20);
  groups.forEach((group, g) => {
    for (const j of group) kept[j] = mask[g]!;
  });
  return kept;
};

test("costs in the space of the rows are what re-fits from scratch cost, for groups smaller and larger than the rows, also after groups went", async () => {
  const { problem, H, groups } = problemOf(1);
  const view = problem.curvature.factor!() as ColumnView;
  const space = await rowSpace(view, groups, ctx);
  const w0 = Float64Array.from(problem.w.data);
  const costs = await groupCosts(space, { groups, w: w0 });
  groups.forEach((_, g) => {
    const mask = groups.map((_, other) => (other === g ? 0 : 1));
    expect(costs[g]).toBeCloseTo(bestOn(H, problem.w, keptOf(groups, mask)), 9);
  });
  // K with two groups gone is K made without them.
  await addGroups(space, [groups[0]!, groups[4]!], -1);
  const fresh = await rowSpace(view, [groups[1]!, groups[2]!, groups[3]!], ctx);
  fresh.K.data.forEach((value: number, i: number) => {
    expect(space.K.data[i]).toBeCloseTo(value, 9);
  });
});

test("one group at a time structured OBS removes what costs least, re-fits exactly, and comes near the best of all subsets", async () => {
  let ratio = 0;
  for (let seed = 0; seed < 8; seed++) {
    const { problem, H, groups } = problemOf(seed);
    const { mask, objective, trace } = await structuredObs({ rounds: 3 }).solve(problem, ctx);
    const at = (one: Uint8Array): number => bestOn(H, problem.w, keptOf(groups, one));
    expect(objective).toBeCloseTo(at(mask), 8);
    // By hand: the least cost each time.
    const expected = Uint8Array.of(1, 1, 1, 1, 1);
    for (let step = 0; step < 3; step++) {
      const costs = groups.map((_, g) =>
        expected[g] === 0 ? Number.POSITIVE_INFINITY : at(expected.map((bit, other) => (other === g ? 0 : bit))),
      );
      const least = Math.min(...costs);
      expected[costs.indexOf(least)] = 0;
      expect(trace![step]).toBeCloseTo(least, 8);
    }
    expect([...mask]).toEqual([...expected]);
    ratio += objective / Math.min(...allMasks(5, 2).map(at)) / 8;
  }
  expect(ratio).toBeGreaterThanOrEqual(1 - 1e-9);
  expect(ratio).toBeLessThan(1.2);
});

test("without damping, and without columns of the rows, what to do is said", async () => {
  const { problem } = problemOf(0);
  const view = problem.curvature.factor!();
  const bare = { ...problem, curvature: factorCurvature({ ...view, damping: 0 }) };
  await expect(structuredObs().solve(bare, ctx)).rejects.toMatchObject({ code: "ERR_SINGULAR" });
  const { columns: _, ...products } = view;
  const blind = { ...problem, curvature: factorCurvature(products) };
  await expect(structuredObs().solve(blind, ctx)).rejects.toMatchObject({ code: "ERR_INCOMPATIBLE" });
});

test("Taylor scores are means over the rows of the size of a group's sum, in which weights may cancel", async () => {
  const { problem, groups, G } = problemOf(2);
  for (const power of [1, 2] as const) {
    const scores = await taylorScores(problem, ctx, { power });
    groups.forEach((group, g) => {
      const sums = [0, 1, 2, 3].map((r) => group.reduce((sum, j) => sum + G.data[r * 20 + j]! * problem.w.data[j]!, 0));
      expect(scores[g]).toBeCloseTo(sums.reduce((sum, s) => sum + Math.abs(s) ** power, 0) / 4, 12);
    });
  }
  // Two weights of opposite effect count as nothing, however large each is.
  for (let r = 0; r < 4; r++) G.data[r * 20 + 1] = G.data[r * 20]!;
  problem.w.data.set([5, -5]);
  expect((await taylorScores(problem, ctx))[0]).toBeCloseTo(0, 12);
});
