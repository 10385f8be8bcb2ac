/** The report of one training: what it gave, its curves, and everything needed to repeat it. */
import { type Evaluation, mainMeasure } from "@secateur/core";
import { type Figure, figureAxis, figureOption, rounded } from "./figures/figure.ts";
import { escapeHtml, htmlTable } from "./html.ts";
import { makePage } from "./page.ts";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFraction,
  formatLoss,
  formatMeasure,
  formatNumber,
} from "./text/format.ts";
import { shownArchitecture } from "./text/shown-architecture.ts";

/** The parts of the JSON document of `secateur train` that its report reads. */
export interface TrainingReportDocument {
  readonly arch: string;
  readonly test: Evaluation;
  readonly measuredOn: "test" | "calibration";
  readonly epochs: readonly TrainingReportEpoch[];
  readonly steps: number;
  readonly prunable?: number;
  readonly nonzeros?: number;
  readonly trainMs: number;
  readonly peakMemoryBytes: number;
  readonly seed: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly out: string;
}

/** An epoch while the weights moved; the last two under training rules only. */
export interface TrainingReportEpoch {
  readonly loss: number;
  /** Percent; NaN for tasks without one. */
  readonly accuracy: number;
  /** Prunable weights that are not zero at its end. */
  readonly nonzeros?: number;
  /** The root of the mean over its steps of the squared norm of the gradient of what is kept. */
  readonly gradientNorm?: number;
}

/**
 * The report of one `secateur train`, as HTML.
 *
 * @param spec.command - as typed, to repeat the run
 * @param spec.plottingLibrary - see `makePage`
 */
export function trainingReport(spec: {
  document: TrainingReportDocument;
  command: string;
  plottingLibrary?: string;
}): string {
  const { document, command, plottingLibrary } = spec;
  const { arch, test, measuredOn, epochs, steps, prunable, nonzeros, trainMs, seed, versions, out, peakMemoryBytes } =
    document;
  const number = (text: string) => ({ text, isNumber: true });
  const hasAccuracy = epochs.some(({ accuracy }) => Number.isFinite(accuracy));
  const isSparse = prunable !== undefined && nonzeros !== undefined;
  const titles = [
    "epoch",
    "training loss",
    ...(hasAccuracy ? ["training accuracy"] : []),
    ...(isSparse ? ["weights that are not zero", "sparsity", "gradient norm"] : []),
  ];
  const rows = epochs.map((epoch, i) => [
    number(String(i + 1)),
    number(formatNumber(epoch.loss)),
    ...(hasAccuracy ? [number(formatMeasure({ value: epoch.accuracy, unit: "%" }))] : []),
    ...(isSparse
      ? [
          number(formatCount(epoch.nonzeros ?? prunable)),
          number(formatFraction(1 - (epoch.nonzeros ?? prunable) / prunable)),
          number(formatNumber(epoch.gradientNorm ?? Number.NaN)),
        ]
      : []),
  ]);
  const main = mainMeasure(test);
  const left = isSparse ? `, ${formatCount(nonzeros)} of ${formatCount(prunable)} prunable weights not zero` : "";
  const summary = `${main.name} ${formatMeasure(main)}, loss ${formatLoss(test)} on ${formatCount(test.examples)} ${measuredOn === "test" ? "test" : "training"} examples after ${formatCount(steps)} steps in ${formatDuration(trainMs)}${left}.`;
  const facts = [
    ["trained network", out],
    ["seed", String(seed)],
    ["peak memory", formatBytes(peakMemoryBytes)],
    ...Object.entries(versions),
  ];
  return makePage({
    title: `${shownArchitecture(arch)} trained`,
    intro: `<p class="soft">${escapeHtml(`${summary[0]!.toUpperCase()}${summary.slice(1)}`)}</p>`,
    figures: [lossFigure(epochs, hasAccuracy), ...(isSparse ? sparseFigures(epochs, prunable) : [])],
    plottingLibrary,
    sections: [
      { title: "Epochs", html: htmlTable(titles, rows) },
      {
        title: "To repeat it",
        html: `<pre><code>${escapeHtml(command)}</code></pre>\n${htmlTable(
          ["what", "value"],
          facts.map((row) => row.map((text) => ({ text }))),
        )}`,
      },
    ],
  });
}

function line(name: string, values: readonly number[], more: object = {}): object {
  const data = values.map((value, i) => [i + 1, Number.isFinite(value) ? rounded(value) : null]);
  return { name, type: "line", symbolSize: 4, data, ...more };
}

const epochAxis = () => figureAxis({ type: "value", name: "epoch", min: 1, minInterval: 1 });

function lossFigure(epochs: readonly TrainingReportEpoch[], hasAccuracy: boolean): Figure {
  const accuracy = line(
    "training accuracy",
    epochs.map((epoch) => epoch.accuracy),
    { yAxisIndex: 1 },
  );
  return {
    id: "loss",
    title: hasAccuracy ? "Loss and accuracy" : "Loss",
    caption:
      "Means over the training examples of each epoch, while the weights moved, with what rules add to the loss.",
    option: figureOption({
      grid: { left: 70, right: 70, top: 56, bottom: 60 },
      xAxis: epochAxis(),
      yAxis: [
        figureAxis({ type: "value", name: "loss", nameGap: 44, scale: true }),
        figureAxis({ type: "value", name: "accuracy (%)", nameGap: 44, scale: true, splitLine: { show: false } }),
      ].slice(0, hasAccuracy ? 2 : 1),
      series: [
        line(
          "training loss",
          epochs.map(({ loss }) => loss),
        ),
        ...(hasAccuracy ? [accuracy] : []),
      ],
    }),
  };
}

function sparseFigures(epochs: readonly TrainingReportEpoch[], prunable: number): readonly Figure[] {
  const figure = (
    spec: Pick<Figure, "id" | "title" | "caption"> & { axis: object; values: readonly number[] },
  ): Figure => {
    const { axis, values, ...rest } = spec;
    const yAxis = figureAxis({ type: "value", nameGap: 50, ...axis });
    return { ...rest, option: figureOption({ xAxis: epochAxis(), yAxis, series: [line(rest.title, values)] }) };
  };
  return [
    figure({
      id: "density",
      title: "Density",
      caption: "Prunable weights that are not zero at the end of each epoch.",
      axis: { name: "weights (%)", min: 0, max: 100 },
      values: epochs.map(({ nonzeros }) => (100 * (nonzeros ?? prunable)) / prunable),
    }),
    figure({
      id: "gradient-flow",
      title: "Gradient flow",
      caption:
        "The root of the mean over the steps of an epoch of the squared norm of the gradient of what is kept: where it falls to nothing, nothing is learned any more.",
      axis: { name: "norm", scale: true },
      values: epochs.map(({ gradientNorm = Number.NaN }) => gradientNorm),
    }),
  ];
}
