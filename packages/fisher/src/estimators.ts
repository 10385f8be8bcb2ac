import type { Estimators } from "@secateur/core";
import { gaussNewton } from "./gauss-newton.ts";
import { kfac } from "./kronecker/kfac.ts";
import { kroneckerGaussNewton } from "./kronecker/kronecker-gauss-newton.ts";
import { empiricalFisher } from "./rows/empirical-fisher.ts";

/**
 * The estimators of a whole network's curvature with their defaults, by the names that plans of solvers call them.
 *
 * @example
 * await prune({ model, data, solver: chita(), sparsity: 0.9, curvature: estimators });
 */
export const estimators: Estimators = {
  "empirical-fisher": () => empiricalFisher(),
  "gauss-newton": () => gaussNewton(),
  kfac: () => kfac(),
  "kronecker-gauss-newton": () => kroneckerGaussNewton(),
};
