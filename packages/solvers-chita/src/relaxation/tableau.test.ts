import { createRng, matrix, referenceKernels } from "@secateur/core";
import { describe, expect, test } from "vitest";
import { Tableau } from "./tableau.ts";

interface Pool {
  readonly B: Float64Array;
  readonly b: Float64Array;
}

/** A random pool: B = I + X'X / 2 (eigenvalues from 1 to about 10), b normal. */
function randomPool(c: number, seed: number): Pool {
  const rng = createRng(`pool ${seed}`);
  const X = matrix(
    c,
    c,
    Float64Array.from({ length: c * c }, () => rng.normal()),
  );
  const B = new Float64Array(c * c);
  referenceKernels.gram({ a: X, out: matrix(c, c, B), alpha: 0.5 });
  for (let i = 0; i < c; i++) B[i * c + i]! += 1;
  return { B, b: Float64Array.from({ length: c }, () => 2 * rng.normal()) };
}

/** The tableau with nothing kept: [[B, b], [b', 0]]. */
function unswept(B: Float64Array, b: Float64Array): Tableau {
  const c = b.length;
  const T = new Float64Array((c + 1) ** 2);
  for (let i = 0; i < c; i++) T.set(B.subarray(i * c, (i + 1) * c), i * (c + 1));
  T.set(b, c * (c + 1));
  return new Tableau(T, new Uint8Array(c));
}

/** min over x on the support of x'Bx - 2 b'x, by Cholesky: the oracle. */
function solved({ B, b }: Pool, support: readonly number[]): { x: Float64Array; value: number } {
  const k = support.length;
  const l = matrix(k, k, new Float64Array(k * k));
  support.forEach((i, r) => {
    support.forEach((j, s) => {
      l.data[r * k + s] = B[i * b.length + j]!;
    });
  });
  expect(referenceKernels.cholesky(l)).toBe(-1);
  const x = Float64Array.from(support, (i) => b[i]!);
  const right = matrix(k, 1, x);
  referenceKernels.triangularSolve({ l, b: right });
  referenceKernels.triangularSolve({ l, transpose: true, b: right });
  return { x, value: -support.reduce((sum, i, s) => sum + b[i]! * x[s]!, 0) };
}

function tableauOn(pool: Pool, support: readonly number[]): Tableau {
  const tableau = unswept(pool.B, pool.b);
  for (const i of support) tableau.flip(i);
  return tableau;
}

const supportOf = (kept: Uint8Array): number[] => [...kept.keys()].filter((i) => kept[i] === 1);
const randomSupport = (c: number, k: number, seed: number): number[] => {
  const rng = createRng(`support ${seed}`);
  return [...Array(c).keys()]
    .map((i) => ({ i, key: rng.next() }))
    .sort((p, q) => p.key - q.key)
    .slice(0, k)
    .map(({ i }) => i)
    .sort((p, q) => p - q);
};

// Sweeps of a c = 10 system of condition number about 10 in f64 lose few of 16 digits; values are of order 10.
const digits = 11;

describe("a tableau", () => {
  test("holds the minimiser and its value on whatever support it was swept to, in any order", () => {
    for (let seed = 0; seed < 20; seed++) {
      const pool = randomPool(10, seed);
      const support = randomSupport(10, 1 + (seed % 9), seed);
      const { x, value } = solved(pool, support);
      for (const order of [support, [...support].reverse()]) {
        const tableau = tableauOn(pool, order);
        expect(tableau.value).toBeCloseTo(value, digits);
        support.forEach((i, s) => {
          expect(tableau.weight(i)).toBeCloseTo(x[s]!, digits);
        });
        expect(supportOf(tableau.kept)).toEqual(support);
      }
    }
  });

  test("is restored by flipping a member twice, also through many others", () => {
    const pool = randomPool(8, 1);
    const tableau = tableauOn(pool, [0, 3, 5]);
    const before = [tableau.value, ...[0, 3, 5].map((i) => tableau.weight(i))];
    for (const i of [6, 3, 1, 6, 0, 1, 3, 0]) tableau.flip(i);
    expect(supportOf(tableau.kept)).toEqual([0, 3, 5]);
    [tableau.value, ...[0, 3, 5].map((i) => tableau.weight(i))].forEach((value, place) => {
      expect(value).toBeCloseTo(before[place]!, digits);
    });
  });

  test("takes the swap after which the re-solved objective is lowest, downhill or up", () => {
    let uphill = 0;
    for (let seed = 0; seed < 30; seed++) {
      const [c, k] = [9, 1 + (seed % 8)];
      const pool = randomPool(c, seed);
      const support = randomSupport(c, k, seed);
      let best = Number.POSITIVE_INFINITY;
      for (const out of support) {
        for (let into = 0; into < c; into++) {
          if (support.includes(into)) continue;
          const swapped = [...support.filter((i) => i !== out), into].sort((p, q) => p - q);
          best = Math.min(best, solved(pool, swapped).value);
        }
      }
      const tableau = tableauOn(pool, support);
      const start = tableau.value;
      const { value, kept } = tableau.search({ tenure: 0, misses: 1, maxSwaps: 1 });
      expect(tableau.value).toBeCloseTo(best, digits);
      // The best seen is the start when every swap goes uphill.
      expect(value).toBeCloseTo(Math.min(start, best), digits);
      if (best > start) {
        uphill++;
        expect(supportOf(kept)).toEqual(support);
      }
    }
    expect(uphill).toBeGreaterThan(0);
  });

  test("never returns worse than it started from, keeps the number of members, and returns what its value belongs to", () => {
    for (let seed = 0; seed < 30; seed++) {
      const pool = randomPool(12, seed);
      const support = randomSupport(12, 5, seed);
      const tableau = tableauOn(pool, support);
      const start = tableau.value;
      const { value, kept, swaps } = tableau.search({ tenure: 5, misses: 20, maxSwaps: 400 });
      expect(value).toBeLessThanOrEqual(start);
      expect(supportOf(kept)).toHaveLength(5);
      expect(value).toBeCloseTo(solved(pool, supportOf(kept)).value, digits);
      expect(swaps).toBeLessThanOrEqual(400);
    }
  });

  test("finds the best of all supports of small pools, nearly always", () => {
    let found = 0;
    const runs = 40;
    for (let seed = 0; seed < runs; seed++) {
      const [c, k] = [10, 4];
      const pool = randomPool(c, seed);
      let best = Number.POSITIVE_INFINITY;
      for (let bits = 0; bits < 2 ** c; bits++) {
        const support = [...Array(c).keys()].filter((i) => (bits >> i) & 1);
        if (support.length === k) best = Math.min(best, solved(pool, support).value);
      }
      const { value } = tableauOn(pool, randomSupport(c, k, seed)).search({ tenure: 5, misses: 20, maxSwaps: 400 });
      expect(value).toBeGreaterThan(best - 1e-9); // rounding
      if (value < best + 1e-9) found++;
    }
    expect(found).toBeGreaterThanOrEqual(runs - 1);
  });

  test("has nothing to swap when all or none are kept", () => {
    const pool = randomPool(4, 0);
    for (const support of [[], [0, 1, 2, 3]]) {
      const { swaps, value } = tableauOn(pool, support).search({ tenure: 5, misses: 20, maxSwaps: 400 });
      expect(swaps).toBe(0);
      expect(value).toBeCloseTo(support.length === 0 ? 0 : solved(pool, support).value, digits);
    }
  });
});
