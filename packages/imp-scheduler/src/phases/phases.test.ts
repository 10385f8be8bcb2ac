import type { Phase } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { bimpPhases } from "./bimp-phases.ts";
import { cubicSparsity, gmpPhases } from "./gmp-phases.ts";
import { gradualPhases } from "./gradual-phases.ts";
import { impPhases } from "./imp-phases.ts";
import { phaseFraction, phaseSparsities, splitEpochs, usualPhases } from "./phase-sparsities.ts";

const nothing = { normBefore: 1, normAfter: 1, prunedFraction: 0 };
const dense = { rates: [0.1, 0.1, 0.01, 0.001], epochs: 4 };
const epochsOf = (phases: readonly Phase[]) => phases.map(({ epochs }) => epochs);
const sparsitiesOf = (phases: readonly Phase[]) => phases.map(({ sparsity }) => sparsity);
const ratesOf = (phase: Phase, steps: number) => Array.from(phase.rates(steps, nothing));

describe("phases of imp", () => {
  test("prune the same fraction of the remaining weights each", () => {
    expect(phaseFraction(0.875, 3)).toBeCloseTo(0.5, 14);
    const sparsities = phaseSparsities({ target: 0.875, phases: 3 });
    [0.5, 0.75].forEach((wanted, i) => {
      expect(sparsities[i]).toBeCloseTo(wanted, 14);
    });
    expect(sparsities[2]).toBe(0.875); // exactly the target
    expect(phaseSparsities({ target: 0.9, phases: 1 })).toEqual([0.9]);
  });

  test("go on from a network that is sparse already", () => {
    const [first] = phaseSparsities({ target: 0.875, phases: 2, from: 0.5 });
    expect(first).toBeCloseTo(0.75, 14);
  });

  test("without a number are of 20 % each", () => {
    expect(usualPhases(0.2)).toBe(1);
    expect(usualPhases(0.36)).toBe(2); // 1 - 0.8^2
    expect(usualPhases(0.9)).toBe(11); // 0.8^10 = 0.107
    expect(usualPhases(0)).toBe(1);
  });

  test("share the epochs, the last takes the remainder", () => {
    expect(splitEpochs(10, 3)).toEqual([3, 3, 4]);
    expect(splitEpochs(3, 3)).toEqual([1, 1, 1]);
    expect(epochsOf(impPhases({ sparsities: [0.5, 0.7, 0.9], epochs: 11, schedule: "llr", dense }))).toEqual([3, 3, 5]);
  });

  test("restart their schedule in each phase", () => {
    const [a, b] = impPhases({ sparsities: [0.5, 0.9], epochs: 2, schedule: "llr", dense });
    expect(ratesOf(a!, 4)).toEqual([0.1, 0.1 * 0.75, 0.05, 0.1 * 0.25]);
    expect(ratesOf(b!, 4)).toEqual(ratesOf(a!, 4));
  });

  test("of allr start lower where less was pruned", () => {
    const [phase] = impPhases({ sparsities: [0.5], epochs: 2, schedule: "allr", dense });
    const peak = (loss: typeof nothing) => Math.max(...Array.from(phase!.rates(4, loss)));
    expect(peak({ normBefore: 5, normAfter: 4, prunedFraction: 0.64 })).toBeCloseTo(0.075, 14);
    expect(peak(nothing)).toBeCloseTo(0.05, 14); // 2 of 4 epochs
  });

  test("refuse sparsities that go down, and phases without an epoch", () => {
    expect(() => impPhases({ sparsities: [0.9, 0.5], epochs: 4, schedule: "ft", dense })).toThrow(
      /goes down from 0.9 to 0.5/,
    );
    expect(() => impPhases({ sparsities: [0.5, 0.9], epochs: 1, schedule: "ft", dense })).toThrow(
      /1 epochs over 2 phases/,
    );
    expect(() => phaseFraction(0.5, 0)).toThrow(/whole number of at least 1/);
  });
});

