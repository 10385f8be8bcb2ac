/**
 * How to train a network that does not say how it was trained. A range test (Smith 2017, section 3.3): the network is pruned by magnitude as
 * far as the first round goes, trained for a few steps at rates from low to high, and measured on held-out training examples. Few steps
 * favour low rates: what a high one shakes loose is not settled yet. So the three highest that come near the lowest loss are trained four times
 * longer, and taken is the highest whose loss is then within 3 % of the lowest. At that rate the usual random changes of images are kept where
 * they lower the loss. Departure from the paper: every rate starts from the same weights and falls to 0, so that a rate is told by where
 * it leads and not by when the loss begins to rise.
 */
import {
  type Budget,
  type BudgetRule,
  bindBudget,
  type Dataset,
  isPruneError,
  layoutParams,
  type Mask,
  type Model,
  type RunContext,
  readFlat,
  sampleIndices,
  sparsityConstraint,
  subset,
  type Task,
  weightMask,
} from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { phaseSparsities } from "@secateur/imp-scheduler";
import { createRetrainer, type Network } from "@secateur/nn";
import { augmentationOf, usualChanges } from "../norm/batch-norm.ts";
import { assumedTraining, completeSettings } from "./complete-settings.ts";
import type { RetrainSettings } from "./retrain-schema.ts";
import type { TrainingRecord } from "./training-record.ts";
import { optimizerOf, peakRates } from "./training-settings.ts";

/** Multiples of the rate that `train` takes by default, ascending; the last ones only while nothing lower was clearly better. */
const multiples = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30];
/** A loss so many times the lowest ends the climb: higher rates only lead farther away. */
const hopeless = 1.5;
/** A rate is tried longer, and a higher rate than the usual one tried at all, for a loss so many times the lowest. */
const promising = 1.1;
const mostPromising = 3;
/** Of those the highest is taken for a loss so many times the lowest. */
const nearlyBest = 1.03;
/** What a short and a long trial train on, as a share of what the retraining will see, at least so many examples and at most all of them once. */
const short = { share: 1 / 24, fewest: 512 };
const long = { share: 1 / 6, fewest: 1024 };
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
  /** Of channels in groups: the model whose parameters they are, how many of them may stay, and masks of the network from masks of groups. */
  readonly grouped?: {
    readonly model: Model;
    readonly budget: Budget | BudgetRule | undefined;
    memberMasks(masks: ReadonlyMap<string, Mask>): ReadonlyMap<string, Mask>;
  };
  /** What pixels are changed to at the border. */
  readonly normalisation: DatasetSplits["normalisation"];
}

/** A rate, and the loss on held-out examples that it led to. */
interface Tried {
  readonly rate: number;
  readonly loss: number;
}

/** A training, and what speaks for it. */
export interface FoundTraining extends TrainingRecord {
  /** By rate, as far as it was tried shortly. */
  readonly losses: readonly Tried[];
  /** Of those that were tried longer; none where there was no choice. */
  readonly longer: readonly Tried[];
}

/**
 * Tries rates and changes of images. Time: about that of the retraining at most, up to nine short trials of a 24th and four long ones of a sixth of it,
 * where that is more examples than the least of a trial.
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
  const trial = async (rate: number, changes: Changes, length: typeof short): Promise<number> => {
    restore();
    for (const [name, mask] of masks) {
      const { data } = network.weights.get(name)!;
      for (let j = 0; j < data.length; j++) data[j] = data[j]! * mask[j]!;
    }
    return await lossAfter({ ...spec, rate, changes, masks, length }, ctx);
  };
  const given = { cropPadding: settings.cropPadding ?? 0, flip: settings.flip ?? false };
  // Rounded, so that the recipe and the note say 0.0003 and not 0.00030000000000000003.
  const rates =
    settings.learningRate === undefined
      ? multiples.map((m) => Number((m * peakRates[optimizer]).toPrecision(3)))
      : [settings.learningRate];
  const losses: Tried[] = [];
  try {
    for (const rate of rates) {
      const loss = await trial(rate, given, short);
      losses.push({ rate, loss });
      // Rates beyond the usual one are for networks whose loss still falls there.
      const limit = rate < peakRates[optimizer] ? hopeless : promising;
      if (!Number.isFinite(loss) || loss > limit * lowest(losses)) break;
    }
    const chosen = near(losses, promising).slice(-mostPromising);
    const isOpen = settings.cropPadding === undefined && settings.flip === undefined;
    const usual = isOpen ? usualChanges(spec.train) : undefined;
    const longer: Tried[] = [];
    // Where nothing is left to choose, nothing is tried longer.
    if (chosen.length > 1 || usual) {
      for (const { rate } of chosen) longer.push({ rate, loss: await trial(rate, given, long) });
    }
    // Where every training diverged, the least harm is at the lowest rate: no loss speaks for a higher one.
    const best = near(longer, nearlyBest).at(-1) ?? chosen.at(-1) ?? losses[0]!;
    const changes = usual && (await trial(best.rate, usual, long)) < best.loss ? usual : given;
    return { ...assumedTraining, optimizer, learningRate: best.rate, ...changes, losses, longer };
  } finally {
    restore();
  }
}

interface Changes {
  readonly cropPadding: number;
  readonly flip: boolean;
}

function lowest(losses: readonly Tried[]): number {
  return losses.reduce((least, { loss }) => Math.min(least, loss), Number.POSITIVE_INFINITY);
}

function near(losses: readonly Tried[], times: number): readonly Tried[] {
  return losses.filter(({ loss }) => Number.isFinite(loss) && loss <= times * lowest(losses));
}

/** The largest magnitudes of the whole network that the first round keeps, or the groups of largest norm, by parameter. */
async function firstMasks(
  { network, params, sparsity, settings, grouped }: RangeTest,
  { kernels }: RunContext,
): Promise<ReadonlyMap<string, Mask>> {
  const phases = typeof settings.phases === "number" ? settings.phases : 1;
  const [first = sparsity] = settings.sparsities ?? phaseSparsities({ target: sparsity, phases });
  const model = grouped?.model ?? network;
  const places = layoutParams(model, params);
  const weights = await readFlat(model, places);
  const { budget } = grouped ?? {};
  const bound = budget && !("constraint" in budget) ? bindBudget(budget, places) : undefined;
  const mask = bound
    ? weightMask(bound.units, bound.constraint(first, kernels).select(bound.units.reduce(weights.map((x) => x * x))))
    : sparsityConstraint({ count: weights.length, sparsity: first, kernels }).select(weights.map(Math.abs));
  const masks = new Map(places.map(({ name, start, size }) => [name, mask.subarray(start, start + size)]));
  return grouped?.memberMasks(masks) ?? masks;
}

/** Trains the network as it is, and measures it on held-out examples. */
async function lossAfter(
  spec: RangeTest & {
    rate: number;
    changes: Changes;
    masks: ReadonlyMap<string, Mask>;
    length: typeof short;
  },
  ctx: RunContext,
): Promise<number> {
  const { network, settings, sparsity, train, heldOut, task, normalisation, rate, changes, masks, length } = spec;
  const wanted = Math.max(length.fewest, Math.floor(length.share * settings.epochs * train.size));
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
  const steps = retrainer.stepsPerEpoch;
  try {
    await retrainer.retrain(
      { epochs: 1, learningRate: (step) => rate * (1 - step / steps), masks },
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
