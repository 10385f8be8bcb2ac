/** Rounds of pruning and retraining as a table for people. */
import type { ReportRound } from "@secateur/core";
import { formatCount, formatDuration, formatFraction, formatNumber, formatPercent } from "./format.ts";

/** The columns, and whether they hold numbers. */
export const roundTitles: readonly string[] = [
  "round",
  "sparsity",
  "before",
  "pruned",
  "retrained",
  "instability",
  "distance",
  "moved",
  "FLOPs",
  "epochs",
  "highest rate",
  "images/s",
  "time",
];

/** One row a round: accuracies on the test split, distances relative, FLOPs of the non-zero weights. */
export function roundRows(rounds: readonly ReportRound[]): readonly (readonly string[])[] {
  return rounds.map((round, index) => [
    String(index + 1),
    formatFraction(round.reached),
    round.before ? formatPercent(round.before.accuracy) : "",
    round.pruned ? formatPercent(round.pruned.accuracy) : "",
    round.retrained ? formatPercent(round.retrained.accuracy) : "",
    round.instability === undefined ? "" : formatFraction(round.instability),
    formatNumber(round.pruningDistance),
    formatNumber(round.retrainingDistance),
    formatFraction(round.nonzeroFlops / round.flops),
    epochsOf(round),
    formatNumber(round.peakRate),
    formatCount(Math.round(round.imagesPerSecond)),
    formatDuration(round.retrainMs),
  ]);
}

/** "4", or "4 of 10, best 2" where early stopping watched. */
function epochsOf({ training, epochs, bestEpoch }: ReportRound): string {
  const ran = training.length === epochs ? String(epochs) : `${training.length} of ${epochs}`;
  return bestEpoch === undefined ? ran : `${ran}, best ${bestEpoch}`;
}
