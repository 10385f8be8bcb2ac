/** Objectives and losses over the rounds of a solver and over the stages of a run. */
import type { ReportRun } from "@secateur/core";
import type { EChartsCoreOption } from "echarts/core";
import { objectiveUnit, takesGradients } from "../report-run.ts";
import { formatCount, formatNumber, lossUnit, measureTitle } from "../text/format.ts";
import { type Figure, figureAxis, figureOption, mostColours, rounded, runLabel } from "./figure.ts";

/**
 * The objective over the solver's rounds, of runs with one stage: with several, every stage has an objective of its own. A figure
 * a model: objectives compare only where they are of the same one.
 */
export function objectiveFigures(runs: readonly ReportRun[]): readonly Figure[] {
  const traced = runs.filter(({ stages }) => stages.length === 1 && (stages[0]!.trace?.length ?? 0) > 1);
  const models = [...new Set(traced.map(modelOf))];
  return models.flatMap((model, index) => {
    const here = traced.filter((run) => modelOf(run) === model);
    if (here.length > mostColours) return [];
    const figure = objectiveFigure(here, model);
    return [
      models.length === 1 ? figure : { ...figure, id: `objective-${index + 1}`, title: `${figure.title}: ${model}` },
    ];
  });
}

/** The quadratic model of a run's only stage, in words: runs that say the same have the same. */
function modelOf({ plan, stages }: ReportRun): string {
  const { examples, batch = 1, ridge } = stages[0]!;
  if (examples === undefined) return "no gradients";
  const rows = `${formatCount(examples)} examples${batch === 1 ? "" : ` in batches of ${formatCount(batch)}`}`;
  const damping = ridge === undefined ? "" : `, ridge ${formatNumber(ridge)}`;
  return `${plan.curvature ?? "gradients"} of ${rows}${damping}${plan.firstOrder ? ", with the first-order term" : ""}`;
}

function objectiveFigure(traced: readonly ReportRun[], model: string): Figure {
  const values = traced.flatMap(({ stages }) => stages[0]!.trace ?? []);
  return {
    id: "objective",
    title: "Objective over the rounds",
    caption: `The quadratic model of the loss, Q(w), after each round of the solver: ${model}.`,
    option: figureOption({
      xAxis: figureAxis({ type: "value", name: "round", minInterval: 1 }),
      yAxis: objectiveAxis(values, traced[0]!),
      series: traced.map((run) => ({
        name: runLabel(run),
        type: "line",
        symbol: "none",
        lineStyle: { width: 2 },
        data: run.stages[0]!.trace!.map((value, index) => [index + 1, value]),
      })),
    }),
  };
}

/** A logarithm shows decrease over decades; with the first-order term objectives may be negative. */
function objectiveAxis(values: readonly number[], run: ReportRun): EChartsCoreOption {
  const name = measureTitle({ name: "objective", unit: objectiveUnit(run) });
  const [least, greatest] = range(values);
  const isLogarithmic = least > 0 && greatest > 20 * least;
  return figureAxis({ type: isLogarithmic ? "log" : "value", name, nameGap: 54, scale: true });
}

/** The mean training loss before every stage, one line a run. */
export function lossFigure(runs: readonly ReportRun[]): Figure | undefined {
  const staged = runs.filter(({ stages }) => stages.length > 1 && stages.some(({ loss }) => loss !== undefined));
  if (staged.length === 0) return undefined;
  return {
    id: "loss",
    title: "Training loss before each stage",
    caption: "The mean training loss of the examples that gave a stage's gradients, before it.",
    option: figureOption({
      xAxis: figureAxis({ type: "value", name: "stage", min: 1, minInterval: 1 }),
      yAxis: figureAxis({ type: "value", name: trainingLossTitle(staged[0]!), nameGap: 44, scale: true }),
      series: staged.map((run) => stageSeries(run, ({ loss }) => loss)),
    }),
  };
}

function trainingLossTitle({ dense }: ReportRun): string {
  return measureTitle({ name: "training loss", unit: lossUnit(dense) });
}

/** The objective after every stage of one run. */
export function stageObjectivesFigure(run: ReportRun): Figure | undefined {
  const { stages } = run;
  if (stages.length < 2 || !stages.some(takesGradients)) return undefined;
  return {
    id: "stage-objectives",
    title: "Objective after each stage",
    caption:
      "Each stage has its own quadratic model of the loss, taken at its own weights, so objectives of different stages do not compare: a value says how much the model expects its own stage to cost.",
    option: figureOption({
      xAxis: figureAxis({ type: "value", name: "stage", min: 1, minInterval: 1 }),
      yAxis: objectiveAxis(
        stages.map(({ objective }) => objective),
        run,
      ),
      series: [stageSeries(run, ({ objective }) => objective)],
    }),
  };
}

function stageSeries(run: ReportRun, value: (stage: ReportRun["stages"][number]) => number | undefined): object {
  return {
    name: runLabel(run),
    type: "line",
    symbolSize: 5,
    lineStyle: { width: 2 },
    data: run.stages.map((stage, index) => [index + 1, value(stage) ?? null]),
  };
}

/** Sparsity and training loss over the stages of one run. */
export function stagesFigure(run: ReportRun): Figure {
  const losses = run.stages.map(({ loss }) => (loss === undefined ? null : rounded(loss)));
  return {
    id: "stages",
    title: "Sparsity and loss over the stages",
    caption:
      "The sparsity each stage prunes to, and the mean training loss of the examples that gave its gradients, before it.",
    option: figureOption({
      grid: { left: 70, right: 70, top: 56, bottom: 60 },
      xAxis: figureAxis({ type: "category", name: "stage", data: stageNumbers(run) }),
      yAxis: [
        figureAxis({ type: "value", name: "sparsity (%)", nameGap: 44, max: 100 }),
        figureAxis({
          type: "value",
          name: trainingLossTitle(run),
          nameGap: 44,
          splitLine: { show: false },
          scale: true,
        }),
      ],
      series: [
        {
          name: "sparsity",
          type: "line",
          step: "middle",
          symbol: "none",
          data: run.stages.map(({ sparsity }) => rounded(100 * sparsity)),
        },
        { name: "training loss", type: "line", yAxisIndex: 1, symbolSize: 5, data: losses },
      ],
    }),
  };
}

/** Where the time of one run's stages went. */
export function stageTimesFigure(run: ReportRun): Figure {
  const bar = (name: string, values: readonly number[]) => ({
    name,
    type: "bar",
    stack: "time",
    data: values.map(rounded),
  });
  return {
    id: "times",
    title: "Time by stage",
    caption: "Milliseconds spent on gradients and on solving.",
    option: figureOption({
      xAxis: figureAxis({ type: "category", name: "stage", data: stageNumbers(run) }),
      yAxis: figureAxis({ type: "value", name: "ms", nameGap: 50 }),
      series: [
        bar(
          "gradients",
          run.stages.map(({ gradientMs }) => gradientMs),
        ),
        bar(
          "solving",
          run.stages.map(({ solveMs }) => solveMs),
        ),
      ],
    }),
  };
}

function stageNumbers(run: ReportRun): readonly string[] {
  return run.stages.map((_stage, index) => String(index + 1));
}

/** Smallest and largest; traces may be too long to be spread as arguments. */
function range(values: readonly number[]): [number, number] {
  return values.reduce(([least, greatest], value) => [Math.min(least, value), Math.max(greatest, value)], [
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ] as [number, number]);
}
