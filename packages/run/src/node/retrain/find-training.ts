/**
 * How to train a network that does not say how it was trained. A short range test (Smith 2017, section 3.3): the network is pruned by
 * magnitude as far as the first round goes, trained for a few steps at rates from low to high, and measured on held-out training examples;
 * taken is the highest rate that comes within 2 % of the lowest loss, since few steps favour low rates. At that rate the usual random
 * changes of images are kept where they lower the loss. Departure from the paper: every rate starts from the same weights and falls to 0,
 * so that a rate is told by where it leads and not by when the loss begins to rise.
 */
import {
  type Dataset,
  isPruneError,
  layoutParams,
  type Mask,
  type RunContext,
  readFlat,
  sampleIndices,
  sparsityConstraint,
  subset,
  type Task,
} from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { phaseSparsities } from "@secateur/imp-scheduler";
import { createRetrainer, type Network } from "@secateur/nn";
import { augmentationOf, usualChanges } from "../open/batch-norm.ts";
import { assumedTraining, completeSettings } from "./complete-settings.ts";
import type { RetrainSettings } from "./retrain-schema.ts";
import type { TrainingRecord } from "./training-record.ts";
import { optimizerOf, peakRates } from "./training-settings.ts";

/** Multiples of the rate that `train` takes by default, ascending; the last ones only while nothing lower was clearly better. */
const multiples = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30];
/** A loss so many times the lowest ends the climb: higher rates only lead farther away. */
const hopeless = 1.5;
/** A higher rate is taken for a loss so much above the lowest. */
const nearlyBest = 1.02;
/** Examples that a trial trains on, twice: a twelfth of what the retraining will see, within these bounds. */
const fewest = 512;
const most = 3072;
const passes = 2;
const trialsInAll = 12;
/** Held-out examples on which trials are compared. */
const compared = 512;

/** What a range test works on. */
export interface RangeTest {
  /** Left as it was. */
  readonly network: Network;
  /** Names of the weights that are pruned. */
  readonly params: readonly string[];
  readonly sparsity: number;
  /** What is known already is not tried. */
  readonly settings: RetrainSettings;
  /** Training examples, and held-out ones. */
  readonly train: Dataset;
  readonly heldOut: Dataset;
  readonly task: Task;
  /** What pixels are changed to at the border. */
  readonly normalisation: DatasetSplits["normalisation"];
}

/** A training, and the losses on held-out examples that speak for it. */
export interface FoundTraining extends TrainingRecord {
  /** By rate, as far as it was tried. */
  readonly losses: readonly { readonly rate: number; readonly loss: number }[];
}

/**
 * Tries rates and changes of images. Time: at most ten trainings on some 500 to 6,000 examples each.
 *
 * @throws what training throws but for outputs that are not finite, which count as an infinite loss
 */
export async function findTraining(spec: RangeTest, ctx: RunContext): Promise<FoundTraining> {
  const { network, settings } = spec;
  const dense = network.tensors();
  const restore = (): void => {
    for (const { name, data } of dense) network.weights.get(name)!.data.set(data);
  };
  const masks = await firstMasks(spec, ctx);
  const optimizer = settings.optimizer ?? assumedTraining.optimizer;
  const trial = async (rate: number, changes: { cropPadding: number; flip: boolean }): Promise<number> => {
    restore();
    for (const [name, mask] of masks) {
      const { data } = network.weights.get(name)!;
      for (let j = 0; j < data.length; j++) data[j] = data[j]! * mask[j]!;
    }
    return await lossAfter({ ...spec, rate, changes, masks }, ctx);
  };
  const given = { cropPadding: settings.cropPadding ?? 0, flip: settings.flip ?? false };
  // Rounded, so that the recipe and the note say 0.0003 and not 0.00030000000000000003.
  const rates =
    settings.learningRate === undefined
      ? multiples.map((m) => Number((m * peakRates[optimizer]).toPrecision(3)))
      : [settings.learningRate];
  const losses: { rate: number; loss: number }[] = [];
  try {
    for (const rate of rates) {
      const loss = await trial(rate, given);
      losses.push({ rate, loss });
      // Rates beyond the usual one are for networks whose loss still falls there.
      const limit = rate < peakRates[optimizer] ? hopeless : nearlyBest;
      if (!Number.isFinite(loss) || loss > limit * lowest(losses)) break;
    }
    // Where every training diverged, the least harm is at the lowest rate: no loss speaks for a higher one.
    const near = losses.filter(({ loss }) => Number.isFinite(loss) && loss <= nearlyBest * lowest(losses));
    const best = near.at(-1) ?? losses[0]!;
    const usual = usualChanges(spec.train);
    const isOpen = settings.cropPadding === undefined && settings.flip === undefined;
    const changes = isOpen && usual && (await trial(best.rate, usual)) < best.loss ? usual : given;
    return { ...assumedTraining, optimizer, learningRate: best.rate, ...changes, losses };
  } finally {
    restore();
  }
}

