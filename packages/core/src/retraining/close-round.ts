/** The report of a round that is over, from its pruning, its training and the weights they left. */

import { countKept } from "../budget/constraint.ts";
import type { Phase } from "../plugin/schedule.ts";
import { countZeros, type FlatParam } from "../problem/flat-weights.ts";
import type { Mask } from "../problem/matrix.ts";
import type { Note } from "../problem/note.ts";
import { type Evaluation, mainMeasure } from "../task/evaluate.ts";
import type { StoppingState } from "./early-stopping.ts";
import { type RoundReport, relativeDistance, sampled } from "./round-report.ts";
import type { OpenRound } from "./training-progress.ts";

/**
 * Sums a round up.
 *
 * @param spec.params - the prunable parameters
 * @param spec.examples - training examples of an epoch
 * @param spec.pruned - flat weights [p] right after pruning, and their mask
 * @param spec.weights - flat weights [p] after training
 * @param spec.rates - of all its planned steps
 */
export function closeRound(spec: {
  params: readonly FlatParam[];
  examples: number;
  round: OpenRound;
  pruned: { readonly weights: Float32Array; readonly mask: Mask };
  phase: Phase;
  weights: Float32Array;
  rates: ArrayLike<number>;
  trained: { readonly epochs: RoundReport["training"] };
  stopping: StoppingState | undefined;
  retrainMs: number;
  retrained: Evaluation | undefined;
  /** Of its training. */
  notes: readonly Note[];
}): RoundReport {
  const { params, examples, round, phase, weights, rates, trained, stopping, retrainMs, retrained } = spec;
  const { before, pruned, taken, pruningDistance, stages, pruneMs } = round;
  const kept = countKept(spec.pruned.mask);
  const { flops, nonzeroFlops } = costs(params, weights);
  const images = trained.epochs.length * examples;
  return {
    sparsity: phase.sparsity,
    reached: 1 - kept / weights.length,
    kept,
    nonzeros: weights.length - countZeros(weights),
    ...(before ? { before } : {}),
    ...(pruned ? { pruned } : {}),
    ...(retrained ? { retrained } : {}),
    ...instabilityOf(before, pruned),
    ...(taken ? { taken } : {}),
    pruningDistance,
    retrainingDistance: relativeDistance(spec.pruned.weights, weights),
    flops,
    nonzeroFlops,
    epochs: phase.epochs,
    training: trained.epochs,
    ...(stopping ? { heldOut: stopping.losses, bestEpoch: stopping.best } : {}),
    peakRate: Array.from(rates).reduce((most, rate) => Math.max(most, rate), 0),
    lastRate: rates[rates.length - 1] ?? 0,
    rates: sampled(rates, 200),
    stages,
    notes: [...round.notes, ...spec.notes],
    pruneMs,
    retrainMs,
    imagesPerSecond: retrainMs === 0 ? 0 : (1000 * images) / retrainMs,
  };
}

/** What the pruning cost, as a fraction of the task's first measure before it: only of measures that are positive and better when higher. */
function instabilityOf(
  before: Evaluation | undefined,
  pruned: Evaluation | undefined,
): Pick<RoundReport, "instability"> {
  if (!before || !pruned) return {};
  const [{ value, better }, { value: after }] = [mainMeasure(before), mainMeasure(pruned)];
  return better === "higher" && value > 0 ? { instability: (value - after) / value } : {};
}

function costs(params: readonly FlatParam[], weights: Float32Array): { flops: number; nonzeroFlops: number } {
  let [flops, nonzeroFlops] = [0, 0];
  for (const { start, size, flopsPerWeight } of params) {
    flops += size * flopsPerWeight;
    nonzeroFlops += (size - countZeros(weights.subarray(start, start + size))) * flopsPerWeight;
  }
  return { flops, nonzeroFlops };
}
