import { createRunContext, groupUnits, keepCount, matrix, type Problem } from "@secateur/core";
import { expect, test } from "vitest";
import { allMasks, bestOn, columnsKept, layerOf } from "./groups.test-support.ts";
import { osscar } from "./osscar.ts";

const width = 2;
const ctx = createRunContext();
const shape = { rows: 3, groups: 7, width, keep: 3 };

test("no exchange of a kept and a pruned group is left that lowers Q, the greedy start is never better, and most answers are the best of all subsets", async () => {
  let best = 0;
  let improved = 0;
  for (let seed = 0; seed < 12; seed++) {
    const { problem, H } = layerOf({ ...shape, seed });
    const at = (mask: Uint8Array): number => bestOn(H, problem.w, columnsKept(mask, width));
    const { mask, objective, stats, status } = await osscar().solve(problem, ctx);
    expect(status).toBe("converged");
    const found = at(mask);
    // Re-fitted exactly; H has a condition of some hundreds.
    expect(objective).toBeCloseTo(found, 8);
    const greedy = await osscar({ swaps: 0 }).solve(problem, ctx);
    expect(greedy.status).toBe("converged");
    expect(found).toBeLessThanOrEqual(at(greedy.mask) + 1e-9);
    expect(at(greedy.mask) - found).toBeCloseTo(stats["gained"]! * energyOf(problem, H), 8);
    if (stats["swaps"]! > 0) improved++;
    for (let out = 0; out < 7; out++) {
      for (let into = 0; into < 7; into++) {
        if (mask[out] === 0 || mask[into] === 1) continue;
        const other = mask.map((bit, g) => (g === out ? 0 : g === into ? 1 : bit));
        expect(at(Uint8Array.from(other))).toBeGreaterThan(found - 1e-8);
      }
    }
    const least = Math.min(...allMasks(7, 3).map(at));
    expect(found).toBeGreaterThan(least - 1e-9);
    if (found < least + 1e-9) best++;
  }
  // Counted: a search that did nothing, or took the worst exchange, would not come near.
  expect(best).toBeGreaterThanOrEqual(10);
  expect(improved).toBeGreaterThan(0);
});

/** What Q of all zeros is. */
function energyOf({ w }: Problem, H: { data: ArrayLike<number> }): number {
  let sum = 0;
  for (let r = 0; r < w.rows; r++) {
    for (let i = 0; i < w.cols; i++) {
      for (let j = 0; j < w.cols; j++) {
        sum += 0.5 * w.data[r * w.cols + i]! * H.data[i * w.cols + j]! * w.data[r * w.cols + j]!;
      }
    }
  }
  return sum;
}

test("costs taken rarely remove several groups at a time and still meet the budget", async () => {
  const { problem } = layerOf(shape);
  const { mask } = await osscar({ looks: 1, swaps: 0 }).solve(problem, ctx);
  expect(mask.reduce((sum, bit) => sum + bit, 0)).toBe(3);
});

test("units that own parts of columns are refused with what to give", async () => {
  const { problem } = layerOf(shape);
  const size = problem.w.rows * problem.w.cols;
  const groups = Array.from({ length: size / 2 }, (_, g) => Uint32Array.of(2 * g, 2 * g + 1));
  const odd = { ...problem, units: groupUnits({ size, groups }), constraint: keepCount({ count: size / 2, keep: 5 }) };
  await expect(osscar().solve(odd, ctx)).rejects.toMatchObject({ code: "ERR_INCOMPATIBLE" });
});

test("an input that is always 0 goes first, and a ridge is said", async () => {
  const { problem, H } = layerOf({ ...shape, rows: 1 });
  for (let j = 0; j < H.cols; j++) for (const dead of [4, 5]) H.data[j * H.cols + dead] = H.data[dead * H.cols + j] = 0;
  const notes: string[] = [];
  const hearing = createRunContext({
    onEvent: (event) => {
      if (event.type === "note") notes.push(event.code);
    },
  });
  const { mask, w } = await osscar().solve(problem, hearing);
  expect(mask[2]).toBe(0);
  expect(notes).toEqual(["curvature-singular"]);
  expect(w).toMatchObject(matrix(1, 14, w.data));
});

test("a curvature that is not finite is refused with the place of what is wrong", async () => {
  const { problem, H } = layerOf(shape);
  H.data[3] = Number.NaN;
  await expect(osscar().solve(problem, ctx)).rejects.toMatchObject({
    code: "ERR_NOT_FINITE",
    message: expect.stringContaining("entry 3 of H is NaN"),
  });
});
