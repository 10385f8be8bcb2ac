/** Batch-normalisation statistics measured anew on the training split, with the random changes of images that training used. */
import type { DatasetSplits } from "@secateur/datasets";
import { type Augmentation, type Network, reestimateBatchNorm } from "@secateur/nn";
import { flagWithoutEffect } from "../errors.ts";
import type { AugmentationFlags } from "../flags/batch-norm-flags.ts";
import type { Session } from "./session.ts";

/** Random changes as flags ask for them, with borders as black as the data's own black. */
export function augmentationOf(flags: AugmentationFlags, { normalisation }: DatasetSplits): Augmentation {
  const { mean, std } = normalisation;
  return {
    cropPadding: flags.cropPadding ?? 0,
    flip: flags.flip === true,
    border: mean.map((value, channel) => (0 - value) / std[channel]!),
  };
}

/** Measures the statistics in place. @throws ERR_USAGE for a network that has none */
export async function reestimate(spec: {
  network: Network;
  data: DatasetSplits;
  flags: AugmentationFlags;
  session: Session;
}): Promise<void> {
  const { network, data, flags, session } = spec;
  const augmentation = augmentationOf(flags, data);
  const batches = await reestimateBatchNorm(network, data.train, session.context(), { augmentation });
  if (batches === 0) {
    throw flagWithoutEffect({
      flag: "--reestimate-batch-norm",
      reason: `network '${network.name}' has no batch normalisation`,
    });
  }
}
