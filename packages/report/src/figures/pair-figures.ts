/** Figures of runs named SELECTOR+UPDATER: what the choice of weights and what the update contributes. */

import { mainMeasure, type ReportRun } from "@secateur/core";
import { formatFraction, measureTitle } from "../text/format.ts";
import { type Figure, figureAxis, figureOption } from "./figure.ts";

interface Pair {
  readonly selector: string;
  readonly updater: string;
  readonly run: ReportRun;
}

/** One figure a sparsity at which at least two pairs ran: selectors along the axis, a bar an updater. */
export function pairFigures(runs: readonly ReportRun[]): readonly Figure[] {
  const pairs = runs.flatMap((run): Pair[] => {
    const plus = run.solver.indexOf("+");
    return plus < 0 ? [] : [{ selector: run.solver.slice(0, plus), updater: run.solver.slice(plus + 1), run }];
  });
  const sparsities = [...new Set(pairs.map(({ run }) => run.sparsity))];
  return sparsities.flatMap((sparsity, index): Figure[] => {
    const here = pairs.filter(({ run }) => run.sparsity === sparsity);
    if (here.length < 2) return [];
    const selectors = [...new Set(here.map(({ selector }) => selector))];
    const updaters = [...new Set(here.map(({ updater }) => updater))];
    const measure = mainMeasure(runs[0]!.dense);
    const reached = (selector: string, updater: string): number | null => {
      const pair = here.find((one) => one.selector === selector && one.updater === updater);
      return pair ? Number(mainMeasure(pair.run.pruned).value.toPrecision(6)) : null;
    };
    return [
      {
        id: `pairs-${index + 1}`,
        title: `Selectors and updaters at ${formatFraction(sparsity)}`,
        caption: `Which weights are kept (along the axis), and how the kept ones are found (the bars): ${measure.name} on the ${runs[0]!.measuredOn ?? "test"} examples.`,
        option: figureOption({
          xAxis: figureAxis({ type: "category", name: "selector", data: selectors }),
          yAxis: figureAxis({
            type: "value",
            name: measureTitle(measure),
            nameGap: 44,
            scale: true,
            boundaryGap: ["10%", "4%"],
          }),
          series: updaters.map((updater) => ({
            name: updater,
            type: "bar",
            barMaxWidth: 40,
            data: selectors.map((selector) => reached(selector, updater)),
          })),
        }),
      },
    ];
  });
}
