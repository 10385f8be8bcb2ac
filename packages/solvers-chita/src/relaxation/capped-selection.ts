/**
 * The smoothed choice of the k best of p scores q:
 *   z = argmax z'q - width/2 ||z||^2   over 0 <= z <= 1, sum z = k;   z_j = clamp((q_j - tau) / width, 0, 1).
 * As width -> 0 this is the indicator of the k largest. tau lies within `width` below the k-th largest score; it is found by
 * Newton's method on the piecewise linear sum, guarded by bisection (the continuous knapsack, e.g. Kiwiel 2008).
 */
import type { Kernels, Vec } from "@secateur/core";

/** A smoothed choice. */
export interface CappedSelection {
  /** tau */
  readonly threshold: number;
  /** max of z'q - width/2 ||z||^2 */
  readonly value: number;
}

/** The k-th largest score, 1 <= k <= q.length. */
export function kthLargest(q: Vec, k: number, kernels: Kernels): number {
  let least = Number.POSITIVE_INFINITY;
  for (const index of kernels.largest(q, k)) least = Math.min(least, q[index]!);
  return least;
}

/** Where tau is looked for. */
export interface ThresholdSearch {
  readonly threshold: number;
  readonly low: number;
  readonly high: number;
  readonly round: number;
}

/** @param spec.most - the largest score */
export function beginThreshold(spec: { width: number; most: number; guess: number }): ThresholdSearch {
  // At -width every z is 1; at the largest score every z is 0.
  const [low, high] = [-spec.width, spec.most];
  return { low, high, round: 0, threshold: Math.min(Math.max(spec.guess, low), high) };
}

/**
 * The next place to look at; undefined where the last one will do.
 *
 * @param found.excess - sum z - k at the last one
 * @param found.inside - how many z lie between 0 and 1
 */
export function nextThreshold(
  { threshold, low: below, high: above, round }: ThresholdSearch,
  { excess, inside, k, width }: { excess: number; inside: number; k: number; width: number },
): ThresholdSearch | undefined {
  if (Math.abs(excess) <= 1e-9 * k || round === 99) return undefined;
  const [low, high] = excess > 0 ? [threshold, above] : [below, threshold];
  const newton = inside > 0 ? threshold + (excess * width) / inside : Number.NaN;
  return { low, high, round: round + 1, threshold: newton > low && newton < high ? newton : (low + high) / 2 };
}

/**
 * Chooses, and writes z into `z` [p].
 *
 * @param spec.q - scores [p], >= 0
 * @param spec.k - 1 <= k <= p
 * @param spec.width - > 0
 * @param spec.guess - where to look for tau first: the last one of a slightly different q, or the k-th largest score
 */
export function cappedSelection(spec: { q: Vec; k: number; width: number; z: Vec; guess: number }): CappedSelection {
  const { q, k, width, z } = spec;
  let high = 0;
  for (let j = 0; j < q.length; j++) high = Math.max(high, q[j]!);
  let at = beginThreshold({ width, most: high, guess: spec.guess });
  for (;;) {
    const { threshold } = at;
    let excess = -k;
    let inside = 0;
    for (let j = 0; j < q.length; j++) {
      const share = (q[j]! - threshold) / width;
      if (share >= 1) excess += 1;
      else if (share > 0) {
        excess += share;
        inside++;
      }
    }
    const next = nextThreshold(at, { excess, inside, k, width });
    if (!next) break;
    at = next;
  }
  const { threshold } = at;
  let value = 0;
  for (let j = 0; j < q.length; j++) {
    const share = Math.min(1, Math.max(0, (q[j]! - threshold) / width));
    z[j] = share;
    value += share * q[j]! - 0.5 * width * share * share;
  }
  return { threshold, value };
}
