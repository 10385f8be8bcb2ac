/** Prunes a random case with one solver and compares with what masks alone give. */
import {
  createRunContext,
  type Dataset,
  isPruneError,
  layoutParams,
  type PruneRequest,
  type PruneResult,
  prune,
  type RunContext,
  readFlat,
  type Solver,
  selectorFrom,
  solverFrom,
  writeFlat,
} from "@secateur/core";
import { activations, estimators } from "@secateur/fisher";
import type { Network } from "@secateur/nn";
import { chita, chitaBso, chitaCd, chitaIht } from "@secateur/solvers-chita";
import { alps, layerLoop, layerwise, obc, sparseGpt } from "@secateur/solvers-layerwise";
import { cbs } from "./cbs/cbs.ts";
import { obs } from "./obs/obs.ts";
import { woodfisher } from "./obs/woodfisher.ts";
import type { RandomCase } from "./random-networks.test-support.ts";

/** The solvers that a campaign tries, by name: all that change the weights they keep. */
export const campaignSolvers: Readonly<Record<string, () => Solver>> = {
  chita: () => chita(),
  woodfisher: () => woodfisher(),
  cbs: () => cbs(),
  obs: () => obs(),
  "chita.bso": () => chitaBso(),
  "chita.iht": () => chitaIht(),
  "chita.cd": () => chitaCd(),
  layerwise: () => layerwise(),
  obc: () => obc(),
  alps: () => alps(),
  sparsegpt: () => sparseGpt(),
};

const magnitude: Solver = solverFrom(selectorFrom({ needs: {}, score: ({ w }) => w.data.map(Math.abs) }));

/** Mean losses of one run on its held-out examples; infinite where outputs are not finite. */
export interface Comparison {
  readonly pruned: number;
  /** Of the run's mask over the old weights. */
  readonly mask: number;
  /** Of magnitude's mask over them. */
  readonly magnitude: number;
  /** Whether all weights are finite numbers. */
  readonly isFinite: boolean;
  readonly result: PruneResult;
}

/** How many times the loss is what it must not exceed: for chita that of magnitude's mask, for others that of their own. */
export function worseThan({ pruned, mask, magnitude }: Comparison, solver: string): number {
  const bound = solver === "chita" ? magnitude : mask;
  // Losses below are those of networks without an error left.
  const negligible = 1e-6;
  return pruned === bound ? 1 : (pruned + negligible) / (bound + negligible);
}

/** What a run gave, or the error that ended it. */
export async function comparison(
  one: RandomCase,
  spec: { solver: string; request?: Partial<PruneRequest> },
): Promise<Comparison | { readonly error: unknown }> {
  const ctx = createRunContext();
  const network = one.copy();
  const params = layoutParams(network);
  const before = await readFlat(network, params);
  try {
    const solver = campaignSolvers[spec.solver]!();
    const result = await prune({
      model: network,
      solver,
      data: one.train,
      sparsity: one.sparsity,
      ...(solver.scope === "layers"
        ? { layers: { loop: layerLoop(), curvature: activations() } }
        : { curvature: estimators }),
      seed: one.index,
      ...spec.request,
    });
    const after = await readFlat(network, params);
    const byMagnitude = await prune({ model: one.copy(), solver: magnitude, sparsity: one.sparsity });
    const masked = (kept: Uint8Array) => before.map((value, j) => (kept[j] === 1 ? value : 0));
    const at = async (flat: Float32Array): Promise<number> => {
      await writeFlat(network, params, flat);
      return await lossOf(network, one.heldOut, ctx);
    };
    return {
      pruned: await at(after),
      mask: await at(masked(result.mask)),
      magnitude: await at(masked(byMagnitude.mask)),
      isFinite: after.every(Number.isFinite),
      result,
    };
  } catch (error) {
    return { error };
  }
}

async function lossOf(network: Network, data: Dataset, ctx: RunContext): Promise<number> {
  try {
    return (await network.evaluate(data, ctx)).loss;
  } catch (error) {
    if (isPruneError(error) && error.code === "ERR_NOT_FINITE") return Number.POSITIVE_INFINITY;
    throw error;
  }
}
