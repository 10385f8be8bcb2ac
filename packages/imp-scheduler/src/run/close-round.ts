/** The report of a phase that is over, from its pruning, its training and the weights they left. */
import { countKept, countZeros, type Evaluation, type FlatParam, type Note, type Phase } from "@secateur/core";
import type { StoppingState } from "./early-stopping.ts";
import type { PhaseState } from "./phase-state.ts";
import { type RoundReport, relativeDistance, sampled } from "./round-report.ts";

/**
 * Sums a phase up.
 *
 * @param spec.params - the prunable parameters
 * @param spec.examples - training examples of an epoch
 * @param spec.state - with the open phase
 * @param spec.weights - flat weights [p] after training
 * @param spec.rates - of all its planned steps
 */
export function closeRound(spec: {
  params: readonly FlatParam[];
  examples: number;
  state: PhaseState;
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
  const { params, examples, state, phase, weights, rates, trained, stopping, retrainMs, retrained } = spec;
  const { before, pruned, pruningDistance, stages, plan, pruneMs } = state.open!.round;
  const kept = countKept(state.mask);
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
    ...(before && pruned && before.accuracy > 0
      ? { instability: (before.accuracy - pruned.accuracy) / before.accuracy }
      : {}),
    pruningDistance,
    retrainingDistance: relativeDistance(state.open!.weights, weights),
    flops,
    nonzeroFlops,
    epochs: phase.epochs,
    training: trained.epochs,
    ...(stopping ? { heldOut: stopping.losses, bestEpoch: stopping.best } : {}),
    peakRate: Array.from(rates).reduce((most, rate) => Math.max(most, rate), 0),
    lastRate: rates[rates.length - 1] ?? 0,
    rates: sampled(rates, 200),
    stages,
    notes: [...state.open!.round.notes, ...spec.notes],
    ...(plan ? { plan } : {}),
    pruneMs,
    retrainMs,
    imagesPerSecond: retrainMs === 0 ? 0 : (1000 * images) / retrainMs,
  };
}

function costs(params: readonly FlatParam[], weights: Float32Array): { flops: number; nonzeroFlops: number } {
  let [flops, nonzeroFlops] = [0, 0];
  for (const { start, size, flopsPerWeight } of params) {
    flops += size * flopsPerWeight;
    nonzeroFlops += (size - countZeros(weights.subarray(start, start + size))) * flopsPerWeight;
  }
  return { flops, nonzeroFlops };
}
