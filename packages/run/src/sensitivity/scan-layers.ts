/** Prunes layers one at a time, each alone and from the trained weights, and measures what that costs. */
import {
  assertNeeds,
  type Evaluation,
  type FlatParam,
  forkContext,
  isPruneError,
  keptCount,
  mainMeasure,
  quietContext,
  type RunContext,
  type Solver,
  writeFlat,
} from "@secateur/core";
import type { PrunableModel } from "../prune/prunable-model.ts";
import type { NetworkGradients } from "./network-gradients.ts";

/** One layer pruned alone to one sparsity. */
export interface LayerMeasure {
  readonly sparsity: number;
  /** Percent of the held-out training examples; NaN for tasks that have no such measure. */
  readonly accuracy: number;
  /** The task's, as everywhere. */
  readonly loss: number;
  /** Of the measure by which layers are compared. */
  readonly value: number;
}

/** One layer over all sparsities. */
export interface LayerScan {
  readonly name: string;
  readonly shape: readonly number[];
  readonly size: number;
  /** Those that did not fail. */
  readonly measures: readonly LayerMeasure[];
}

/** A layer that could not be pruned to a sparsity; the others are not touched by it. */
export interface FailedLayer {
  readonly layer: string;
  readonly sparsity: number;
  readonly code: string;
  readonly message: string;
}

/** What a scan found, as far as it came. */
export interface NetworkScan {
  readonly layers: readonly LayerScan[];
  readonly failed: readonly FailedLayer[];
  readonly isInterrupted: boolean;
}

/** Prunes some layers of a network, from its own weights. */
export interface LayerPruner {
  readonly params: readonly FlatParam[];
  /** Flat weights [p] of the network as it is, in the order of `params`. */
  readonly weights: Float32Array;
  /**
   * The weights [p] with the named layers, in the network's order, pruned to `keep` weights in all. May change the network, which whoever asks puts back.
   */
  prune(names: readonly string[], keep: number, ctx: RunContext): Promise<Float32Array>;
}

/** What a scan works on. */
export interface ScanSpec {
  readonly network: PrunableModel;
  readonly pruner: LayerPruner;
  /** Measures the network on training examples that gave no gradients. */
  evaluate(ctx: RunContext): Promise<Evaluation>;
  /** What follows from the weights, such as statistics of batch normalisation, measured anew for those that the network has now. */
  readonly recalibrate?: ((ctx: RunContext) => Promise<void>) | undefined;
  /** Brings back what `recalibrate` changed, for the dense weights. */
  readonly restore?: (() => void) | undefined;
  /** Prunes the named layers to `keep` weights in all and measures, somewhere else; default: here. */
  readonly elsewhere?: (names: readonly string[], keep: number) => Promise<Evaluation>;
}

/**
 * Scans every layer at every sparsity that leaves it a weight. The network holds its own weights again afterwards. What fails, or an interrupt, costs
 * nothing of what was found before.
 *
 * @throws the first error, or ERR_ABORTED, where nothing was found
 */
export async function scanLayers(
  spec: ScanSpec & { sparsities: readonly number[]; onFailure: (failure: FailedLayer) => void },
  ctx: RunContext,
): Promise<NetworkScan> {
  const { sparsities, onFailure } = spec;
  const { params } = spec.pruner;
  const scans: LayerScan[] = [];
  const failed: FailedLayer[] = [];
  let firstError: unknown;
  let isInterrupted = false;
  const total = params.length * sparsities.length;
  for (const param of params) {
    const measures: LayerMeasure[] = [];
    for (const [turn, sparsity] of sparsities.entries()) {
      const keep = keptCount(param.size, sparsity);
      if (keep === 0) continue;
      try {
        const found = await pruneAndMeasure({ ...spec, names: [param.name], keep }, ctx);
        measures.push({ sparsity, accuracy: found.accuracy, loss: found.loss, value: mainMeasure(found).value });
        await ctx.tick({ task: "layers", done: scans.length * sparsities.length + turn + 1, total });
      } catch (error) {
        if (!isPruneError(error)) throw error;
        firstError ??= error;
        isInterrupted = error.code === "ERR_ABORTED";
        if (isInterrupted) break;
        const failure = { layer: param.name, sparsity, code: error.code, message: error.message };
        failed.push(failure);
        onFailure(failure);
      }
    }
    if (measures.length > 0 || !isInterrupted) {
      scans.push({ name: param.name, shape: param.shape, size: param.size, measures });
    }
    if (isInterrupted) break;
  }
  if (scans.every(({ measures }) => measures.length === 0)) throw firstError;
  return { layers: scans, failed, isInterrupted };
}

/** Prunes the named layers to `keep` weights in all, evaluates, and puts the trained weights back. */
export async function pruneAndMeasure(
  spec: ScanSpec & { names: readonly string[]; keep: number },
  ctx: RunContext,
): Promise<Evaluation> {
  const { network, pruner, names, keep } = spec;
  if (spec.elsewhere) return await spec.elsewhere(names, keep);
  const inner = quietContext(forkContext(ctx, `${names.join(" ")} ${keep}`));
  try {
    await writeFlat(network, pruner.params, await pruner.prune(names, keep, inner));
    await spec.recalibrate?.(inner);
    return await spec.evaluate(inner);
  } finally {
    await writeFlat(network, pruner.params, pruner.weights);
    spec.restore?.();
  }
}

/** Solves the problems of gradients. @throws ERR_INCOMPATIBLE */
export function gradientPruner(solver: Solver, gradients: NetworkGradients): LayerPruner {
  const { params, weights } = gradients;
  return {
    params,
    weights,
    async prune(names, keep, ctx) {
      const problem = gradients.problem(names, keep, ctx);
      assertNeeds(solver.name ?? "the solver", solver.needs, problem);
      const { w } = await solver.solve(problem, ctx);
      const pruned = weights.slice();
      for (const { name, start, size } of problem.layers ?? []) {
        const param = params.find((one) => one.name === name)!;
        pruned.set(Float32Array.from(w.data.subarray(start, start + size)), param.start);
      }
      return pruned;
    },
  };
}
