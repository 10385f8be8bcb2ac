/**
 * Magnitude pruning: keep the weights of largest |w|, as they are. The minimiser of Q(w) when H = I (up to scale) and
 * g = 0 (Han et al. 2015; the baseline of every paper here).
 */
import { magnitudes, type Saliency, type Solver, selectorFrom, solverFrom } from "@secateur/core";

/** Scores of every weight [rows * cols]: |w| in the dtype of the weights, or where units have costs w^2 in f64 (core's `magnitudes`). O(size). */
export const magnitudeSaliency: Saliency = {
  needs: {},
  score: ({ w, constraint }) => magnitudes(w.data, constraint),
};

/**
 * Magnitude pruning as a solver. Needs no curvature and no data; a tie goes to the lower index.
 *
 * @example
 * const result = await prune({ model, solver: magnitude(), sparsity: 0.9 });
 */
export function magnitude(): Solver {
  return solverFrom(selectorFrom(magnitudeSaliency));
}
