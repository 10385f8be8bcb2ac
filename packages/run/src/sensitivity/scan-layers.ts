/** Prunes layers one at a time, each alone and from the trained weights, and measures what that costs. */
import {
  assertNeeds,
  type Evaluation,
  type FlatParam,
  forkContext,
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
  readonly measures: readonly LayerMeasure[];
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
}

/** Scans every layer at every sparsity. The network holds its own weights again afterwards. @throws ERR_ABORTED, ERR_INCOMPATIBLE */
export async function scanLayers(
  spec: ScanSpec & { sparsities: readonly number[] },
  ctx: RunContext,
): Promise<readonly LayerScan[]> {
  const { sparsities } = spec;
  const { params } = spec.pruner;
  const scans: LayerScan[] = [];
  const total = params.length * sparsities.length;
  for (const param of params) {
    const measures: LayerMeasure[] = [];
    for (const sparsity of sparsities) {
      const keep = keptCount(param.size, sparsity);
      const found = await pruneAndMeasure({ ...spec, names: [param.name], keep }, ctx);
      measures.push({ sparsity, accuracy: found.accuracy, loss: found.loss, value: mainMeasure(found).value });
      await ctx.tick({ task: "layers", done: scans.length * sparsities.length + measures.length, total });
    }
    scans.push({ name: param.name, shape: param.shape, size: param.size, measures });
  }
  return scans;
}

/** Prunes the named layers to `keep` weights in all, evaluates, and puts the trained weights back. */
export async function pruneAndMeasure(
  spec: ScanSpec & { names: readonly string[]; keep: number },
  ctx: RunContext,
): Promise<Evaluation> {
  const { network, pruner, names, keep } = spec;
  const inner = quietContext(forkContext(ctx, `${names.join(" ")} ${keep}`));
  try {
    await writeFlat(network, pruner.params, await pruner.prune(names, keep, inner));
    return await spec.evaluate(inner);
  } finally {
    await writeFlat(network, pruner.params, pruner.weights);
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
