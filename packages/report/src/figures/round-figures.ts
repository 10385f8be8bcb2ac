/** The figures of a run's rounds of pruning and retraining. */

import { type Evaluation, mainMeasure, type ReportRound, type ReportRun } from "@secateur/core";
import { measureTitle } from "../text/format.ts";
import { type Figure, figureAxis, figureOption } from "./figure.ts";

/** All of them; none for a run without retraining. */
export function roundFigures({ rounds = [] }: ReportRun): readonly Figure[] {
  if (rounds.length === 0) return [];
  return [accuracyByRound(rounds), ...lossByEpoch(rounds), rateBySteps(rounds), distanceByRound(rounds)];
}

function accuracyByRound(rounds: readonly ReportRound[]): Figure {
  const line = (name: string, of: (round: ReportRound) => number | undefined) => ({
    name,
    type: "line",
    symbolSize: 7,
    data: rounds.map((round) => rounded(of(round))),
  });
  const value = (evaluation: Evaluation | undefined) => evaluation && mainMeasure(evaluation).value;
  const measured = rounds.map(({ before, pruned, retrained }) => before ?? pruned ?? retrained).find(Boolean);
  const title = measured ? mainMeasure(measured).name : "accuracy";
  return {
    id: "rounds",
    title: `${title[0]!.toUpperCase()}${title.slice(1)} by round`,
    caption: `The ${title} before a round's pruning, right after it, and after retraining.`,
    option: figureOption({
      xAxis: figureAxis({ type: "category", name: "round (sparsity)", data: labels(rounds) }),
      yAxis: figureAxis({
        type: "value",
        name: measured ? measureTitle(mainMeasure(measured)) : "",
        nameGap: 44,
        scale: true,
      }),
      series: [
        line("before", ({ before }) => value(before)),
        line("pruned", ({ pruned }) => value(pruned)),
        line("retrained", ({ retrained }) => value(retrained)),
      ],
    }),
  };
}

function lossByEpoch(rounds: readonly ReportRound[]): readonly Figure[] {
  const epochs = rounds.flatMap(({ training }) => training);
  if (epochs.length < 2) return [];
  // The first held-out loss of a round stands before its first epoch.
  const heldOut = rounds.flatMap(({ training, heldOut: losses }) => training.map((_, epoch) => losses?.[epoch + 1]));
  const watched = heldOut.some((loss) => loss !== undefined);
  const series = (name: string, values: readonly (number | undefined)[], more: object = {}) => ({
    name,
    type: "line",
    symbolSize: 4,
    data: values.map((value, epoch) => [epoch + 1, rounded(value)]),
    ...more,
  });
  return [
    {
      id: "epochs",
      title: "Loss and accuracy over the epochs",
      caption: "Means over the training examples of each epoch, while the weights moved, over all rounds.",
      option: figureOption({
        grid: { left: 70, right: 70, top: 56, bottom: 60 },
        xAxis: figureAxis({ type: "value", name: "epoch", min: 1, minInterval: 1 }),
        yAxis: [
          figureAxis({ type: "value", name: "loss", nameGap: 44, scale: true }),
          figureAxis({ type: "value", name: "accuracy (%)", nameGap: 44, scale: true, splitLine: { show: false } }),
        ],
        series: [
          series(
            "training loss",
            epochs.map(({ loss }) => loss),
          ),
          ...(watched ? [series("held-out loss", heldOut)] : []),
          series(
            "training accuracy",
            epochs.map(({ accuracy }) => accuracy),
            { yAxisIndex: 1 },
          ),
        ],
      }),
    },
  ];
}

function rateBySteps(rounds: readonly ReportRound[]): Figure {
  let before = 0;
  const points = rounds.flatMap(({ rates, epochs }) => {
    const own = rates.map((rate, i) => [rounded(before + (epochs * i) / rates.length), rounded(rate)]);
    before += epochs;
    return own;
  });
  return {
    id: "rates",
    title: "Learning rate",
    caption: "The learning rate over the epochs as planned, round after round.",
    option: figureOption({
      xAxis: figureAxis({ type: "value", name: "epoch" }),
      yAxis: figureAxis({ type: "value", name: "rate", nameGap: 50 }),
      series: [{ name: "learning rate", type: "line", symbol: "none", data: points }],
    }),
  };
}

function distanceByRound(rounds: readonly ReportRound[]): Figure {
  const bar = (name: string, of: (round: ReportRound) => number) => ({
    name,
    type: "bar",
    barMaxWidth: 40,
    data: rounds.map((round) => rounded(of(round))),
  });
  return {
    id: "distances",
    title: "How far pruning and retraining went",
    caption:
      "Distance of the pruned point from the weights before, of the retrained weights from the pruned point, both relative to where they start; and the share of the accuracy that the pruning cost.",
    option: figureOption({
      xAxis: figureAxis({ type: "category", name: "round (sparsity)", data: labels(rounds) }),
      yAxis: figureAxis({ type: "value", name: "fraction", nameGap: 44 }),
      series: [
        bar("pruning", ({ pruningDistance }) => pruningDistance),
        bar("retraining", ({ retrainingDistance }) => retrainingDistance),
        bar("instability", ({ instability = 0 }) => instability),
      ],
    }),
  };
}

function labels(rounds: readonly ReportRound[]): readonly string[] {
  return rounds.map(({ reached }, index) => `${index + 1} (${(100 * reached).toFixed(1)} %)`);
}

function rounded(value: number | undefined): number | null {
  return value === undefined ? null : Number(value.toPrecision(6));
}
