/** What a round of pruning and retraining did, in numbers for tables and plots. */
import type { Note } from "../problem/note.ts";
import type { Taken } from "../runner/accept-step.ts";
import type { Evaluation } from "../task/evaluate.ts";

/** One round, reported. Times are in milliseconds. */
export interface RoundReport {
  /** The sparsity asked for. */
  readonly sparsity: number;
  /** The one reached: 1 - kept / prunable. */
  readonly reached: number;
  /** Kept weights: ones of the mask. */
  readonly kept: number;
  /** Kept weights that are not zero. */
  readonly nonzeros: number;
  /** Before its pruning, right after it, and after retraining; where the run measures. */
  readonly before?: Evaluation;
  readonly pruned?: Evaluation;
  readonly retrained?: Evaluation;
  /** What the pruning cost of the task's first measure (accuracy, where there is one), as a fraction of it before, where higher is better (Zimmer et al. 2023: pruning instability). */
  readonly instability?: number;
  /** What its pruning left where all of its stages together were worse than a mask alone. */
  readonly taken?: Taken;
  /** |w - w^p| / |w|: how far the pruned point is from the weights before. */
  readonly pruningDistance: number;
  /** |w^r - w^p| / |w^p|: how far retraining went from it. */
  readonly retrainingDistance: number;
  /** Floating-point operations of a forward pass of one example: of all prunable weights, and of the non-zero ones. */
  readonly flops: number;
  readonly nonzeroFlops: number;
  /** Epochs planned; `training` has those that ran. */
  readonly epochs: number;
  /** Mean loss and accuracy of the training examples, while the weights moved. */
  readonly training: readonly { readonly loss: number; readonly accuracy: number }[];
  /** Loss of the held-out training examples after each epoch, where early stopping watches them. */
  readonly heldOut?: readonly number[];
  /** The epoch (counted from 1) whose weights were kept, where early stopping watches; 0: those right after pruning. */
  readonly bestEpoch?: number;
  /** The highest rate of the round. */
  readonly peakRate: number;
  /** The one of its last step. */
  readonly lastRate: number;
  /** Rates at evenly spaced steps, at most 200, for plots. */
  readonly rates: readonly number[];
  /** How many stages pruned; their reports stand in the run's, in order. */
  readonly stages: number;
  /** What its pruning and its training had to say. */
  readonly notes: readonly Note[];
  readonly pruneMs: number;
  readonly retrainMs: number;
  /** Training images a second. */
  readonly imagesPerSecond: number;
}

/** |a - b| / |a|; 0 for a zero a. */
export function relativeDistance(from: Float32Array, to: Float32Array): number {
  let [difference, size] = [0, 0];
  for (let j = 0; j < from.length; j++) {
    difference += (from[j]! - to[j]!) ** 2;
    size += from[j]! ** 2;
  }
  return size === 0 ? 0 : Math.sqrt(difference / size);
}

/** The Euclidean norm. */
export function norm(w: Float32Array): number {
  let sum = 0;
  for (let j = 0; j < w.length; j++) sum += w[j]! ** 2;
  return Math.sqrt(sum);
}

/** The numbers of a report that an event log carries. */
export function roundValues(report: RoundReport): Readonly<Record<string, number>> {
  const { before, pruned, retrained, instability } = report;
  const { reached, kept, nonzeros, pruningDistance, retrainingDistance, nonzeroFlops, flops, imagesPerSecond } = report;
  return {
    ...{ reached, kept, nonzeros, pruningDistance, retrainingDistance, nonzeroFlops, flops, imagesPerSecond },
    ...(before ? { accuracyBefore: before.accuracy, lossBefore: before.loss } : {}),
    ...(pruned ? { accuracyPruned: pruned.accuracy, lossPruned: pruned.loss } : {}),
    ...(retrained ? { accuracyRetrained: retrained.accuracy, lossRetrained: retrained.loss } : {}),
    ...(instability === undefined ? {} : { instability }),
    epochs: report.training.length,
    ...(report.bestEpoch === undefined ? {} : { bestEpoch: report.bestEpoch }),
    retrainMs: report.retrainMs,
    pruneMs: report.pruneMs,
  };
}

/** At most `most` values, evenly spaced from the first on. */
export function sampled(values: ArrayLike<number>, most: number): readonly number[] {
  const count = Math.min(most, values.length);
  return Array.from({ length: count }, (_, i) => values[Math.floor((i * values.length) / count)]!);
}
