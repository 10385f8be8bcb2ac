import type { ReportRun, StageReport } from "@secateur/core";
import { lossUnit } from "./text/format.ts";

/** Whether a stage had a model made from gradients; without, it was H = I. */
export function takesGradients({ examples }: StageReport): boolean {
  return examples !== undefined;
}

/** The unit of a run's objectives: the loss's where they are models of it, none where they are distances of weights or outputs. */
export function objectiveUnit({ layers, stages, dense }: ReportRun): string {
  const isOfLayers = layers.some(({ relativeError }) => relativeError !== undefined);
  return isOfLayers || !stages.some(takesGradients) ? "" : lossUnit(dense);
}
