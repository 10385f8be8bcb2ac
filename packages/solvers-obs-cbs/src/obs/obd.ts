/**
 * Optimal Brain Damage (LeCun, Denker and Solla 1990): H is taken as diagonal, so removing weight j costs 1/2 H_jj w_j^2 and
 * leaves the others where they are.
 */
import { type Saliency, type Solver, selectorFrom, solverFrom } from "@secateur/core";

/** Score 1/2 H_jj w_j^2 of every weight [p]. One pass over the gradient rows. */
export const obdSaliency: Saliency = {
  needs: { curvature: ["diagonal"] },
  score({ w, curvature }) {
    const diagonal = curvature.diagonal();
    return Float64Array.from(w.data, (value, j) => 0.5 * diagonal[j % w.cols]! * value * value);
  },
};

/**
 * OBD as a solver: keeps the weights that cost most to remove, as they are.
 *
 * @example
 * const result = await prune({ model, data, curvature: empiricalFisher(), solver: obd(), sparsity: 0.8 });
 */
export function obd(): Solver {
  return solverFrom(selectorFrom(obdSaliency));
}
