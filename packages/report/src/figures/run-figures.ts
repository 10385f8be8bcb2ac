/** What is drawn of each run beside the others: its layers, its times. */
import type { ReportRun } from "@secateur/core";
import { formatFraction } from "../text/format.ts";
import { type Figure, figureAxis, figureOption, mostColours, rounded, runLabel } from "./figure.ts";

/** Sparsity of every layer, one bar a run. */
export function layersFigure(runs: readonly ReportRun[]): Figure {
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
export function layersBySparsity(runs: readonly ReportRun[]): readonly Figure[] {
  const sparsities = [...new Set(runs.map(({ sparsity }) => sparsity))];
  return sparsities.flatMap((sparsity, index) => {
    const here = runs.filter((run) => run.sparsity === sparsity);
    if (here.length > mostColours) return [];
    const title = `Sparsity by layer at ${formatFraction(sparsity)}`;
    return [{ ...layersFigure(here), id: `layers-${index + 1}`, title }];
  });
}

/** Where the time of every run went, a bar a run. */
export function runTimesFigure(runs: readonly ReportRun[]): Figure {
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
