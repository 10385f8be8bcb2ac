import type { Dataset } from "../data/dataset.ts";
import type { Model } from "../data/model.ts";
import { countZeros, type FlatParam, weightReuse } from "../problem/flat-weights.ts";
import type { RunSituation } from "./plan.ts";

/**
 * What a plan is made for: the size of the task.
 *
 * @param spec.params - the prunable parameters, as `layoutParams` gives them
 * @param spec.weights - flat weights of those [p]
 * @param spec.sparsity - fraction to remove, in [0, 1)
 * @param spec.data - the training split; absent: no examples
 * @param spec.heldOut - examples held out of it already, on which steps are accepted; absent: the run sets some aside itself
 */
export function runSituation(spec: {
  model: Model;
  params: readonly FlatParam[];
  weights: Float32Array;
  sparsity: number;
  data?: Dataset;
  heldOut?: Dataset;
}): RunSituation {
  const { model, params, weights, sparsity, data, heldOut } = spec;
  const classes = Math.max(0, ...model.outputs.map((output) => output.classes ?? 0));
  return {
    sparsity,
    prunable: weights.length,
    initialSparsity: countZeros(weights) / weights.length,
    examples: data?.size ?? 0,
    weightReuse: weightReuse(params),
    layers: params.map(({ rows, cols, groups = 1, flopsPerWeight }) => ({
      ...{ rows, cols, groups, positions: flopsPerWeight / 2 },
    })),
    ...(classes > 0 ? { classes } : {}),
    hasLayerMoments: model.layerMoments !== undefined,
    // Nothing is compared on examples that a model cannot evaluate.
    ...(heldOut || !model.evaluate ? { heldOut: 0 } : {}),
  };
}
