/** How far a run that trains between stages has come. */
import type { Mask } from "../problem/matrix.ts";
import type { Note } from "../problem/note.ts";
import type { StoppingState } from "./early-stopping.ts";
import type { RetrainingState, StateTensor } from "./retrainer.ts";
import type { RoundReport } from "./round-report.ts";

/** The numbers of a round between its pruning and the end of its training. */
export type OpenRound = Pick<
  RoundReport,
  "before" | "pruned" | "taken" | "pruningDistance" | "stages" | "pruneMs" | "retrainMs"
> & {
  /** Of its pruning. */
  readonly notes: readonly Note[];
  /** Norm of the prunable weights before and right after pruning, and the fraction of the kept weights that it took. */
  readonly normBefore: number;
  readonly normAfter: number;
  readonly prunedFraction: number;
};

/** The part of a state that only runs with training have. */
export interface TrainingProgress {
  /** Of the rounds that are over. */
  readonly rounds: readonly RoundReport[];
  /** All tensors of the model at the start of the present round's pruning, or once that is over at the start of its training. */
  readonly tensors: readonly StateTensor[];
  /** Mask at the start of the present round. */
  readonly mask: Mask;
  /** The end of the training before, where a later round goes on with its optimizer. */
  readonly trained?: RetrainingState;
  /** The present round after its pruning; `training` is there from the first epoch on. */
  readonly open?: {
    readonly round: OpenRound;
    readonly training?: RetrainingState;
    readonly stopping?: StoppingState;
  };
}
