import { assertRising, type DenseTraining, type Phase } from "@secateur/core";
import { impossiblePhases, rewindTooFar } from "../errors.ts";
import { adaptivePeak } from "../rates/adaptive-peak.ts";
import { peakRate } from "../rates/dense-training.ts";
import { type RetrainingName, retrainingRates } from "../rates/retraining-rates.ts";
import { splitEpochs } from "./phase-sparsities.ts";

/**
 * Rounds of pruning and retraining (IMP, Han et al. 2015, with the schedules of Zimmer et al. 2023). One phase is one-shot
 * pruning with retraining.
 *
 * @param spec.sparsities - after each phase, never decreasing
 * @param spec.epochs - of retraining in all, split evenly; the last phase takes the remainder
 * @param spec.schedule - how the rate goes in each phase
 * @throws ERR_OPTION, ERR_IMPOSSIBLE when no epochs are left for the last phase, or lrw rewinds too far
 */
export function impPhases(spec: {
  sparsities: readonly number[];
  epochs: number;
  schedule: RetrainingName;
  dense: DenseTraining;
}): readonly Phase[] {
  const { sparsities, epochs, schedule, dense } = spec;
  assertRising(sparsities);
  if (epochs < sparsities.length) {
    throw impossiblePhases(
      `${epochs} epochs over ${sparsities.length} phases leave phases without training; give at least ${sparsities.length} epochs or fewer phases`,
    );
  }
  const shares = splitEpochs(epochs, sparsities.length);
  const longest = Math.max(...shares);
  // Told before anything is pruned; the rates themselves are made phase by phase.
  if (schedule === "lrw" && longest > dense.epochs) throw rewindTooFar(`${longest} epochs`, dense.epochs);
  return sparsities.map((sparsity, index): Phase => {
    const own = shares[index]!;
    return {
      sparsity,
      epochs: own,
      rates(steps, pruned) {
        const peak = adaptivePeak({ ...pruned, peak: peakRate(dense), epochs: own, denseEpochs: dense.epochs });
        return retrainingRates({ schedule, steps, dense, peak });
      },
    };
  });
}
