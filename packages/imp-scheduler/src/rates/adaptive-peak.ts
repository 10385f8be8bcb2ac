/**
 * The start of ALLR (Zimmer et al. 2023, section 3.2): the more a pruning takes away, the higher the rate,
 *   eta = clip(eta_max rho / sqrt(p), eta_max min(n_ft / n_ep, 1), eta_max),  rho = sqrt(| |W|^2 - |W^p|^2 |) / |W|,
 * p the fraction of the remaining weights that this phase pruned. rho / sqrt(p) is 1 when pruned weights are as large as kept ones.
 */

import type { PruningLoss } from "@secateur/core";

/**
 * eta of ALLR.
 *
 * @param spec.peak - eta_max
 * @param spec.epochs - n_ft, epochs of this retraining
 * @param spec.denseEpochs - n_ep, epochs of the dense training
 */
export function adaptivePeak(
  spec: PruningLoss & { readonly peak: number; readonly epochs: number; readonly denseEpochs: number },
): number {
  const { peak, epochs, denseEpochs } = spec;
  const least = peak * Math.min(epochs / denseEpochs, 1);
  return Math.min(Math.max(peak * pruningScale(spec), least), peak);
}

/** rho / sqrt(p); 0 where nothing was pruned. */
export function pruningScale({ normBefore, normAfter, prunedFraction }: PruningLoss): number {
  if (normBefore === 0 || prunedFraction === 0) return 0;
  const rho = Math.sqrt(Math.abs(normBefore ** 2 - normAfter ** 2)) / normBefore;
  return rho / Math.sqrt(prunedFraction);
}
