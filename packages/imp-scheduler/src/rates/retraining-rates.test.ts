import type { DenseTraining } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { adaptivePeak, pruningScale } from "./adaptive-peak.ts";
import { triangularRate } from "./budgeted-rates.ts";
import { leastRate, peakRate } from "./dense-training.ts";
import { plotRates } from "./plot-rates.ts";
import { cosineRate } from "./restarted-cosine.ts";
import { retrainingNames, retrainingRate, retrainingRates, warmUpSteps } from "./retraining-rates.ts";

/** Ten steps over five epochs: a warm-up of two, a plateau, two decays. */
const dense: DenseTraining = {
  rates: [0.02, 0.06, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001],
  epochs: 5,
  warmUpSteps: 2,
};

const rates = (schedule: (typeof retrainingNames)[number], steps: number) => [
  ...retrainingRates({ schedule, steps, dense }),
];

function expectClose(found: readonly number[], wanted: readonly number[]): void {
  expect(found).toHaveLength(wanted.length);
  // A few roundings of f64 from numbers of size 0.1.
  found.forEach((value, i) => {
    expect(value).toBeCloseTo(wanted[i]!, 14);
  });
}

describe("rates of retraining", () => {
  test("ft is the smallest rate after the warm-up, from the first step to the last", () => {
    expect(rates("ft", 3)).toEqual([0.001, 0.001, 0.001]);
    const early: DenseTraining = { rates: [0, 0.0001, 0.1, 0.05], epochs: 1, warmUpSteps: 2 };
    expect(leastRate(early)).toBe(0.05);
    expect(peakRate(early)).toBe(0.1);
  });

  test("lrw repeats the end of the dense training, without warm-up", () => {
    expect(rates("lrw", 4)).toEqual([0.01, 0.01, 0.001, 0.001]);
    expect(rates("lrw", 10)).toEqual([...(dense.rates as readonly number[])]);
  });

  test("lrw refuses to go back beyond the start", () => {
    expect(() => rates("lrw", 11)).toThrow(/last 11 steps of the dense training, and that had 10/);
  });

  test("slr stretches or squeezes the dense rates after its warm-up, and puts the peak in place of theirs", () => {
    // T_rt = 20: two steps of warm-up, then 18 over 10 entries: floor(j 10 / 18).
    const found = rates("slr", 20);
    expect(found[0]).toBe(0);
    expect(found[1]).toBeCloseTo(0.05, 14); // half way up the half cosine
    const entries = Array.from({ length: 18 }, (_, j) => Math.floor((j * 10) / 18));
    const replaced = [0.1, 0.1, ...(dense.rates as readonly number[]).slice(2)];
    expectClose(
      found.slice(2),
      entries.map((entry) => replaced[entry]!),
    );
    // T_rt = 5 has no warm-up: every second entry.
    expectClose(rates("slr", 5), [0.1, 0.1, 0.1, 0.01, 0.001]);
  });

  test("clr is a cosine from the largest to the smallest rate after its warm-up", () => {
    const found = rates("clr", 20);
    expect(found[0]).toBe(0);
    expect(found[2]).toBeCloseTo(0.1, 14);
    expect(found[11]).toBeCloseTo((0.1 + 0.001) / 2, 14); // j = 9 of 18: half way
    expect(found[19]).toBeCloseTo(0.001 + (0.099 * (1 + Math.cos((17 / 18) * Math.PI))) / 2, 14);
  });

  test("llr falls linearly from the largest rate and would be 0 one step after the last", () => {
    const found = rates("llr", 20);
    expect(found[0]).toBe(0);
    expect(found[2]).toBeCloseTo(0.1, 14);
    expect(found[11]).toBeCloseTo(0.05, 14);
    expect(found[19]).toBeCloseTo(0.1 / 18, 14);
  });

  test("allr is llr from its own peak", () => {
    const found = retrainingRates({ schedule: "allr", steps: 20, dense, peak: 0.04 });
    expectClose(
      [...found],
      rates("llr", 20).map((rate) => 0.4 * rate),
    );
    expectClose([...retrainingRates({ schedule: "allr", steps: 20, dense })], rates("llr", 20));
  });

  test("the warm-up is half a cosine over a tenth of the steps", () => {
    expect([0, 1, 9, 10, 19, 20].map(warmUpSteps)).toEqual([0, 0, 0, 1, 1, 2]);
    const found = rates("llr", 40);
    const wanted = [0, 1, 2, 3].map((t) => (0.1 * (1 - Math.cos((Math.PI * t) / 4))) / 2);
    expectClose(found.slice(0, 4), wanted);
    expect(found[4]).toBeCloseTo(0.1, 14);
  });

  test("a budget of no steps has no rates, one of a single step has the schedule's first", () => {
    for (const schedule of retrainingNames) expect(rates(schedule, 0)).toEqual([]);
    expect(rates("ft", 1)).toEqual([0.001]);
    expect(rates("lrw", 1)).toEqual([0.001]);
    for (const schedule of ["slr", "clr", "llr", "allr"] as const) expect(rates(schedule, 1)).toEqual([0.1]);
  });

  test("are pure: a step's rate does not depend on what was asked before", () => {
    for (const schedule of retrainingNames) {
      const all = rates(schedule, 10);
      for (const step of [9, 0, 5]) expect(retrainingRate({ schedule, steps: 10, dense }, step)).toBe(all[step]);
    }
  });

  test("a dense training without steps is refused", () => {
    expect(() => retrainingRates({ schedule: "llr", steps: 3, dense: { rates: [], epochs: 1 } })).toThrow(/no steps/);
  });
});

