/** What the progress line of a run says, computed from its events; drawing it is somebody else's work. */
import type { RunEvent } from "@secateur/core";
import { formatDuration, formatNumber } from "./format.ts";

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
  "batch-norm": "measuring batch statistics",
  load: "loading data",
};

/** Follows the events of one run. */
export function followProgress(now: () => number): (event: RunEvent) => ProgressLine | undefined {
  let stages = 0;
  let stage: { index: number; sparsity: number } | undefined;
  let round: { index: number; rounds: number; sparsity: number } | undefined;
  let runStarted = 0;
  let stageStarted = 0;
  let taskStarted = 0;
  let task = "";
  /** Of a task that was under way already, such as a resumed training: what was done before. */
  let before = 0;
  return (event) => {
    if (event.type === "round:start") round = event;
    if (event.type === "round:end") round = undefined;
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
      before = event.total && event.done > 1 ? event.done / event.total : 0;
    }
    const inTask = event.total ? Math.min(1, event.done / event.total) : undefined;
    // With several stages the whole run is what people wait for; a stage's own tasks only move the text.
    const isStaged = stage !== undefined && stages > 1;
    const fraction = isStaged ? stage!.index / stages : inTask;
    const spent = isStaged ? stageStarted - runStarted : now() - taskStarted;
    // A narrow terminal cuts the end off, so what matters most comes first.
    const parts = [
      ...describeRound(round),
      ...describeStage(stage, stages),
      ...timeLeft(fraction, spent, isStaged ? 0 : before),
      ...describeTask(event),
    ];
    return { fraction, text: parts.join(", ") };
  };
}

function describeRound(round: { index: number; rounds: number; sparsity: number } | undefined): readonly string[] {
  if (!round || round.rounds === 1) return [];
  return [`round ${round.index + 1}/${round.rounds} to ${(100 * round.sparsity).toFixed(1)} %`];
}

function describeStage(stage: { index: number; sparsity: number } | undefined, stages: number): readonly string[] {
  if (!stage || stages === 1) return [];
  return [`stage ${stage.index + 1}/${stages} to ${(100 * stage.sparsity).toFixed(1)} %`];
}

function timeLeft(fraction: number | undefined, spentMs: number, before: number): readonly string[] {
  if (!fraction || fraction >= 1 || fraction <= before || spentMs < 500) return [];
  return [`${formatDuration((spentMs * (1 - fraction)) / (fraction - before))} left`];
}

function describeTask({ task, done, total, values }: Extract<RunEvent, { type: "progress" }>): readonly string[] {
  const round = total === undefined && done > 0 ? [`round ${done}`] : [];
  // Keys of events are for programs: "imagesPerSecond" reads "images per second".
  const wordsOf = (key: string): string => key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  const { layer, layers, ...others } = values;
  const place = layer === undefined || layers === undefined ? [] : [`layer ${layer} of ${layers}`];
  const numbers = Object.entries(others).map(([name, value]) => `${wordsOf(name)} ${formatNumber(value)}`);
  return [taskNames[task] ?? task, ...round, ...place, ...numbers];
}
