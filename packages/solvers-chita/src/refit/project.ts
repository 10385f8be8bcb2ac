import { keptWeights, type Mask, type Problem, type Vec } from "@secateur/core";

/** A feasible set of weights: the units the constraint keeps, and the weights they own. */
export interface Support {
  /** Per unit. */
  readonly mask: Mask;
  /** Kept weights, ascending. */
  readonly columns: Uint32Array;
}

/** The feasible support of greatest total score [p]. */
export function bestSupport({ units, constraint }: Pick<Problem, "units" | "constraint">, score: Vec): Support {
  const mask = constraint.select(units.reduce(score));
  return { mask, columns: keptWeights(units, mask) };
}

/**
 * (w / max |w|)^2 in f64, the score by which the projection onto the constraint keeps most of the squared norm: squares of weights of 1e-30
 * would be 0 in f32, and no better than weights that are.
 */
export function squares(w: Vec): Float64Array {
  const largest = largestOf(w) || 1;
  return Float64Array.from(w, (value) => (value / largest) ** 2);
}

/** max |value|, 0 without any. */
export function largestOf(values: Vec): number {
  let largest = 0;
  for (let j = 0; j < values.length; j++) largest = Math.max(largest, Math.abs(values[j]!));
  return largest;
}

/** Both lists' indices, ascending, each once. */
export function union(a: Uint32Array, b: Uint32Array): Uint32Array {
  return Uint32Array.from(new Set([...a, ...b])).sort();
}
