import { createRng, createRunContext, matrix, type Problem, type Vec } from "@secateur/core";
import { gradientAt, type QuadraticModel } from "@secateur/core/linalg";
import { describe, expect, test } from "vitest";
import { problemFrom, randomProblem } from "../problem.test-support.ts";
import { bestSupport, type Support, squares } from "../refit/project.ts";
import { rowModel } from "../relaxation/row-model.ts";
import { type Iterate, ihtStep, iterateAt } from "./iht-step.ts";

const { kernels } = createRunContext();

interface Setting {
  readonly model: QuadraticModel;
  readonly project: (w: Vec) => Support;
}

function settingOf(problem: Problem): Setting {
  return { model: rowModel(problem, kernels), project: (w) => bestSupport(problem, squares(w)) };
}

/** Q = 1/2 ||w - w0||^2 over the k weights of largest magnitude. */
function unitSetting(w0: number[], keep: number): Setting {
  const p = w0.length;
  const rows = matrix(p, p, new Float64Array(p * p));
  for (let j = 0; j < p; j++) rows.data[j * p + j] = Math.sqrt(p);
  return settingOf(problemFrom({ rows, w: matrix(1, p, Float64Array.from(w0)), keep, ridge: 0 }));
}

/** The iterate at the largest weights of w. */
function startAt({ model, project }: Setting, w: ArrayLike<number>): Promise<Iterate> {
  const support = project(Float64Array.from(w));
  const start = new Float64Array(w.length);
  for (const j of support.columns) start[j] = w[j]!;
  return iterateAt(model, start, support);
}

/** Q after a step of length tau along the full slope and the projection; without it, along the slope on the support. */
async function valueAfter({ model, project }: Setting, from: Iterate, tau: number, keeps: boolean): Promise<number> {
  const slope = new Float64Array(model.dim);
  await gradientAt(model, from.point, slope);
  const moved = from.w.map((value, j) => value - tau * slope[j]!);
  const support = keeps ? from.support : project(moved);
  const w = new Float64Array(model.dim);
  for (const j of support.columns) w[j] = moved[j]!;
  return (await iterateAt(model, w, support)).value;
}

/** The step up to which the projection keeps the support, by bisection. */
async function supportChange({ model, project }: Setting, from: Iterate): Promise<number> {
  const slope = new Float64Array(model.dim);
  await gradientAt(model, from.point, slope);
  const changes = (tau: number): boolean =>
    project(from.w.map((value, j) => value - tau * slope[j]!)).columns.join() !== from.support.columns.join();
  // The first change is what is looked for, so walk up from a step that keeps the support before bisecting.
  let high = 1e-6;
  while (!changes(high) && high < 1e6) high *= 1.01;
  if (high >= 1e6) return Number.POSITIVE_INFINITY;
  let low = high / 1.01;
  for (let round = 0; round < 60; round++) {
    const middle = 0.5 * (low + high);
    if (changes(middle)) high = middle;
    else low = middle;
  }
  return low;
}

/** ||h||^2 / (scale ||G h||^2 + damping ||h||^2), h the slope on the support. */
async function bestStep({ model }: Setting, { point, support }: Iterate): Promise<number> {
  const slope = new Float64Array(model.dim);
  await gradientAt(model, point, slope);
  const h = new Float64Array(model.dim);
  for (const j of support.columns) h[j] = slope[j]!;
  const image = new Float64Array(model.rows);
  await model.times(h, image);
  const square = kernels.dot(h, h);
  return square / (model.scale * kernels.dot(image, image) + model.damping * square);
}

