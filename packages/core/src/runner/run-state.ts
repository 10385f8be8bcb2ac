/** A run at the moments where it can be continued: plain data, for whoever keeps it. */

import { describeDifferences } from "../describe-differences.ts";
import { resumeMismatch } from "../errors.ts";
import type { Mask } from "../problem/matrix.ts";
import type { TrainingProgress } from "../retraining/training-progress.ts";
import type { Stage } from "../stages/stage.ts";
import type { StageReport } from "./run-stage.ts";

/** Everything that the rest of a run depends on besides its settings, its data and the dense model. */
export interface RunState {
  /** Stages of the list whose pruning is done. */
  readonly stage: number;
  /** Flat prunable weights after them, before any training that follows. */
  readonly weights: Float32Array;
  /** Their mask [p]: a kept weight may happen to be zero. */
  readonly mask: Mask;
  /** Identifies the run: sizes, plan, seed, kernels. */
  readonly fingerprint: string;
  /** Of the stages that pruned. */
  readonly reports: readonly StageReport[];
  /** Of a run that trains between stages. */
  readonly training?: TrainingProgress;
}

/** Refuses a state of another run, or one that contradicts itself. @throws ERR_RESUME */
export function assertResumable(
  state: RunState,
  run: { fingerprint: string; prunable: number; stages: readonly Stage[] },
): void {
  const { fingerprint, prunable, stages } = run;
  if (state.fingerprint !== fingerprint) throw resumeMismatch(describeDifferences(state.fingerprint, fingerprint));
  const { weights, mask, reports, stage } = state;
  const pruned = stages.slice(0, stage).filter(({ prunes }) => prunes).length;
  if (weights.length === prunable && mask.length === prunable && reports.length === pruned && stage <= stages.length) {
    return;
  }
  throw resumeMismatch(
    `it holds ${weights.length} weights and ${reports.length} reports after stage ${stage}, where ${prunable} weights and ${pruned} reports belong`,
  );
}
