import {
  createRunContext,
  keepOfEvery,
  matrix,
  type RunContext,
  type RunEvent,
  referenceKernels,
  type Vec,
} from "@secateur/core";
import { expect, test } from "vitest";
import { keeping, layerOf, secondMoment, someInputs } from "./layer.test-support.ts";
import { alps } from "./methods/alps.ts";
import { layerwise } from "./methods/layerwise.ts";
import { obc } from "./methods/obc.ts";
import { sparseGpt } from "./methods/sparse-gpt.ts";
import { sparseSwaps } from "./methods/sparse-swaps.ts";
import { wanda } from "./methods/wanda.ts";

const all = { layerwise, obc, alps, sparseGpt, wanda };

test("fewer examples than inputs: H is singular, which is said, and the answer is finite", async () => {
  const H = secondMoment(someInputs(5, 12));
  for (const [name, create] of Object.entries({ layerwise, obc, alps, sparseGpt })) {
    const events: RunEvent[] = [];
    const problem = layerOf({ rows: 3, cols: 12, H, constraint: keeping(12) });
    const { stats, objective } = await create().solve(
      problem,
      createRunContext({ onEvent: (event) => events.push(event) }),
    );
    expect(stats["ridge"], name).toBeGreaterThan(0);
    expect(
      events.some((event) => event.type === "note" && event.code === "curvature-singular"),
      name,
    ).toBe(true);
    expect(Number.isFinite(objective), name).toBe(true);
  }
});

test("inputs that are always 0 lose their weights first, cost nothing and are counted", async () => {
  const inputs = someInputs(60, 10);
  for (let i = 0; i < 60; i++) inputs.data[i * 10 + 2] = inputs.data[i * 10 + 7] = 0;
  const problem = layerOf({ rows: 2, cols: 10, H: secondMoment(inputs), constraint: keeping(16) });
  for (const [name, create] of Object.entries({ layerwise, obc, alps, sparseGpt })) {
    const { w, objective, stats } = await create().solve(problem, createRunContext());
    expect([w.data[2], w.data[7], w.data[12], w.data[17]], name).toEqual([0, 0, 0, 0]);
    // All weights that matter are kept: rounding of sums of about ten is left.
    expect(objective, name).toBeLessThan(1e-12);
    expect(stats["dead"], name).toBe(2);
  }
});

test("SparseSwaps takes a weight whose input is always 0 for what it costs: nothing", async () => {
  const inputs = someInputs(60, 10);
  for (let i = 0; i < 60; i++) inputs.data[i * 10 + 2] = inputs.data[i * 10 + 7] = 0;
  const H = secondMoment(inputs);
  const problem = layerOf({ rows: 2, cols: 10, H, constraint: keeping(12) });
  const { mask, objective } = await sparseSwaps().solve(problem, createRunContext());
  const start = await wanda().solve(problem, createRunContext());
  expect(objective).toBeLessThanOrEqual(start.objective);
  for (let r = 0; r < 2; r++) {
    const errorWith = (out: number, into: number): number => {
      const q = Float64Array.from({ length: 10 }, (_, j) => {
        const isKept = j === into || (j !== out && mask[r * 10 + j] === 1);
        return isKept ? 0 : problem.w.data[r * 10 + j]!;
      });
      return q.reduce(
        (sum, value, i) => sum + value * q.reduce((row, other, j) => row + H.data[i * 10 + j]! * other, 0),
        0,
      );
    };
    const now = errorWith(-1, -1);
    for (let out = 0; out < 10; out++) {
      for (let into = 0; into < 10; into++) {
        if (mask[r * 10 + out] !== 1 || mask[r * 10 + into] !== 0) continue;
        // Falls below 1e-12 of the row's energy, here about 30, are not taken.
        expect(errorWith(out, into)).toBeGreaterThan(now - 1e-9);
      }
    }
  }
});

/** A context whose kernels count what is taken and not given back, and whose ticks fail from the given one on. */
function countingContext(failAt: number): { ctx: RunContext; taken: Set<Vec> } {
  const taken = new Set<Vec>();
  const kernels = {
    ...referenceKernels,
    alloc(length: number, dtype: "f32" | "f64") {
      const vector = referenceKernels.alloc(length, dtype);
      taken.add(vector);
      return vector;
    },
    free(vector: Vec) {
      taken.delete(vector);
    },
  };
  let ticks = 0;
  const tick = async (): Promise<void> => {
    if (++ticks >= failAt) throw new Error("stopped");
  };
  return { ctx: { ...createRunContext({ kernels }), tick }, taken };
}

