import { createRng, referenceKernels } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { cappedSelection, kthLargest } from "./capped-selection.ts";

interface Case {
  readonly q: Float64Array;
  readonly k: number;
  readonly width: number;
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value));
const sum = (z: ArrayLike<number>): number => Array.from(z).reduce((total, value) => total + value, 0);
const objectiveOf = ({ q, width }: Case, z: ArrayLike<number>): number =>
  q.reduce((total, score, j) => total + score * z[j]! - 0.5 * width * z[j]! ** 2, 0);

/** Random squares, with ties and zeros among them; widths from far below to far above the scores. */
function cases(count: number): Case[] {
  const rng = createRng("capped selection");
  return Array.from({ length: count }, (_, index) => {
    const p = 1 + rng.integer(20);
    const q = Float64Array.from({ length: p }, () => {
      const score = rng.normal() ** 2;
      return index % 3 === 0 ? Math.round(score) : score;
    });
    return { q, k: 1 + rng.integer(p), width: 10 ** (4 * rng.next() - 3) };
  });
}

function choose(spec: Case, guess = 0): { z: Float64Array; threshold: number; value: number } {
  const z = new Float64Array(spec.q.length);
  return { z, ...cappedSelection({ ...spec, z, guess }) };
}

/** tau by bisection to the last bit, z from it: the sum of z falls from p to 0 as tau grows. */
function bisected({ q, k, width }: Case): Float64Array {
  let [low, high] = [-width, Math.max(...q)];
  for (let step = 0; step < 200; step++) {
    const tau = 0.5 * (low + high);
    if (sum(q.map((score) => clamp((score - tau) / width))) > k) low = tau;
    else high = tau;
  }
  return q.map((score) => clamp((score - high) / width));
}

describe("cappedSelection", () => {
  test("chooses k in all, and what bisection chooses", () => {
    for (const spec of cases(200)) {
      const { z } = choose(spec);
      // It stops when the sum is right to 1e-9 k.
      expect(Math.abs(sum(z) - spec.k)).toBeLessThanOrEqual(1.1e-9 * spec.k);
      bisected(spec).forEach((share, j) => {
        expect(Math.abs(z[j]! - share)).toBeLessThan(1e-8 * spec.k);
      });
    }
  });

  test("satisfies the optimality conditions: one multiplier tau between what is in, what is out and what is shared", () => {
    for (const spec of cases(200)) {
      const { z, threshold } = choose(spec);
      const slack = 1e-9 * (spec.width + Math.max(...spec.q)); // rounding of z times the width
      spec.q.forEach((score, j) => {
        const slope = score - spec.width * z[j]!;
        if (z[j]! < 1) expect(slope).toBeLessThanOrEqual(threshold + slack);
        if (z[j]! > 0) expect(slope).toBeGreaterThanOrEqual(threshold - slack);
      });
    }
  });

  test("its value is that of its z, and no feasible choice has a greater one", () => {
    const rng = createRng("rivals");
    for (const spec of cases(100)) {
      const { z, value } = choose(spec);
      expect(value).toBeCloseTo(objectiveOf(spec, z), 10);
      for (let rival = 0; rival < 5; rival++) {
        const noise = spec.q.map(() => 3 * rng.next());
        const other = bisected({ ...spec, q: noise });
        // z may keep 1e-9 k too few of scores of order 10.
        expect(objectiveOf(spec, other)).toBeLessThanOrEqual(value + 1e-7);
      }
    }
  });

  test("approaches the k largest as the width vanishes, and shares equally as it grows", () => {
    const q = Float64Array.of(3, 0.5, 9, 1, 4, 0);
    const narrow = choose({ q, k: 3, width: 1e-9 });
    expect([...narrow.z].map(Math.round)).toEqual([1, 0, 1, 0, 1, 0]);
    expect(narrow.value).toBeCloseTo(16, 7);
    expect(narrow.threshold).toBeLessThanOrEqual(3);
    expect(narrow.threshold).toBeGreaterThanOrEqual(1);
    for (const share of choose({ q, k: 3, width: 1e12 }).z) expect(share).toBeCloseTo(0.5, 9);
  });

  test("finds the same from any first guess, and ties share one place", () => {
    const spec = { q: Float64Array.of(2, 1, 1, 1, 0), k: 2, width: 0.1 };
    for (const guess of [-100, 0, 0.95, 1, 2, 1e6]) {
      [1, 1 / 3, 1 / 3, 1 / 3, 0].forEach((share, j) => {
        expect(choose(spec, guess).z[j]).toBeCloseTo(share, 8);
      });
    }
  });

  test("keeps everything when k is all of them", () => {
    // The sum is right to 1e-9 k.
    for (const share of choose({ q: Float64Array.of(0, 5, 0.1), k: 3, width: 0.5 }).z) expect(share).toBeCloseTo(1, 8);
  });
});

test("kthLargest is the k-th entry of the sorted scores", () => {
  for (const { q, k } of cases(50)) {
    expect(kthLargest(q, k, referenceKernels)).toBe(q.slice().sort((a, b) => b - a)[k - 1]);
  }
});
