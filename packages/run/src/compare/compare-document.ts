/** The JSON document of `secateur compare`: its keys are a contract, described in docs/cli.md. */
import type { Evaluation, PruneResult, RunPlan } from "@secateur/core";

/** One method at one sparsity. */
export interface ComparedRun {
  readonly solver: string;
  /** The solver's own, with their defaults. */
  readonly options: Readonly<Record<string, unknown>>;
  /** As asked for. */
  readonly sparsity: number;
  readonly dense: Evaluation;
  readonly pruned: Evaluation;
  readonly result: Omit<PruneResult, "mask">;
  /** Whether the first stage's gradients were those of an earlier run. */
  readonly sharesGradients: boolean;
}

/** A run that ended with an error; the others are not touched by it. */
export interface FailedRun {
  readonly solver: string;
  readonly sparsity: number;
  readonly code: string;
  readonly message: string;
}

/** One run, as the document shows it. */
export interface ComparedDocument {
  readonly solver: string;
  readonly options: ComparedRun["options"];
  readonly sparsity: number;
  readonly accuracy: number;
  readonly loss: number;
  /** Everything that the task measures. */
  readonly measures: Evaluation["measures"];
  readonly nonzeros: number;
  readonly objective: number;
  /** What the weights after the last stage are; of "last", those before it, an objective of 0 says nothing. */
  readonly taken?: string;
  readonly stages: number;
  /** Gradient rows of the last stage, and its ridge, where gradients were taken. */
  readonly examples?: number;
  readonly ridge?: number;
  /** Present where the first stage's gradients were those that an earlier run had taken: `timing` does not count them. */
  readonly sharesGradients?: true;
  /** The solver's own numbers of the last stage. */
  readonly stats: Readonly<Record<string, number>>;
  readonly timing: { readonly gradientMs: number; readonly solveMs: number; readonly totalMs: number };
  readonly plan: RunPlan;
}

/** What `secateur compare --json` prints. */
export interface CompareDocument {
  readonly model: string;
  readonly modelSha256: string;
  readonly arch: string;
  readonly data: string;
  readonly dense: Evaluation;
  /** "calibration": there are no data set apart for testing, so everything is measured on what the runs worked with. */
  readonly measuredOn: "test" | "calibration";
  /** Statistics of batch normalisation were measured anew before `dense` was. */
  readonly remeasured?: true;
  readonly prunable: number;
  /** Weights left as they were by --keep-dense. */
  readonly keptDense?: readonly string[];
  readonly runs: readonly ComparedDocument[];
  /** Runs that ended with an error; absent where none did. */
  readonly failed?: readonly FailedRun[];
  /** Present where the comparison was interrupted: `runs` are those that were finished. */
  readonly interrupted?: true;
  readonly seed: number;
  readonly backend: string;
  /** Of all that decides the result: by this --resume knows a comparison that is finished. */
  readonly requestSha256: string;
  readonly peakMemoryBytes: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** Makes the document. At least one run. */
export function compareDocument(spec: {
  model: { path: string; sha256: string; arch: string };
  data: string;
  dense: Evaluation;
  measuredOn: "test" | "calibration";
  remeasured: boolean;
  keptDense: readonly string[];
  runs: readonly ComparedRun[];
  failed: readonly FailedRun[];
  isInterrupted: boolean;
  seed: number;
  backend: string;
  requestSha256: string;
  versions: Readonly<Record<string, string>>;
  peakMemoryBytes: number;
}): CompareDocument {
  const { model, data, dense, keptDense, runs, seed, backend } = spec;
  return {
    model: model.path,
    modelSha256: model.sha256,
    arch: model.arch,
    data,
    dense,
    measuredOn: spec.measuredOn,
    ...(spec.remeasured ? { remeasured: true as const } : {}),
    prunable: runs[0]!.result.prunable,
    ...(keptDense.length === 0 ? {} : { keptDense }),
    runs: runs.map(({ solver, options, sparsity, pruned, result, sharesGradients }) => {
      // A network of zeros has no stages.
      const last = result.stages[result.stages.length - 1];
      return {
        solver,
        options,
        sparsity,
        accuracy: pruned.accuracy,
        loss: pruned.loss,
        measures: pruned.measures,
        nonzeros: result.nonzeros,
        objective: result.objective,
        ...(last ? { taken: last.taken } : {}),
        stages: result.stages.length,
        ...(last?.examples === undefined ? {} : { examples: last.examples }),
        ...(last?.ridge === undefined ? {} : { ridge: last.ridge }),
        ...(sharesGradients ? { sharesGradients } : {}),
        stats: last?.stats ?? {},
        timing: result.timing,
        plan: result.plan,
      };
    }),
    ...(spec.failed.length === 0 ? {} : { failed: spec.failed }),
    ...(spec.isInterrupted ? { interrupted: true as const } : {}),
    ...{ seed, backend, requestSha256: spec.requestSha256 },
    peakMemoryBytes: spec.peakMemoryBytes,
    versions: spec.versions,
  };
}
