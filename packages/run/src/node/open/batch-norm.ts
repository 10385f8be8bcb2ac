/** Batch-normalisation statistics measured anew on the training split, with the random changes of images that training used. */
import { type RunContext, sampleIndices, subset } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { type Augmentation, type Network, reestimateBatchNorm } from "@secateur/nn";
import { flagWithoutEffect } from "../../errors.ts";
import type { AugmentationFlags, ReestimateTime } from "../../prune/augmentation.ts";
import type { Session } from "../../session.ts";

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
 * @throws ERR_USAGE where something was asked for that changes nothing
 */
export function batchNormFor(network: Network, asked: Partial<BatchNormSettings>): BatchNormSettings | undefined {
  const { when, cropPadding, flip } = asked;
  const hasAny = network.spec.layers.some(({ kind }) => kind === "batch-norm");
  const changes = cropPadding !== undefined ? "--crop-padding" : flip !== undefined ? "--flip" : undefined;
  if (!hasAny) {
    const flag = when !== undefined && when !== "never" ? "--reestimate-batch-norm" : changes;
    if (flag === undefined) return undefined;
    const reason = `network '${network.name}' has no batch normalisation for --reestimate-batch-norm to measure`;
    throw flagWithoutEffect({ flag, reason });
  }
  if (when === "never" && changes !== undefined) {
    throw flagWithoutEffect({ flag: changes, reason: "it belongs to --reestimate-batch-norm, which is 'never'" });
  }
  return { ...asked, when: when ?? "both" };
}

/** Training images that statistics are measured on around a pruning run, within it, and to choose random changes. */
const mostImages = 10_000;
const imagesWithin = 2048;
const imagesToChoose = 1024;

/** Measures statistics around a pruning run, as its settings say. */
export interface Remeasure {
  before(): Promise<void>;
  /** Between stages; undefined where they are not measured after pruning. */
  readonly settle?: (ctx: RunContext) => Promise<void>;
  after(): Promise<void>;
}

/** Measurements that a comparison makes once: `before` of a copy takes over what was measured of the first. */
export interface SharedRemeasure<M> extends Remeasure {
  /** The measurements of another copy of the same network, as it came from its file. After `before` only. */
  forCopy(copy: M): Remeasure;
}

/**
 * The measurements of a run, to be made in order. Unless the settings name them, the random changes of images are chosen by
 * the loss of training images: none, or the usual ones.
 *
 * @param spec.settings - of {@link batchNormFor}
 */
export function remeasuring(spec: {
  network: Network;
  data: DatasetSplits;
  settings: BatchNormSettings | undefined;
  session: Session;
}): SharedRemeasure<Network> {
  const { network, data, settings, session } = spec;
  const { when = "never" } = settings ?? {};
  let augmentation: Augmentation = {};
  let measured: ReadonlyMap<string, Float32Array | Float64Array> = new Map();
  const measure = async (copy: Network, ctx: RunContext, examples: number): Promise<void> => {
    await reestimateBatchNorm(copy, data.train, ctx, { examples, augmentation });
  };
  const isAfter = when === "after" || when === "both";
  const behind = (copy: Network): Omit<Remeasure, "before"> => ({
    ...(isAfter ? { settle: (ctx: RunContext) => measure(copy, ctx, imagesWithin) } : {}),
    after: async () => (isAfter ? await measure(copy, session.context(), mostImages) : undefined),
  });
  return {
    async before() {
      if (settings === undefined || when === "never") return;
      const isNamed = settings.cropPadding !== undefined || settings.flip !== undefined;
      augmentation = isNamed ? augmentationOf(settings, data) : await chooseChanges({ network, data, session });
      if (when === "after") return;
      await measure(network, session.context(), mostImages);
      measured = copyOf(network);
    },
    ...behind(network),
    forCopy: (copy) => ({ before: async () => restore(copy, measured), ...behind(copy) }),
  };
}

function copyOf({ weights }: Network): ReadonlyMap<string, Float32Array | Float64Array> {
  return new Map([...weights].map(([name, { data }]) => [name, data.slice()]));
}

function restore({ weights }: Network, saved: ReadonlyMap<string, Float32Array | Float64Array>): void {
  for (const [name, values] of saved) weights.get(name)!.data.set(values);
}

/**
 * No random changes, or cropping by an eighth and mirroring: whichever gives statistics under which training images have
 * the lower loss. A network has to meet the statistics that it was trained with. Leaves the network as it was.
 */
async function chooseChanges(spec: { network: Network; data: DatasetSplits; session: Session }): Promise<Augmentation> {
  const { network, data, session } = spec;
  const { train } = data;
  const shape = train.inputs[0]?.shape ?? [];
  const [height, width] = [shape[1] ?? 0, shape[2] ?? 0];
  if (shape.length !== 3 || Math.min(height, width) < 8) return {};
  const usual = augmentationOf({ cropPadding: Math.round(height / 8), flip: true }, data);
  const before = copyOf(network);
  const context = session.context();
  const count = Math.min(imagesToChoose, train.size);
  const judged = subset(train, sampleIndices(train.size, count, context.rng.fork("image changes")));
  const losses: number[] = [];
  for (const augmentation of [{}, usual]) {
    await reestimateBatchNorm(network, train, context, { examples: count, augmentation });
    losses.push((await network.evaluate(judged, context)).loss);
  }
  restore(network, before);
  const [plain = 0, changed = 0] = losses;
  const message = `statistics of batch normalisation are measured on ${changed < plain ? "randomly cropped and mirrored" : "unchanged"} training images: their loss is ${Math.min(changed, plain).toPrecision(3)}, else ${Math.max(changed, plain).toPrecision(3)} (--crop-padding and --flip say otherwise)`;
  session.onEvent({ type: "note", level: "info", code: "batch-norm", message });
  return changed < plain ? usual : {};
}