describe("the peak of allr", () => {
  const base = { peak: 0.1, epochs: 1, denseEpochs: 10 };

  test("is the relative loss of norm over the root of the pruned fraction", () => {
    // |W| = 5, |W^p| = 4: rho = 3 / 5; p = 0.64: scale 0.6 / 0.8.
    const loss = { normBefore: 5, normAfter: 4, prunedFraction: 0.64 };
    expect(pruningScale(loss)).toBeCloseTo(0.75, 14);
    expect(adaptivePeak({ ...base, ...loss })).toBeCloseTo(0.075, 14);
  });

  test("is never below the share of epochs nor above the largest rate", () => {
    expect(adaptivePeak({ ...base, normBefore: 5, normAfter: 5, prunedFraction: 0.5 })).toBeCloseTo(0.01, 14);
    expect(adaptivePeak({ ...base, epochs: 20, normBefore: 5, normAfter: 5, prunedFraction: 0.5 })).toBe(0.1);
    expect(adaptivePeak({ ...base, normBefore: 5, normAfter: 0, prunedFraction: 0.25 })).toBe(0.1);
    expect(adaptivePeak({ ...base, normBefore: 0, normAfter: 0, prunedFraction: 0 })).toBeCloseTo(0.01, 14);
  });
});

describe("other rates", () => {
  test("a cycle of bimp goes up over a tenth and down to 0", () => {
    const at = (step: number) => triangularRate({ steps: 20, peak: 0.2 }, step);
    expect([0, 1, 2, 11, 20].map(at)).toEqual([0, 0.1, 0.2, 0.1, 0]);
    expect(triangularRate({ steps: 1, peak: 0.2 }, 0)).toBe(0.2);
  });

  test("a restarted cosine starts at its peak and ends at its least", () => {
    const at = (step: number) => cosineRate({ steps: 4, peak: 0.1, least: 0.02 }, step);
    expect(at(0)).toBe(0.1);
    expect(at(2)).toBeCloseTo(0.06, 14);
    expect(at(4)).toBeCloseTo(0.02, 14);
  });

  test("plot as bars whose heights are the rates", () => {
    expect(plotRates([0, 0.5, 1], 3)).toBe(" ▄█");
    expect(plotRates(rates("llr", 1000), 10)).toHaveLength(10);
    expect(plotRates([], 10)).toBe("");
  });
});
