/** A run of phases at the moments where it can be continued: plain data, for whoever keeps it. */
import type { Mask, RetrainingState, RunState, StateTensor } from "@secateur/core";
import type { StoppingState } from "./early-stopping.ts";
import type { RoundReport } from "./round-report.ts";

/** The numbers of a phase between its pruning and the end of its retraining. */
export type OpenRound = Pick<
  RoundReport,
  "before" | "pruned" | "pruningDistance" | "stages" | "notes" | "plan" | "pruneMs" | "retrainMs"
> & {
  /** Norm of the prunable weights before and right after pruning, and the fraction of the kept weights that it took. */
  readonly normBefore: number;
  readonly normAfter: number;
  readonly prunedFraction: number;
};

/** Everything that the rest of a run depends on besides its settings and its data. */
export interface PhaseState {
  /** Finished phases. */
  readonly phase: number;
  readonly fingerprint: string;
  readonly rounds: readonly RoundReport[];
  /** Flat mask over the prunable weights. */
  readonly mask: Mask;
  /** The tensors of the model at the start of the present phase's present step. */
  readonly tensors: readonly StateTensor[];
  /** The end of the training before, where a later phase goes on with its optimizer. */
  readonly trained?: RetrainingState;
  /** The present phase's pruning, between two stages of the solver. */
  readonly pruning?: RunState;
  /** The present phase after its pruning, with flat weights right after it; training is there from the first epoch on. */
  readonly open?: {
    readonly round: OpenRound;
    readonly weights: Float32Array;
    readonly training?: RetrainingState;
    readonly stopping?: StoppingState;
  };
}
