/** The figures of a report about one run or several. */
import type { ReportRun } from "@secateur/core";
import { accuracyFigure } from "./accuracy-figure.ts";
import { type Figure, mostColours } from "./figure.ts";
import { pairFigures } from "./pair-figures.ts";
import { roundFigures } from "./round-figures.ts";
import { layersBySparsity, layersFigure, runTimesFigure } from "./run-figures.ts";
import {
  lossFigure,
  objectiveFigures,
  stageObjectivesFigure,
  stagesFigure,
  stageTimesFigure,
} from "./stage-figures.ts";

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
