import { createRunContext, keepOfEvery, matrix, type RunEvent } from "@secateur/core";
import { expect, test } from "vitest";
import { alps } from "./alps.ts";
import { keeping, layerOf, secondMoment, someInputs } from "./layer.test-support.ts";
import { layerwise } from "./layerwise.ts";
import { obc } from "./obc.ts";
import { sparseGpt } from "./sparse-gpt.ts";
import { wanda } from "./wanda.ts";

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
  for (const create of [layerwise, obc, alps]) {
    const { w, objective, stats } = await create().solve(problem, createRunContext());
    expect([w.data[2], w.data[7], w.data[12], w.data[17]]).toEqual([0, 0, 0, 0]);
    expect(objective).toBeLessThan(1e-12);
    expect(stats["dead"]).toBe(2);
  }
});

test("a layer whose inputs are all 0 is pruned without loss", async () => {
  const problem = layerOf({ rows: 2, cols: 6, H: matrix(6, 6, new Float64Array(36)), constraint: keeping(4) });
  for (const [name, create] of Object.entries(all)) {
    const { objective, mask } = await create().solve(problem, createRunContext());
    expect(objective, name).toBe(0);
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
