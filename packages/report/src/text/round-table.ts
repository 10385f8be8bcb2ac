/** Rounds of pruning and retraining as a table for people. */
import { type Evaluation, mainMeasure, type ReportRound } from "@secateur/core";
import { formatCount, formatDuration, formatFraction, formatMeasure, formatNumber } from "./format.ts";

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

function shown(evaluation: Evaluation | undefined): string {
  return evaluation ? formatMeasure(mainMeasure(evaluation)) : "";
}

/** One row a round: the task's first measure, distances relative, FLOPs of the non-zero weights. */
export function roundRows(rounds: readonly ReportRound[]): readonly (readonly string[])[] {
  return rounds.map((round, index) => [
    String(index + 1),
    formatFraction(round.reached),
    shown(round.before),
    shown(round.pruned),
    shown(round.retrained),
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
