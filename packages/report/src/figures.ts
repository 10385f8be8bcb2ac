/** The figures of a report about one run or several. */

import { gainOver, mainMeasure, type ReportRun } from "@secateur/core";
import type { EChartsCoreOption } from "echarts/core";
import { type Figure, figureAxis, figureOption, mostColours, paper } from "./figure.ts";
import { pairFigures } from "./pair-figures.ts";
import { objectiveUnit, takesGradients } from "./report-run.ts";
import { roundFigures } from "./round-figures.ts";
import { formatCount, formatFraction, formatNumber, lossUnit, measureTitle } from "./text/format.ts";

/** All figures that the runs have numbers for. */
export function figures(runs: readonly ReportRun[]): readonly Figure[] {
  const [first] = runs;
  const single = runs.length === 1 ? first : undefined;
  // Of more runs than colours, bars and lines by run can no longer be told apart; the table has their numbers.
  const isReadable = runs.length <= mostColours;
  const candidates = [
    accuracyFigure(runs),
    ...pairFigures(runs),
    ...(isReadable ? [layersFigure(runs)] : layersBySparsity(runs)),
    ...objectiveFigures(runs),
    ...(single && single.stages.length > 1 ? [stagesFigure(single)] : isReadable ? [lossFigure(runs)] : []),
    // Objectives of different models have no common axis.
    ...(single ? [stageObjectivesFigure(single)] : []),
    ...(single && single.stages.length > 1 ? [stageTimesFigure(single)] : []),
    ...(single ? roundFigures(single) : []),
    ...(single ? [] : [runTimesFigure(runs)]),
  ];
  return candidates.filter((figure) => figure !== undefined);
}

/** The task's first measure against sparsity, one line a solver, from the dense network on. */
export function accuracyFigure(runs: readonly ReportRun[]): Figure {
  const solvers = [...new Set(runs.map(({ solver }) => solver))];
  const measure = mainMeasure(runs[0]!.dense);
  const { value: dense, name, unit } = measure;
  const sparsities = runs.map(({ sparsity }) => 100 * sparsity);
  const isSingle = runs.length === 1;
  const lowest = isSingle ? 0 : 5 * Math.max(0, Math.floor(Math.min(...sparsities) / 5) - 1);
  const best = bestSolver(runs);
  const series = solvers.map((solver, index) => {
    const points = runs
      .filter((run) => run.solver === solver)
      .map((run) => [rounded(100 * run.sparsity), rounded(mainMeasure(run.pruned).value)] as const)
      .sort((a, b) => a[0] - b[0]);
    return {
      name: solver,
      type: "line",
      symbolSize: 9,
      // Where colours come again, marks and lines are others.
      symbol: symbols[Math.floor(index / mostColours) % symbols.length],
      // Between the dense network and a single run nothing was measured, so no line is drawn.
      lineStyle: { width: isSingle ? 0 : 2.5, ...(index < mostColours ? {} : { type: "dotted" }) },
      // Every number is in the table; labels over each other say none.
      labelLayout: { hideOverlap: true },
      // Lines fall to the right, so right above and left below a point no line of its own runs.
      label: { ...valueLabel, ...(solver === best ? rightAbove : leftBelow) },
      data: isSingle
        ? [{ value: [0, rounded(dense)], label: rightBelow }, ...points.map((value) => ({ value, label: leftBelow }))]
        : points,
    };
  });
  const denseLine = {
    name: "before pruning",
    type: "line",
    symbol: "none",
    lineStyle: { type: "dashed", color: "#888888" },
    itemStyle: { color: "#888888" },
    data: [
      [lowest, rounded(dense)],
      [100, rounded(dense)],
    ],
  };
  return {
    id: "accuracy",
    title: `${name[0]!.toUpperCase()}${name.slice(1)} against sparsity`,
    caption: `The ${name} on the ${runs[0]!.measuredOn ?? "test"} examples, over the percentage of weights removed.`,
    option: figureOption({
      xAxis: figureAxis({ type: "value", name: "sparsity (%)", min: lowest, max: 100, interval: lowest < 70 ? 10 : 5 }),
      yAxis: figureAxis({
        type: "value",
        name: measureTitle(measure),
        nameGap: 44,
        scale: true,
        boundaryGap: ["10%", 0],
        ...(unit === "%" ? { max: 100 } : {}),
      }),
      series: [...series, denseLine],
    }),
  };
}

const symbols = ["emptyCircle", "triangle", "diamond", "rect"];

