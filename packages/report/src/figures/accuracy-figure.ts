/** Accuracy, or whatever a task measures first, against sparsity. */
import { gainOver, mainMeasure, type ReportRun } from "@secateur/core";
import { measureTitle } from "../text/format.ts";
import { type Figure, figureAxis, figureOption, mostColours, paper, rounded } from "./figure.ts";

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
