/** The JSON document of `secateur prune`: its keys are a contract, described in docs/cli.md. */
import type { Evaluation, LimitReached, Note, RoundReport, RunLoss } from "@secateur/core";
import type { PruneOutcome } from "../../prune/prune-network.ts";
import type { CutNumbers } from "../cut/cut-numbers.ts";
import type { Recipe } from "../recipe/recipe.ts";

/** What a network was measured to be before and after, and on what. */
export interface Measured {
  readonly dense: Evaluation;
  readonly pruned: Evaluation;
  /** "calibration": there are no data set apart for testing, so both are measured on what the run worked with. */
  readonly measuredOn: "test" | "calibration";
  /** Statistics of batch normalisation were measured anew before `dense` was. */
  readonly remeasured?: true;
}

/** A pruning run with the evaluations around it. */
export interface RunOutcome extends Omit<PruneOutcome, "dense" | "pruned"> {
  /** Absent where there were no data to measure with. */
  readonly measured: Measured | undefined;
  /** What was cut out, where that was asked for and anything could be. */
  readonly cut?: CutNumbers;
  /** Time of everything around the stages: opening model and data, and measuring before and after. */
  readonly measureMs: number;
}

interface StageDocument {
  readonly sparsity: number;
  readonly objective: number;
  readonly nonzeros: number;
  readonly status: string;
  readonly gradientMs: number;
  readonly solveMs: number;
  readonly retrainMs: number;
  /** The solver's own numbers. */
  readonly stats: Readonly<Record<string, number>>;
  /** Milliseconds of the parts of a stage over layers, by name. */
  readonly partsMs?: Readonly<Record<string, number>>;
  /** Mean training loss before the stage, where gradients were taken. */
  readonly loss?: number;
  /** Percent on the test split, where measured. */
  readonly accuracy?: number;
  /** What the weights after it are: "step", "mask", "last" or "magnitude". */
  readonly taken: string;
}

/** What `secateur prune --json` prints. */
export interface PruneDocument extends Partial<Measured> {
  readonly sparsity: number;
  readonly nonzeros: number;
  readonly prunable: number;
  /** Limits on other things than the number of single weights: what was asked and what was reached, in the same measure. */
  readonly limits?: readonly LimitReached[];
  /** Channels that were cut out, with --cut: what is written is that much smaller than what was pruned. */
  readonly cut?: CutNumbers;
  readonly objective: number;
  readonly layers: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly size: number;
    readonly kept: number;
    readonly nonzeros: number;
    /** Of its outputs at the inputs it was solved for, where it was pruned as a layer. */
    readonly relativeError?: number;
    /** The same of its dense weights with the same zeros, before the others made up for them. */
    readonly maskedError?: number;
    readonly solveMs?: number;
    /** How its solver ended, as in `stages`. */
    readonly status?: string;
    /** Which of its algorithms the solver took, where it has several. */
    readonly method?: string;
  }[];
  /** Weights left as they were by --keep-dense; they count neither as prunable nor as non-zero. */
  readonly keptDense?: readonly string[];
  /** Which of its algorithms the solver took in the last stage, where it has several. */
  readonly method?: string;
  readonly stages: readonly StageDocument[];
  /** Rounds of pruning and retraining, with --retrain. */
  readonly rounds?: readonly RoundReport[];
  readonly timing: {
    readonly gradientMs: number;
    readonly solveMs: number;
    readonly retrainMs?: number;
    /** Opening model and data, and measuring before and after. */
    readonly measureMs: number;
    /** Of the whole run, those around its stages included. */
    readonly totalMs: number;
  };
  /** What has to be said, of stages and of the whole run, by code. */
  readonly notes: readonly Note[];
  /** Mean loss of training examples before and after, on which steps were accepted; absent with --retrain. */
  readonly trainingLoss?: RunLoss;
  readonly peakMemoryBytes: number;
  readonly solver: string;
  readonly seed: number;
  readonly recipe: Recipe;
  readonly versions: Readonly<Record<string, string>>;
  /** Tensors that pruning leaves alone though they have two or more dimensions, of a TensorFlow.js model that has such. */
  readonly unprunable?: readonly { readonly weight: string; readonly reason: string }[];
  /** Absolute path of the pruned network; of a TensorFlow.js model its model.json. */
  readonly out: string;
}

/** Makes the document of a run. */
export function pruneDocument(spec: {
  outcome: RunOutcome;
  recipe: Recipe;
  keptDense: readonly string[];
  out: string;
  peakMemoryBytes: number;
  /** What was decided before the run. */
  notes?: readonly Note[];
  unprunable?: NonNullable<PruneDocument["unprunable"]>;
}): PruneDocument {
  const { outcome, recipe, keptDense, unprunable = [], out, peakMemoryBytes, notes = [] } = spec;
  const { result, measured } = outcome;
  const { rounds } = result;
  const { method } = result.stages[result.stages.length - 1] ?? {};
  const retrainMs = retrainTimes(rounds, result.stages.length);
  return {
    ...measured,
    sparsity: result.sparsity,
    nonzeros: result.nonzeros,
    prunable: result.prunable,
    ...(result.limits ? { limits: result.limits } : {}),
    ...(outcome.cut ? { cut: outcome.cut } : {}),
    objective: result.objective,
    layers: result.layers,
    ...(keptDense.length === 0 ? {} : { keptDense }),
    ...(method === undefined ? {} : { method }),
    stages: result.stages.map((stage, index) => ({
      sparsity: stage.sparsity,
      objective: stage.objective,
      nonzeros: stage.nonzeros,
      status: stage.status,
      gradientMs: stage.gradientMs,
      solveMs: stage.solveMs,
      retrainMs: retrainMs[index]!,
      stats: stage.stats,
      ...(stage.partsMs ? { partsMs: stage.partsMs } : {}),
      taken: stage.taken,
      ...(stage.loss === undefined ? {} : { loss: stage.loss }),
      ...(measured && index === result.stages.length - 1 ? { accuracy: measured.pruned.accuracy } : {}),
    })),
    ...(rounds ? { rounds } : {}),
    timing: {
      ...result.timing,
      ...(rounds ? { retrainMs: rounds.reduce((sum, round) => sum + round.retrainMs, 0) } : {}),
      measureMs: outcome.measureMs,
    },
    notes: [...notes, ...result.notes],
    ...(result.loss ? { trainingLoss: result.loss } : {}),
    peakMemoryBytes,
    solver: recipe.solver,
    seed: recipe.seed,
    recipe,
    versions: recipe.versions,
    ...(unprunable.length === 0 ? {} : { unprunable }),
    out,
  };
}

/** The time of retraining after each stage: a round's stands at its last stage. */
function retrainTimes(rounds: readonly RoundReport[] | undefined, stages: number): readonly number[] {
  const times = new Array<number>(stages).fill(0);
  let end = 0;
  for (const round of rounds ?? []) {
    end += round.stages;
    if (end > 0) times[end - 1]! += round.retrainMs;
  }
  return times;
}