describe("phases of gmp", () => {
  test("follow the cube, and leave an interval to recover", () => {
    const phases = gmpPhases({ target: 0.8, epochs: 10, interval: 2, rate: () => 0.1 });
    // N = 10 / 2 - 1 = 4 prunings after a dense start.
    expect(epochsOf(phases)).toEqual([2, 2, 2, 2, 2]);
    const wanted = [0, 0.8 - 0.8 * 0.75 ** 3, 0.8 - 0.8 * 0.5 ** 3, 0.8 - 0.8 * 0.25 ** 3, 0.8];
    sparsitiesOf(phases).forEach((sparsity, i) => {
      expect(sparsity).toBeCloseTo(wanted[i]!, 14);
    });
    expect(sparsitiesOf(phases)[4]).toBe(0.8);
    expect(cubicSparsity({ from: 0.2, target: 0.8, step: 0, steps: 4 })).toBeCloseTo(0.2, 14);
  });

  test("go through one schedule of rates and keep the momentum", () => {
    const rate = (step: number, steps: number) => step / steps;
    const phases = gmpPhases({ target: 0.8, epochs: 7, interval: 3, rate });
    expect(epochsOf(phases)).toEqual([3, 4]);
    expect(phases.every(({ keepsMomentum }) => keepsMomentum)).toBe(true);
    const all = [...ratesOf(phases[0]!, 3 * 5), ...ratesOf(phases[1]!, 4 * 5)];
    expect(all).toEqual(Array.from({ length: 35 }, (_, step) => step / 35));
  });

  test("need room for a pruning and its recovery", () => {
    expect(() => gmpPhases({ target: 0.8, epochs: 5, interval: 3, rate: () => 0.1 })).toThrow(/at least 6 epochs/);
  });
});

describe("phases of bimp", () => {
  test("train densely within the budget, then cycle, the last cycle with the left-over epochs", () => {
    const phases = bimpPhases({ target: 0.875, epochs: 11, budget: 4, interval: 2, peak: 0.1 });
    expect(epochsOf(phases)).toEqual([4, 2, 2, 3]);
    const sparsities = sparsitiesOf(phases);
    expect(sparsities[0]).toBe(0);
    expect(sparsities[1]).toBeCloseTo(0.5, 14);
    expect(sparsities[3]).toBe(0.875);
    expect(ratesOf(phases[0]!, 4)).toEqual([0.1, 0.1 * 0.75, 0.05, 0.1 * 0.25]);
    expect(ratesOf(phases[1]!, 20)[0]).toBe(0);
    expect(ratesOf(phases[1]!, 20)[2]).toBe(0.1);
  });

  test("without a budget start with a cycle; amplitudes may decay or follow what was pruned", () => {
    const spec = { target: 0.875, epochs: 4, budget: 0, interval: 2, peak: 0.1 } as const;
    expect(bimpPhases(spec)).toHaveLength(2);
    const peaks = (amplitude: "decaying" | "adaptive") =>
      bimpPhases({ ...spec, amplitude }).map((phase) =>
        Math.max(...Array.from(phase.rates(20, { normBefore: 5, normAfter: 4, prunedFraction: 1 }))),
      );
    expect(peaks("decaying")).toEqual([0.1, 0.05]);
    expect(peaks("adaptive")).toEqual([0.1, 0.1]); // as many epochs as the dense training: the floor is the peak
  });

  test("need room for a cycle", () => {
    expect(() => bimpPhases({ target: 0.5, epochs: 5, budget: 4, interval: 2, peak: 0.1 })).toThrow(/leave 1/);
  });
});

describe("the gradual schedule of the chita paper", () => {
  test("prunes at epochs 0, 12, .., 72 of 100, from a half on", () => {
    const phases = gradualPhases({ target: 0.98 });
    expect(epochsOf(phases)).toEqual([12, 12, 12, 12, 12, 12, 28]);
    const sparsities = sparsitiesOf(phases);
    expect(sparsities[0]).toBe(0.5);
    expect(sparsities[1]).toBeCloseTo(0.98 - 0.48 * (5 / 6) ** 3, 14);
    expect(sparsities[6]).toBe(0.98);
  });

  test("restarts its cosine at every pruning", () => {
    const phases = gradualPhases({ target: 0.98 });
    for (const phase of phases) {
      const rates = ratesOf(phase, 100);
      expect(rates[0]).toBe(0.1);
      expect(rates[50]).toBeCloseTo((0.1 + 1e-5) / 2, 14);
    }
    expect(() => gradualPhases({ target: 0.9, epochs: 72 })).toThrow(/need more than 72 epochs/);
  });
});
