/** What the progress line of a run says, computed from its events; drawing it is somebody else's work. */
import type { RunEvent } from "@secateur/core";
import { formatDuration, formatFraction, formatNumber } from "../text/format.ts";

/** The state of the progress line. */
export interface ProgressLine {
  /** Done, from 0 to 1; undefined while nobody knows. */
  readonly fraction: number | undefined;
  readonly text: string;
}

const taskNames: Readonly<Record<string, string>> = {
  gradients: "taking gradients",
  solve: "solving",
  evaluate: "evaluating",
  train: "training",
  load: "loading data",
};

/** Follows the events of one run. */
export function followProgress(now: () => number): (event: RunEvent) => ProgressLine | undefined {
  let stages = 0;
  let stage: { index: number; sparsity: number } | undefined;
  let runStarted = 0;
  let stageStarted = 0;
  let taskStarted = 0;
  let task = "";
  return (event) => {
    if (event.type === "run:start") {
      stages = event.stages;
      runStarted = now();
    }
    if (event.type === "stage:start") {
      stage = { index: event.index, sparsity: event.sparsity };
      stageStarted = now();
    }
    if (event.type === "stage:end" && event.index + 1 === stages) stage = undefined;
    if (event.type !== "progress") return undefined;
    if (event.task !== task || event.done <= 1) {
      task = event.task;
      taskStarted = now();
    }
    const inTask = event.total ? Math.min(1, event.done / event.total) : undefined;
    // With several stages the whole run is what people wait for; a stage's own tasks only move the text.
    const isStaged = stage !== undefined && stages > 1;
    const fraction = isStaged ? stage!.index / stages : inTask;
    const spent = isStaged ? stageStarted - runStarted : now() - taskStarted;
    return { fraction, text: [describe(event, stage, stages), timeLeft(fraction, spent)].filter(Boolean).join(", ") };
  };
}

function describe(
  event: Extract<RunEvent, { type: "progress" }>,
  stage: { index: number; sparsity: number } | undefined,
  stages: number,
): string {
  const parts: string[] = [];
  if (stage && stages > 1) parts.push(`stage ${stage.index + 1}/${stages} to ${formatFraction(stage.sparsity)}`);
  parts.push(taskNames[event.task] ?? event.task);
  if (event.total === undefined && event.done > 0) parts.push(`round ${event.done}`);
  for (const [name, value] of Object.entries(event.values)) parts.push(`${name} ${formatNumber(value)}`);
  return parts.join(", ");
}

function timeLeft(fraction: number | undefined, spentMs: number): string {
  if (!fraction || fraction >= 1 || spentMs < 500) return "";
  return `${formatDuration((spentMs * (1 - fraction)) / fraction)} left`;
}
