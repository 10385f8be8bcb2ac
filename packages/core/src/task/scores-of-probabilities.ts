/** From the probabilities that a model gives back to the scores that losses are computed from. */
import type { Vec } from "../problem/matrix.ts";

/** f32 holds no smaller probability with full precision. */
const smallest = 1.2e-38;

/**
 * The scores behind a last softmax, log p, which are right up to a constant an example; or behind a last sigmoid, log p - log (1 - p). A
 * probability below 1.2e-38 counts as that. NaN stays NaN.
 *
 * @param values - probabilities, any number of them
 */
export function scoresOfProbabilities(values: Vec, kind: "softmax" | "sigmoid"): Float64Array {
  const logarithm = (p: number): number => (p > smallest || Number.isNaN(p) ? Math.log(p) : Math.log(smallest));
  return Float64Array.from(values, kind === "softmax" ? logarithm : (p) => logarithm(p) - logarithm(1 - p));
}