function lowest(losses: readonly { loss: number }[]): number {
  return losses.reduce((least, { loss }) => Math.min(least, loss), Number.POSITIVE_INFINITY);
}

/** The largest magnitudes of the whole network that the first round keeps, by parameter. */
async function firstMasks(
  { network, params, sparsity, settings }: RangeTest,
  { kernels }: RunContext,
): Promise<ReadonlyMap<string, Mask>> {
  const phases = typeof settings.phases === "number" ? settings.phases : 1;
  const [first = sparsity] = settings.sparsities ?? phaseSparsities({ target: sparsity, phases });
  const places = layoutParams(network, params);
  const weights = await readFlat(network, places);
  const mask = sparsityConstraint({ count: weights.length, sparsity: first, kernels }).select(weights.map(Math.abs));
  return new Map(places.map(({ name, start, size }) => [name, mask.subarray(start, start + size)]));
}

/** Trains the network as it is, and measures it on held-out examples. */
async function lossAfter(
  spec: RangeTest & {
    rate: number;
    changes: { cropPadding: number; flip: boolean };
    masks: ReadonlyMap<string, Mask>;
  },
  ctx: RunContext,
): Promise<number> {
  const { network, settings, sparsity, train, heldOut, task, normalisation, rate, changes, masks } = spec;
  const wanted = Math.min(most, Math.max(fewest, Math.floor((settings.epochs * train.size) / (passes * trialsInAll))));
  const some = (data: Dataset, count: number, label: string): Dataset =>
    subset(data, sampleIndices(data.size, Math.min(count, data.size), ctx.rng.fork(label)));
  const { schedule: _schedule, ...training } = completeSettings({ settings, record: undefined, sparsity });
  const retrainer = createRetrainer(network, {
    data: some(train, wanted, "range test"),
    task,
    batchSize: training.batchSize,
    optimizer: optimizerOf(training),
    weightDecay: training.weightDecay,
    labelSmoothing: training.labelSmoothing,
    ...(changes.cropPadding > 0 || changes.flip ? { augmentation: augmentationOf(changes, { normalisation }) } : {}),
  });
  const steps = passes * retrainer.stepsPerEpoch;
  try {
    await retrainer.retrain(
      { epochs: passes, learningRate: (step) => rate * (1 - step / steps), masks },
      { ...ctx, rng: ctx.rng.fork("range test") },
    );
    const { loss } = await network.evaluate(some(heldOut, compared, "range test held out"), ctx, { task });
    return Number.isFinite(loss) ? loss : Number.POSITIVE_INFINITY;
  } catch (error) {
    if (isPruneError(error) && notFiniteCodes.includes(error.code)) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

/** Training that diverges. */
const notFiniteCodes: readonly string[] = ["ERR_NOT_FINITE", "ERR_DIVERGED"];
