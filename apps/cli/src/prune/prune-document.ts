/** The JSON document of `secateur prune`: its keys are a contract, described in docs/cli.md. */
import type { Evaluation } from "@secateur/core";
import type { Recipe } from "../recipe/recipe.ts";
import type { PruneOutcome } from "./prune-network.ts";

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
  /** Mean training loss before the stage, where gradients were taken. */
  readonly loss?: number;
  /** Percent on the test split, where measured. */
  readonly accuracy?: number;
}

/** What `secateur prune --json` prints. */
export interface PruneDocument {
  readonly dense: Evaluation;
  readonly pruned: Evaluation;
  readonly sparsity: number;
  readonly nonzeros: number;
  readonly prunable: number;
  readonly objective: number;
  readonly layers: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly size: number;
    readonly nonzeros: number;
  }[];
  readonly stages: readonly StageDocument[];
  readonly timing: { readonly gradientMs: number; readonly solveMs: number; readonly totalMs: number };
  readonly peakMemoryBytes: number;
  readonly solver: string;
  readonly seed: number;
  readonly recipe: Recipe;
  readonly versions: Readonly<Record<string, string>>;
  /** Tensors that pruning leaves alone though they have two or more dimensions, of a TensorFlow.js model that has such. */
  readonly keptDense?: readonly { readonly weight: string; readonly reason: string }[];
  /** Absolute path of the pruned network; of a TensorFlow.js model its model.json. */
  readonly out: string;
}

/** Makes the document of a run. */
export function pruneDocument(spec: {
  outcome: PruneOutcome;
  recipe: Recipe;
  out: string;
  peakMemoryBytes: number;
  keptDense?: PruneDocument["keptDense"];
}): PruneDocument {
  const { outcome, recipe, out, peakMemoryBytes, keptDense = [] } = spec;
  const { result, dense, pruned } = outcome;
  return {
    dense,
    pruned,
    sparsity: result.sparsity,
    nonzeros: result.nonzeros,
    prunable: result.prunable,
    objective: result.objective,
    layers: result.layers.map(({ name, shape, size, nonzeros }) => ({ name, shape, size, nonzeros })),
    stages: result.stages.map((stage, index) => ({
      sparsity: stage.sparsity,
      objective: stage.objective,
      nonzeros: stage.nonzeros,
      status: stage.status,
      gradientMs: stage.gradientMs,
      solveMs: stage.solveMs,
      retrainMs: 0,
      stats: stage.stats,
      ...(stage.loss === undefined ? {} : { loss: stage.loss }),
      ...(index === result.stages.length - 1 ? { accuracy: pruned.accuracy } : {}),
    })),
    timing: result.timing,
    peakMemoryBytes,
    solver: recipe.solver,
    seed: recipe.seed,
    recipe,
    versions: recipe.versions,
    ...(keptDense.length === 0 ? {} : { keptDense }),
    out,
  };
}
