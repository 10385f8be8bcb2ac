/** A run at the moments where it can be continued: plain data, for whoever keeps it. */

import { describeDifferences } from "../describe-differences.ts";
import { resumeMismatch } from "../errors.ts";
import type { Mask } from "../problem/matrix.ts";
import type { TrainingProgress } from "../retraining/training-progress.ts";
import type { Stage } from "../stages/stage.ts";
import type { StageReport } from "./run-stage.ts";

/** Everything that the rest of a run depends on besides its settings, its data and the dense model. */
export interface RunState {
  /** Stages of the list whose pruning is done, counted also where their training is ahead. */
  readonly stage: number;
  /** Flat prunable weights after them; after the training of the last, where that is done. */
  readonly weights: Float32Array;
  /** Their mask [p]: a kept weight may happen to be zero. */
  readonly mask: Mask;
  /** Identifies the run: what is pruned, by which solver and stages, on how many examples, seed, kernels, training. */
  readonly fingerprint: string;
  /** Of the stages that pruned. */
  readonly reports: readonly StageReport[];
  /** Of a run that trains between stages. */
  readonly training?: TrainingProgress;
}

/** Refuses a state of another run, or one that contradicts itself. @throws ERR_RESUME */
export function assertResumable(
  state: RunState,
  run: { fingerprint: string; prunable: number; stages: readonly Stage[]; isTrained: boolean },
): void {
  const { fingerprint, prunable, stages, isTrained } = run;
  if (state.fingerprint !== fingerprint) throw resumeMismatch(describeDifferences(state.fingerprint, fingerprint));
  const { weights, mask, reports, stage, training } = state;
  const pruned = stages.slice(0, stage).filter(({ prunes }) => prunes).length;
  if (weights.length === prunable && mask.length === prunable && reports.length === pruned && stage <= stages.length) {
    assertTraining(training, {
      prunable,
      isTrained,
      trainings: stages.slice(0, stage).filter(({ train }) => train).length,
    });
    return;
  }
  throw resumeMismatch(
    `it holds ${weights.length} weights and ${reports.length} reports after stage ${stage}, where ${prunable} weights and ${pruned} reports belong`,
  );
}

/** Whether the rounds belong to the stages: the last one's training may be ahead, or under way. */
function assertTraining(
  training: TrainingProgress | undefined,
  { prunable, isTrained, trainings }: { prunable: number; isTrained: boolean; trainings: number },
): void {
  if ((training !== undefined) !== isTrained) {
    throw resumeMismatch(`it is of a run ${training ? "with" : "without"} training`);
  }
  if (!training) return;
  const { rounds, mask, open } = training;
  const ahead = trainings - rounds.length;
  if (mask.length === prunable && (ahead === 1 || (ahead === 0 && !open))) return;
  throw resumeMismatch(
    `it holds ${rounds.length} rounds and a mask of ${mask.length} entries, where ${trainings} trainings have begun over ${prunable} weights`,
  );
}