test("a solve that ends, is stopped or refuses its H gives all kernel memory back", async () => {
  const problem = layerOf({ rows: 3, cols: 8, constraint: keeping(10) });
  for (const [name, create] of Object.entries({ ...all, sparseSwaps })) {
    const whole = countingContext(Number.POSITIVE_INFINITY);
    await create().solve(problem, whole.ctx);
    expect(whole.taken.size, name).toBe(0);
    const stopped = countingContext(1);
    // Wanda is a single pass and has nowhere to stop.
    if (name !== "wanda") await expect(create().solve(problem, stopped.ctx), name).rejects.toThrow("stopped");
    expect(stopped.taken.size, name).toBe(0);
  }
  // The swaps of layerwise come after the start.
  const late = countingContext(2);
  await expect(layerwise({ start: "obc" }).solve(problem, { ...late.ctx })).rejects.toThrow("stopped");
  expect(late.taken.size).toBe(0);
  const H = secondMoment(someInputs(40, 8));
  H.data[3] = Number.NaN;
  const refused = countingContext(Number.POSITIVE_INFINITY);
  const damaged = layerOf({ rows: 3, cols: 8, H, constraint: keeping(10) });
  await expect(obc().solve(damaged, refused.ctx)).rejects.toMatchObject({ code: "ERR_NOT_FINITE" });
  expect(refused.taken.size).toBe(0);
});

test("a layer whose inputs are all 0 is pruned without loss, and what it keeps stays as it was", async () => {
  const problem = layerOf({ rows: 2, cols: 6, H: matrix(6, 6, new Float64Array(36)), constraint: keeping(4) });
  for (const [name, create] of Object.entries(all)) {
    const { objective, mask, w } = await create().solve(problem, createRunContext());
    expect(objective, name).toBe(0);
    expect([...w.data], name).toEqual(Array.from(mask, (bit, i) => (bit === 1 ? problem.w.data[i] : 0)));
    expect(
      mask.reduce((sum, bit) => sum + bit, 0),
      name,
    ).toBe(4);
  }
});

test("an H that is no second moment is refused: not symmetric, not semi-definite, not finite", async () => {
  const broken = (change: (data: Float64Array) => void) => {
    const H = secondMoment(someInputs(60, 6));
    change(H.data as Float64Array);
    return layerOf({ rows: 1, cols: 6, H, constraint: keeping(3) });
  };
  const lopsided = broken((data) => {
    data[1] = data[1]! + 5;
  });
  const negative = broken((data) => {
    data[1] = data[6] = 100;
  });
  const infinite = broken((data) => {
    data[8] = Number.NaN;
  });
  await expect(obc().solve(lopsided, createRunContext())).rejects.toMatchObject({
    code: "ERR_NOT_SYMMETRIC",
    message: expect.stringContaining("H[1, 0]"),
  });
  await expect(layerwise().solve(negative, createRunContext())).rejects.toMatchObject({ code: "ERR_NOT_SEMIDEFINITE" });
  const upsideDown = broken((data) => {
    data[14] = -data[14]!;
  });
  const hollow = broken((data) => {
    data[14] = 0;
  });
  for (const problem of [upsideDown, hollow]) {
    await expect(obc().solve(problem, createRunContext())).rejects.toMatchObject({
      code: "ERR_NOT_SEMIDEFINITE",
      message: expect.stringContaining("H[2, 2] is"),
    });
  }
  await expect(alps().solve(infinite, createRunContext())).rejects.toMatchObject({
    code: "ERR_NOT_FINITE",
    message: expect.stringContaining("entry 8"),
  });
});

test("groups that do not divide a row keep their share of the shorter last one", async () => {
  const constraint = (count: number) => keepOfEvery({ count, cols: 10, keep: 2, of: 4 });
  for (const create of [layerwise, obc, alps, sparseGpt]) {
    const problem = layerOf({ rows: 2, cols: 10, constraint });
    const { mask } = await create().solve(problem, createRunContext());
    expect(mask.subarray(0, 10).reduce((sum, bit) => sum + bit, 0)).toBe(6);
    expect(problem.constraint.violation(mask)).toBe(0);
  }
});

test("groups that run on from row to row are refused where rows have to be apart", async () => {
  const problem = layerOf({ rows: 2, cols: 10, constraint: (count) => keepOfEvery({ count, keep: 2, of: 4 }) });
  await expect(obc().solve(problem, createRunContext())).rejects.toMatchObject({ code: "ERR_INCOMPATIBLE" });
  const { mask } = await layerwise().solve(problem, createRunContext());
  expect(problem.constraint.violation(mask)).toBe(0);
});