/** On the page's ground, so that lines of others do not run through the digits. */
const valueLabel = { show: true, formatter: "{@[1]}", color: "currentColor", backgroundColor: paper, padding: [1, 2] };
const rightAbove = { position: "right", offset: [0, -11] };
const leftBelow = { position: "left", offset: [0, 11] };
const rightBelow = { position: "right", offset: [0, 11] };

/** The solver whose measures are best on average: its labels stand above its line, those of the others below. */
function bestSolver(runs: readonly ReportRun[]): string {
  const mean = (solver: string) => {
    const own = runs.filter((run) => run.solver === solver);
    return own.reduce((sum, { pruned }) => sum + gainOver(0, mainMeasure(pruned)), 0) / own.length;
  };
  return runs.map(({ solver }) => solver).reduce((best, solver) => (mean(solver) > mean(best) ? solver : best));
}

/** Sparsity of every layer, one bar a run. */
function layersFigure(runs: readonly ReportRun[]): Figure {
  const names = runs[0]!.layers.map(({ name }) => name);
  // Names that would not stand beside each other are turned.
  const isTurned = names.reduce((sum, name) => sum + name.length + 2, 0) > 80;
  return {
    id: "layers",
    title: "Sparsity by layer",
    caption: "How much of each layer was removed: a global budget prunes layers unevenly.",
    option: figureOption({
      ...(isTurned ? { grid: { left: 70, right: 30, top: 72, bottom: 130 } } : {}),
      xAxis: figureAxis({
        type: "category",
        data: names,
        axisLabel: { color: "currentColor", ...(isTurned ? { rotate: 50 } : {}), hideOverlap: true },
      }),
      yAxis: figureAxis({ type: "value", name: "sparsity (%)", nameGap: 44, max: 100 }),
      series: runs.map((run) => ({
        name: runLabel(run),
        type: "bar",
        barMaxWidth: 60,
        data: run.layers.map(({ size, nonzeros }) => rounded(size === 0 ? 0 : 100 * (1 - nonzeros / size))),
      })),
    }),
  };
}

/** Of many runs: a figure a sparsity, so that a figure has as many bars a layer as there are solvers. */
function layersBySparsity(runs: readonly ReportRun[]): readonly Figure[] {
  const sparsities = [...new Set(runs.map(({ sparsity }) => sparsity))];
  return sparsities.flatMap((sparsity, index) => {
    const here = runs.filter((run) => run.sparsity === sparsity);
    if (here.length > mostColours) return [];
    const title = `Sparsity by layer at ${formatFraction(sparsity)}`;
    return [{ ...layersFigure(here), id: `layers-${index + 1}`, title }];
  });
}

/** Where the time of every run went, a bar a run. */
function runTimesFigure(runs: readonly ReportRun[]): Figure {
  const bar = (name: string, value: (run: ReportRun) => number) => ({
    name,
    type: "bar",
    stack: "time",
    barMaxWidth: 40,
    data: runs.map((run) => rounded(value(run) / 1000)),
  });
  return {
    id: "run-times",
    title: "Time by run",
    caption:
      "Seconds spent on gradients, on solving, and on the rest (trials of steps and ridges). Gradients that runs share are counted at the run that took them.",
    option: figureOption({
      grid: { left: 70, right: 30, top: 56, bottom: 120 },
      xAxis: figureAxis({
        type: "category",
        data: runs.map(runLabel),
        axisLabel: { color: "currentColor", rotate: 40, interval: 0 },
      }),
      yAxis: figureAxis({ type: "value", name: "seconds", nameGap: 50 }),
      series: [
        bar("gradients", ({ timing }) => timing.gradientMs),
        bar("solving", ({ timing }) => timing.solveMs),
        bar("the rest", ({ timing }) => Math.max(0, timing.totalMs - timing.gradientMs - timing.solveMs)),
      ],
    }),
  };
}

/**
 * The objective over the solver's rounds, of runs with one stage: with several, every stage has an objective of its own. A figure
 * a model: objectives compare only where they are of the same one.
 */
function objectiveFigures(runs: readonly ReportRun[]): readonly Figure[] {
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
function lossFigure(runs: readonly ReportRun[]): Figure | undefined {
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
function stageObjectivesFigure(run: ReportRun): Figure | undefined {
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
function stagesFigure(run: ReportRun): Figure {
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
function stageTimesFigure(run: ReportRun): Figure {
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

/** "chita at 90 %" */
function runLabel({ solver, sparsity }: ReportRun): string {
  return `${solver} at ${formatFraction(sparsity)}`;
}

/** Smallest and largest; traces may be too long to be spread as arguments. */
function range(values: readonly number[]): [number, number] {
  return values.reduce(([least, greatest], value) => [Math.min(least, value), Math.max(greatest, value)], [
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ] as [number, number]);
}

function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
