/** The one-shot problem of the benchmarks: MLPNet, n = 1000 rows of single examples, ridge 1e-4, no first-order term. */
import {
  createRunContext,
  type Dataset,
  type FactorView,
  factorCurvature,
  type Kernels,
  layoutParams,
  matrix,
  type Problem,
  readFlat,
  sparsityConstraint,
  weightUnits,
} from "@secateur/core";
import { empiricalFisher } from "@secateur/fisher";
import { freshNetwork } from "./bench-network.ts";

/** n */
export const rowCount = 1000;
/** As the public code's l2. */
const ridge = 1e-4;

/** The rows of G and the weights they were taken at. */
export interface Rows {
  readonly view: FactorView;
  readonly weights: Float32Array;
}

/** Gradient rows, with their ridge, at examples drawn by a seed. */
export async function takeRows(spec: { model: string; train: Dataset; seed: number; kernels: Kernels }): Promise<Rows> {
  const { model, train, seed, kernels } = spec;
  const network = await freshNetwork(model);
  const params = layoutParams(network);
  const estimator = empiricalFisher({ examples: rowCount, batch: 1, ridge });
  const request = { model: network, data: train, params: params.map((param) => param.name) };
  const estimate = await estimator.estimate(request, createRunContext({ seed, kernels }));
  return { view: estimate.curvature().factor!(), weights: await readFlat(network, params) };
}

/** The problem of pruning the network of those rows to a sparsity. */
export function oneShotProblem({ view, weights }: Rows, sparsity: number, kernels: Kernels): Problem {
  const count = weights.length;
  return {
    id: "network",
    w: matrix(1, count, weights),
    curvature: factorCurvature(view),
    units: weightUnits(count),
    constraint: sparsityConstraint({ count, sparsity, kernels }),
  };
}
