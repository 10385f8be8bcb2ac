/** Layers pruned alone by a layer-wise solver, from their inputs in the dense network. */
import { type Dataset, type FlatParam, readFlat, type Solver } from "@secateur/core";
import { activations } from "@secateur/fisher";
import { pruneLayers } from "@secateur/solvers-layerwise";
import type { PrunableModel } from "../../prune/prunable-model.ts";
import type { LayerPruner } from "../../sensitivity/scan-layers.ts";

/** @param spec.data - the calibration examples, all of which are used */
export function layerPruner(spec: {
  network: PrunableModel;
  solver: Solver;
  params: readonly FlatParam[];
  weights: Float32Array;
  data: Dataset;
}): LayerPruner {
  const { network: model, solver, params, weights, data } = spec;
  const curvature = activations();
  return {
    params,
    weights,
    async prune(names, keep, ctx) {
      const size = params.reduce((sum, param) => sum + (names.includes(param.name) ? param.size : 0), 0);
      // Half a weight more, so that rounding down gives `keep`.
      const sparsity = Math.max(0, 1 - (keep + 0.5) / size);
      const allocation = names.length === 1 ? "uniform" : "auto";
      const request = { model, data, solver, curvature, sparsity, params: names, allocation } as const;
      await pruneLayers({ ...request, inputs: "parallel" }, ctx);
      return await readFlat(model, params);
    },
  };
}
