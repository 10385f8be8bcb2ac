/** Biases of a run that prunes layer by layer: fitted whenever weights have changed, so that layers keep the mean outputs of the dense network. */
import type { Model, RunContext } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { biasMatcher, type FittedOffsets } from "@secateur/solvers-layerwise";
import type { Session } from "../../session.ts";
import type { Remeasure } from "./batch-norm.ts";

/** What follows from the weights of a run, and what its loop over layers may fit. */
export interface Following {
  readonly recalibrate: Remeasure["recalibrate"] | undefined;
  readonly offsets: FittedOffsets;
}

/**
 * The statistics of batch normalisation, where they are measured anew, and biases.
 *
 * @param spec.network - the dense network: its mean outputs are measured
 * @param spec.recalibrate - measures the statistics
 * @param spec.examples - that biases are fitted on, at most; default 1024, as for the layers
 */
export async function followingBiases(spec: {
  readonly network: Model;
  readonly params: readonly string[];
  readonly data: DatasetSplits;
  readonly session: Session;
  readonly recalibrate: Remeasure["recalibrate"] | undefined;
  readonly examples?: number | undefined;
}): Promise<Following> {
  const { network: model, params, data, session, recalibrate, examples } = spec;
  const isNormMeasured = recalibrate !== undefined;
  const offsets = isNormMeasured ? "all" : "biases";
  const match = await biasMatcher(
    { model, params, data: data.train, isNormMeasured, ...(examples === undefined ? {} : { examples }) },
    session.context(),
  );
  if (!match) return { offsets, recalibrate };
  return {
    offsets,
    async recalibrate(ctx: RunContext) {
      await recalibrate?.(ctx);
      // The same examples every time, whichever random numbers the run has drawn.
      await match(ctx);
    },
  };
}
