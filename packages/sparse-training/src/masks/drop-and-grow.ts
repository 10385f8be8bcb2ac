/**
 * One change of a layer's mask at constant density: of the kept weights the `count` of lowest score go, and of those that are pruned then as many of highest
 * score come, the ones just dropped among them (RigL, Evci et al. 2020, algorithm 1; in the authors' code a weight that is dropped and grown at once keeps its value, as here).
 *
 * Scores of what is dropped first, with weight w and gradient g of the batch (Nowak et al. 2023, section 3.1; lower goes first):
 *   magnitude |w|;  snip |w g|;  mest |w| + lambda |g|;  sensitivity |g| / |w|;  reciprocal-sensitivity |w| / |g|;
 *   set: the smallest positive and the largest negative weights, in proportion to how many there are of each sign (Mocanu et al. 2018).
 */
import type { Kernels, Mask, Vec } from "@secateur/core";
import { keptOf } from "./prunable.ts";

/** What is dropped first. */
export const dropCriteria = ["magnitude", "snip", "mest", "sensitivity", "reciprocal-sensitivity", "set"] as const;
/** One of {@link dropCriteria}. */
export type DropCriterion = (typeof dropCriteria)[number];

/** A layer whose mask changes. Nothing is written to. */
export interface LayerChange {
  readonly mask: Mask;
  /** How many weights go and come, at most as many as are kept. */
  readonly count: number;
  readonly weights: Vec;
  readonly gradients: Vec;
  readonly drop: DropCriterion;
  /** lambda of mest. */
  readonly lambda: number;
  /** The score by which pruned weights come back: |g|, or random numbers. */
  growScore(place: number): number;
  readonly kernels: Kernels;
}

/** The new mask, which keeps as many weights as before. Ties go to the lower index. O(size). */
export function dropAndGrow(change: LayerChange): Mask {
  const { mask, count, kernels, growScore } = change;
  const kept = keptOf(mask);
  const next = new Uint8Array(mask.length);
  const scores = dropScores(change);
  for (const place of kernels.largest(scores, kept - count)) next[place] = 1;
  const grow = Float64Array.from(next, (bit, i) => (bit === 1 ? Number.NEGATIVE_INFINITY : growScore(i)));
  for (const place of kernels.largest(grow, count)) next[place] = 1;
  return next;
}

/** Scores of the kept weights; -Infinity elsewhere, below every score of a kept weight. */
function dropScores({ mask, weights, gradients, drop, lambda }: LayerChange): Float64Array {
  if (drop === "set") return signedRanks(mask, weights);
  const score = (w: number, g: number): number => {
    switch (drop) {
      case "magnitude":
        return w;
      case "snip":
        return w * g;
      case "mest":
        return w + lambda * g;
      case "sensitivity":
        return g / (w + tiny);
      case "reciprocal-sensitivity":
        return w / (g + tiny);
      default:
        return drop satisfies never;
    }
  };
  return Float64Array.from(mask, (bit, i) =>
    bit === 0 ? Number.NEGATIVE_INFINITY : score(Math.abs(weights[i]!), Math.abs(gradients[i]!)),
  );
}

/** Keeps quotients finite where the divisor is 0. */
const tiny = 1e-30;

/** The rank of each kept weight within its sign by magnitude, over how many have that sign: the lowest part of both signs goes. */
function signedRanks(mask: Mask, weights: Vec): Float64Array {
  const scores = new Float64Array(mask.length).fill(Number.NEGATIVE_INFINITY);
  const places = Uint32Array.from(mask.keys()).filter((i) => mask[i] === 1);
  for (const isPositive of [true, false]) {
    const own = places
      .filter((i) => weights[i]! > 0 === isPositive)
      .sort((a, b) => Math.abs(weights[a]!) - Math.abs(weights[b]!) || b - a);
    own.forEach((place, rank) => {
      scores[place] = rank / own.length;
    });
  }
  return scores;
}