describe("a step of iterative hard thresholding", () => {
  test("is tau* on the support when the support lasts that long: the exact minimum along the slope", async () => {
    let seen = 0;
    for (let seed = 0; seed < 60; seed++) {
      const setting = settingOf(randomProblem({ n: 8, p: 12, keep: 3, ridge: 0.5, seed, firstOrder: seed % 2 === 1 }));
      const rng = createRng(`start ${seed}`);
      const from = await startAt(
        setting,
        setting.model.w0.map((value) => value + 0.3 * rng.normal()),
      );
      const tau = await bestStep(setting, from);
      if (tau >= (await supportChange(setting, from))) continue;
      seen++;
      const to = await ihtStep(setting.model, from, setting.project);
      expect(to.support).toEqual(from.support);
      const least = await valueAfter(setting, from, tau, true);
      expect(to.value).toBeCloseTo(least, 12);
      for (const other of [0.99, 1.01]) {
        expect(await valueAfter(setting, from, other * tau, true)).toBeGreaterThan(least);
      }
    }
    expect(seen).toBeGreaterThan(5);
  });

  test("worked by hand: the support changes before tau*, where a kept weight shrinks", async () => {
    // w0 = (0.2, 2), at (1, 0): slope (0.8, -2), tau* = 1; weight 0 meets weight 1 at tau_c = 1 / (0.8 + 2).
    const setting = unitSetting([0.2, 2], 1);
    const from = await startAt(setting, [1, 0]);
    expect(from.value).toBeCloseTo(0.5 * (0.8 ** 2 + 2 ** 2), 14);
    expect(await supportChange(setting, from)).toBeCloseTo(1 / 2.8, 10);
    const to = await ihtStep(setting.model, from, setting.project);
    expect([...to.support.columns]).toEqual([1]);
    // Trials just above tau_c, then twice and four times that: (0, 0.71), (0, 1.43), (0, 2.86). The second is lowest.
    expect(to.w[1]).toBeCloseTo((2 * 2 * (1 + 1e-4)) / 2.8, 12);
  });

  test("worked by hand: the support changes where a kept weight grows more slowly than a pruned one", async () => {
    // w0 = (1.4, 2.4), at (1, 0): slope (-0.4, -2.4): they meet at tau_c = 1 / (2.4 - 0.4) = 0.5, before tau* = 1.
    const setting = unitSetting([1.4, 2.4], 1);
    const from = await startAt(setting, [1, 0]);
    expect(await supportChange(setting, from)).toBeCloseTo(0.5, 10);
    const to = await ihtStep(setting.model, from, setting.project);
    expect([...to.support.columns]).toEqual([1]);
    // Just above tau_c weight 1 is at 1.2, at twice that at 2.4: its best value but for the 1e-4.
    expect(to.w[1]).toBeCloseTo(2.4 * (1 + 1e-4), 12);
    expect(to.value).toBeCloseTo(0.5 * 1.4 ** 2, 6);
  });

  test("never raises Q, and does no worse than the step that keeps the support or the first one that changes it", async () => {
    let changed = 0;
    for (let seed = 0; seed < 60; seed++) {
      const setting = settingOf(randomProblem({ n: 8, p: 14, keep: 5, ridge: 0.05, seed, firstOrder: seed % 2 === 1 }));
      const from = await startAt(setting, setting.model.w0);
      const to = await ihtStep(setting.model, from, setting.project);
      expect(to.value).toBeLessThanOrEqual(from.value);
      expect(to.support.columns).toHaveLength(5);
      for (let j = 0; j < 14; j++) if (!to.support.columns.includes(j)) expect(to.w[j]).toBe(0);
      // What it says about itself is true.
      expect((await iterateAt(setting.model, to.w, to.support)).value).toBeCloseTo(to.value, 12);
      const [tau, change] = [await bestStep(setting, from), await supportChange(setting, from)];
      expect(to.value).toBeLessThanOrEqual((await valueAfter(setting, from, tau, true)) + 1e-12);
      if (tau < change) continue;
      changed++;
      // Bisection and the closed form agree on tau_c to rounding; the trial is 1e-4 above it.
      expect(to.value).toBeLessThanOrEqual((await valueAfter(setting, from, change * (1 + 1e-4), false)) + 1e-9);
    }
    expect(changed).toBeGreaterThan(10);
  });

  test("at the optimum stays where it is", async () => {
    const setting = unitSetting([3, 1, -2, 0.5], 2);
    const optimum = await startAt(setting, [3, 0, -2, 0]);
    const to = await ihtStep(setting.model, optimum, setting.project);
    expect([...to.w]).toEqual([3, 0, -2, 0]);
    expect(to.value).toBeCloseTo(0.5 * (1 + 0.25), 14);
  });

  test("leaves a stationary point of a poor support", async () => {
    const setting = unitSetting([3, 1, -2, 0.5], 2);
    const support = { mask: Uint8Array.of(0, 1, 0, 1), columns: Uint32Array.of(1, 3) };
    const poor = await iterateAt(setting.model, Float64Array.of(0, 1, 0, 0.5), support);
    // tau_c = 0.5 / 3, where weight 0 gets as large as weight 3; trials at 2, 4, 8, ... times that while Q falls.
    const to = await ihtStep(setting.model, poor, setting.project);
    expect([...to.support.columns]).toEqual([0, 2]);
    // At 4 tau_c = 2/3: (2, 0, -4/3, 0), so Q = 1/2 (1 + 1 + 4/9 + 1/4), but for the 1e-4.
    expect(to.value).toBeCloseTo(0.5 * (1 + 1 + 4 / 9 + 1 / 4), 3);
  });
});
