import { keepWeights, type Mat, type Saliency, type Selector, selectorFrom, type Updater } from "@secateur/core";
import { describe, test } from "vitest";
import { testPlanted } from "../planted.test-support.ts";
import { denseHessian, minimiserOn } from "./brute-force.ts";
import {
  describeSaliency,
  describeSelector,
  describeUpdater,
  type RungSpec,
  saliencyChecks,
  selectorChecks,
  updaterChecks,
} from "./ladder-checks.ts";

const magnitude: Saliency = { needs: {}, score: ({ w }) => w.data.map(Math.abs) };

/** H_jj w_j^2, which knows diagonal curvature. */
const diagonal: Saliency = {
  needs: { curvature: ["diagonal"] },
  score: ({ w, curvature }) => {
    const H = curvature.diagonal();
    return Float64Array.from(w.data, (value, j) => H[j % w.cols]! * value * value);
  },
};

const minimiser: Updater = {
  needs: {},
  async update(problem, mask, ctx) {
    const found = await minimiserOn(problem, mask, problem.curvature.gram?.() ?? (await denseHessian(problem)));
    return found?.w ?? keepWeights.update(problem, mask, ctx);
  },
};

describeSaliency({ test, name: "a correct saliency", create: () => diagonal, claims: ["identity", "diagonal"] });
describeSelector({ test, name: "a correct selector", create: () => selectorFrom(magnitude), claims: ["identity"] });
describeUpdater({ test, name: "a correct updater", create: () => minimiser, claims: ["mask"] });
describeUpdater({ test, name: "the updater that changes nothing", create: () => keepWeights });

const saliency = (score: Saliency["score"], spec: Partial<RungSpec<Saliency>> = {}) =>
  saliencyChecks({ create: () => ({ needs: {}, score }), ...spec });
const selector = (select: Selector["select"]) => selectorChecks({ create: () => ({ needs: {}, select }) });
const updater = (update: Updater["update"], claims: readonly ["mask"] | readonly [] = []) =>
  updaterChecks({ create: () => ({ needs: {}, update }), claims });

describe("the suite rejects a saliency that", () => {
  testPlanted([
    ["scores one weight too few", () => saliency(({ w }) => w.data.map(Math.abs).slice(1)), /one number/],
    [
      "scores the units instead of the weights",
      () => saliency(({ units }) => new Float64Array(units.count)),
      /one number/,
    ],
    [
      "gives NaN to weights of zero",
      () => saliency(({ w }) => w.data.map((value) => (value * value) / value)),
      /one number/,
    ],
    ["returns the weights themselves", () => saliency(({ w }) => w.data), /one number/],
    [
      "works in place",
      () => saliency(({ w }) => w.data.map((value, j, all) => (all[j] = Math.abs(value)))),
      /one number/,
    ],
    [
      "takes low scores for important",
      () => saliency(({ w }) => w.data.map((value) => -Math.abs(value)), { claims: ["identity"] }),
      /H = I/,
    ],
    [
      "claims to use the curvature and does not",
      () => saliency(({ w }) => w.data.map(Math.abs), { claims: ["diagonal"] }),
      /H is diagonal/,
    ],
    ["draws unseeded", () => saliency(({ w }) => w.data.map(() => Math.random()), { randomised: true }), /same bytes/],
    [
      "asks for curvature that it does not declare",
      () => saliency(({ curvature }) => Float64Array.from(curvature.gram!().data.subarray(0, curvature.dim))),
      /only what it needs/,
    ],
  ]);
});

describe("the suite rejects a selector that", () => {
  testPlanted([
    ["ignores the budget", () => selector(({ units }) => new Uint8Array(units.count).fill(1)), /keeps exactly/],
    [
      "keeps the first k, whatever they are",
      () => selector(({ constraint, units }) => constraint.select(new Float64Array(units.count))),
      /permutes/,
    ],
    ["returns weights for units", () => selector(({ w }) => new Uint8Array(w.data.length)), /keeps exactly/],
  ]);
});

describe("the suite rejects an updater that", () => {
  const scaled = (w: Mat, by: number): Mat => ({ ...w, data: w.data.map((value) => by * value) });
  testPlanted([
    ["leaves pruned weights alive", () => updater(({ w }) => scaled(w, 1)), /any feasible mask/],
    [
      "changes the mask it is given",
      () =>
        updater((problem, mask, ctx) => {
          const w = keepWeights.update(problem, mask, ctx);
          mask.fill(1);
          return w;
        }),
      /any feasible mask/,
    ],
    [
      "makes things worse",
      () => updater(async (problem, mask, ctx) => scaled(await keepWeights.update(problem, mask, ctx), 3)),
      /baseline/,
    ],
    ["claims the minimum and keeps the weights", () => updater(keepWeights.update, ["mask"]), /masks of any origin/],
    [
      "knows only the mask of largest magnitudes",
      () =>
        updater(
          async (problem, mask, ctx) => {
            const own = await selectorFrom(magnitude).select(problem, ctx);
            const w = await minimiser.update(problem, own, ctx);
            return keepWeights.update({ ...problem, w }, mask, ctx);
          },
          ["mask"],
        ),
      /masks of any origin/,
    ],
    [
      "forgets the first-order term",
      () => updater(({ gradient: _, ...problem }, mask, ctx) => minimiser.update(problem, mask, ctx), ["mask"]),
      /minimiser on its mask/,
    ],
    [
      "gives weights of another shape",
      () => updater(({ w }) => ({ rows: 1, cols: w.cols + 1, data: new Float64Array(w.cols + 1) })),
      /any feasible mask/,
    ],
  ]);
});
