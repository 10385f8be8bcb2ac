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

/** w^2, the score by which the projection onto the constraint keeps most of the squared norm. */
export function squares(w: Vec): Vec {
  return w.map((value) => value * value);
}

/** Both lists' indices, ascending, each once. */
export function union(a: Uint32Array, b: Uint32Array): Uint32Array {
  return Uint32Array.from(new Set([...a, ...b])).sort();
}
