/** Batch-normalisation statistics measured anew on the training split, with the random changes of images that training used. */
import type { RunContext } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { type Augmentation, type Network, reestimateBatchNorm } from "@secateur/nn";
import { flagWithoutEffect } from "../errors.ts";
import type { AugmentationFlags, ReestimateTime } from "../flags/batch-norm-flags.ts";
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

/** When and how statistics of batch normalisation are measured anew around a pruning run. */
export interface BatchNormSettings extends AugmentationFlags {
  readonly when: ReestimateTime;
}

/**
 * What a pruning run does about batch normalisation: what was asked for, by default both before and after where the network
 * has any. Pruning shifts what every channel gives; before as well, so that accuracies before and after compare.
 *
 * @returns undefined for a network without batch normalisation
 * @throws ERR_USAGE where something was asked for that such a network does not have
 */
export function batchNormFor(network: Network, asked: Partial<BatchNormSettings>): BatchNormSettings | undefined {
  const { when, cropPadding, flip } = asked;
  if (network.spec.layers.some(({ kind }) => kind === "batch-norm")) {
    const settings = { when: when ?? "both", cropPadding: cropPadding ?? 0, flip: flip === true };
    if (settings.when !== "never") return settings;
    const flag = settings.cropPadding > 0 ? "--crop-padding" : settings.flip ? "--flip" : undefined;
    if (flag === undefined) return settings;
    throw flagWithoutEffect({ flag, reason: "it belongs to --reestimate-batch-norm, which is 'never'" });
  }
  const flag =
    when !== undefined && when !== "never"
      ? "--reestimate-batch-norm"
      : cropPadding
        ? "--crop-padding"
        : flip
          ? "--flip"
          : undefined;
  if (flag === undefined) return undefined;
  const reason = `network '${network.name}' has no batch normalisation for --reestimate-batch-norm to measure`;
  throw flagWithoutEffect({ flag, reason });
}

/** Training images that statistics are measured on around a pruning run, and within it. */
const mostImages = 10_000;
const imagesWithin = 2048;

/** Measures statistics around a pruning run, as its settings say. */
export interface Remeasure {
  before(): Promise<void>;
  /** Between stages; undefined where they are not measured after pruning. */
  readonly settle?: (ctx: RunContext) => Promise<void>;
  after(): Promise<void>;
}

/** The measurements of a run. @param spec.settings - of {@link batchNormFor} */
export function remeasuring(spec: {
  network: Network;
  data: DatasetSplits;
  settings: BatchNormSettings | undefined;
  session: Session;
}): Remeasure {
  const { network, data, settings, session } = spec;
  const { when = "never" } = settings ?? {};
  const measure = async (ctx: RunContext, examples: number): Promise<void> => {
    const augmentation = augmentationOf(settings ?? {}, data);
    await reestimateBatchNorm(network, data.train, ctx, { examples, augmentation });
  };
  const whole = (): Promise<void> => measure(session.context(), mostImages);
  const isAfter = when === "after" || when === "both";
  return {
    before: async () => (when === "before" || when === "both" ? await whole() : undefined),
    ...(isAfter ? { settle: (ctx: RunContext) => measure(ctx, imagesWithin) } : {}),
    after: async () => (isAfter ? await whole() : undefined),
  };
}
