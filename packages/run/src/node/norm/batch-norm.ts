/** Batch-normalisation statistics measured anew on the training split, with the random changes of images that training used. */
import { createHash } from "node:crypto";
import { chooseTask, type Dataset, type RunContext, sampleIndices, subset, teacherDataset } from "@secateur/core";
import type { DatasetSplits } from "@secateur/datasets";
import { type Augmentation, type Network, reestimateBatchNorm } from "@secateur/nn";
import { flagWithoutEffect } from "../../errors.ts";
import type { AugmentationFlags, ReestimateTime } from "../../prune/augmentation.ts";
import type { Session } from "../../session.ts";

/** Random changes as flags ask for them, with borders as black as the data's own black. */
export function augmentationOf(
  flags: AugmentationFlags,
  { normalisation }: Pick<DatasetSplits, "normalisation">,
): Augmentation {
  const { mean, std } = normalisation;
  return {
    cropPadding: flags.cropPadding ?? 0,
    flip: flags.flip === true,
    border: mean.map((value, channel) => (0 - value) / std[channel]!),
  };
}

/** The random changes that images of this kind are usually trained with: cropping by an eighth and mirroring; undefined for what is too small. */
export function usualChanges({ inputs }: Dataset): { cropPadding: number; flip: boolean } | undefined {
  const shape = inputs[0]?.shape ?? [];
  const [height, width] = [shape[1] ?? 0, shape[2] ?? 0];
  if (shape.length !== 3 || Math.min(height, width) < 8) return undefined;
  return { cropPadding: Math.round(height / 8), flip: true };
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

/** Whether something is to be measured because somebody said so: it is refused where nothing can be. */
export function asksForMeasuring(when: ReestimateTime | undefined): boolean {
  return when !== undefined && when !== "never" && when !== "auto";
}

/**
 * What a pruning run does about batch normalisation: what was asked for, by default ("auto") both before and after where the network
 * has any. Pruning shifts what every channel gives; before as well, so that accuracies before and after compare. Training measures statistics
 * itself: with it "auto" stays, which measures before the run where the loss of training images falls by a twentieth, and after every pruning,
 * so that a training is judged against what the pruned network is worth, and leaves those of the last training.
 *
 * @returns undefined for a network without batch normalisation
 * @throws ERR_USAGE where something was asked for that changes nothing
 */
export function batchNormFor(
  network: Network,
  asked: Partial<BatchNormSettings>,
  { isRetrained = false }: { isRetrained?: boolean } = {},
): BatchNormSettings | undefined {
  const { when = "auto", cropPadding, flip } = asked;
  const hasAny = network.spec.layers.some(({ kind }) => kind === "batch-norm");
  const changes = cropPadding !== undefined ? "--crop-padding" : flip !== undefined ? "--flip" : undefined;
  if (!hasAny) {
    // Random changes of images are for retraining, too.
    const flag = asksForMeasuring(when) ? "--reestimate-batch-norm" : isRetrained ? undefined : changes;
    if (flag === undefined) return undefined;
    const reason = `network '${network.name}' has no batch normalisation for --reestimate-batch-norm to measure`;
    throw flagWithoutEffect({ flag, reason });
  }
  if (when === "never" && changes !== undefined && !isRetrained) {
    throw flagWithoutEffect({ flag: changes, reason: "it belongs to --reestimate-batch-norm, which is 'never'" });
  }
  return { ...asked, when: when === "auto" && !isRetrained ? "both" : when };
}

/**
 * Training images that statistics are measured on, and are judged by. On ResNet20 at .9, losses of 800 held-out training images under the
 * statistics of 512, 1024, 2048 and 4000 images were .506, .510, .516 and .514: more images do not lower them.
 */
const images = 512;
const imagesToJudge = 256;
/** With retraining, which measures statistics itself: what the loss has to fall to, as a share, for those of the file to be measured anew before it. */
const worthMeasuring = 0.95;
/** Of each, for a first look; to keep they are too few (docs/chita.md: what statistics of 96 to 1,024 images cost a pruned network). */
const imagesOfLook = 128;
/** One loss so many times the other is no chance: under statistics of 128 images losses differ by a tenth from one draw to another. */
const decisive = 1.5;
/** Weights whose statistics are remembered: those of a stage, and of its candidates. */
const mostRemembered = 8;

/** Measures statistics around a pruning run, as its settings say. */
export interface Remeasure {
  /** @returns whether the network has other statistics now than it came with */
  before(): Promise<boolean>;
  /** Brings back the statistics that `before` left, of the weights that the network had then; nothing is measured. */
  restore(): void;
  /** After each pruning, also before a training; undefined where they are not measured then. */
  readonly recalibrate?: (ctx: RunContext) => Promise<void>;
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
  /** Whether the run trains: with "auto" what its last training ends with stays. Default false. */
  isTrained?: boolean;
}): SharedRemeasure<Network> {
  const { network, data, settings, session, isTrained = false } = spec;
  const { when = "never" } = settings ?? {};
  let chosen: Augmentation = {};
  let dense: ReadonlyMap<string, Float32Array | Float64Array> = new Map();
  let isAnew = false;
  const remembered = new Map<string, ReadonlyMap<string, Float32Array | Float64Array>>();
  const measureOf =
    (copy: Network) =>
    async (ctx: RunContext, augmentation: Augmentation, examples: number = images): Promise<void> => {
      const key = JSON.stringify([hashOfParams(copy), augmentation, examples]);
      const known = remembered.get(key);
      if (known) return writeTensors(copy, known);
      // The same images every time: candidates are compared on equal terms, and statistics follow from the weights alone.
      const { rng } = session.context();
      await reestimateBatchNorm(copy, data.train, { ...ctx, rng }, { examples, augmentation });
      remembered.set(key, copiedStatistics(copy));
      const [oldest] = remembered.keys();
      if (remembered.size > mostRemembered) remembered.delete(oldest!);
    };
  const isAfter = when === "after" || when === "both";
  // After each pruning, but not after the last training, which measures its own.
  const isAfterPruning = isAfter || (isTrained && when === "auto");
  const behind = (copy: Network): Omit<Remeasure, "before"> => {
    const measure = measureOf(copy);
    return {
      restore: () => writeTensors(copy, dense),
      ...(isAfterPruning ? { recalibrate: (ctx: RunContext) => measure(ctx, chosen) } : {}),
      after: async () => (isAfter ? await measure(session.context(), chosen) : undefined),
    };
  };
  const measureBefore = async (asked: BatchNormSettings): Promise<boolean> => {
    const isNamed = asked.cropPadding !== undefined || asked.flip !== undefined;
    const measure = measureOf(network);
    // Taken before anything is measured: without targets it asks what the network computes as it came.
    const judge = isNamed && when !== "auto" ? undefined : await judgeOf({ network, data, session });
    const found = judge && !isNamed ? await chooseChanges({ network, data, measure, judge }) : undefined;
    chosen = found ? found.changes : augmentationOf(asked, data);
    if (when !== "after") {
      const file = copiedStatistics(network);
      const lossOfFile = when === "auto" ? await judge?.loss() : undefined;
      await measure(session.context(), chosen);
      if (judge && lossOfFile !== undefined) {
        const loss = await judge.loss();
        if (!(loss < worthMeasuring * lossOfFile)) {
          writeTensors(network, file);
          if (loss < lossOfFile) noteKept({ loss, lossOfFile }, session);
          return false;
        }
      }
    }
    if (found?.note !== undefined)
      session.onEvent({ type: "note", level: "info", code: "batch-norm", message: found.note });
    return when !== "after";
  };
  return {
    async before() {
      isAnew = settings !== undefined && when !== "never" && (await measureBefore(settings));
      dense = copiedStatistics(network);
      return isAnew;
    },
    ...behind(network),
    forCopy: (copy) => ({
      async before() {
        writeTensors(copy, dense);
        return isAnew;
      },
      ...behind(copy),
    }),
  };
}

function paramNames(network: Network): readonly string[] {
  return network.params().map(({ name }) => name);
}

/** Of all that is no statistic. */
function hashOfParams(network: Network): string {
  const hash = createHash("sha256");
  for (const name of paramNames(network)) {
    const { data } = network.weights.get(name)!;
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex");
}

function copiedStatistics(network: Network): ReadonlyMap<string, Float32Array | Float64Array> {
  const params = new Set(paramNames(network));
  const statistics = [...network.weights].filter(([name]) => !params.has(name));
  return new Map(statistics.map(([name, { data }]) => [name, data.slice()]));
}

function writeTensors(network: Network, tensors: ReadonlyMap<string, Float32Array | Float64Array>): void {
  for (const [name, values] of tensors) network.weights.get(name)!.data.set(values);
}

/** The loss of the same training images every time. */
interface StatisticsJudge {
  readonly context: RunContext;
  /** Under the statistics that the network has now; of the first images only, or of all. */
  loss(first?: number): Promise<number>;
}

async function judgeOf(spec: { network: Network; data: DatasetSplits; session: Session }): Promise<StatisticsJudge> {
  const { network, session } = spec;
  const { train } = spec.data;
  const context = session.context();
  const count = Math.min(imagesToJudge, train.size);
  const chosen = subset(train, sampleIndices(train.size, count, context.rng.fork("image changes")));
  const task = chooseTask({ model: network, data: chosen });
  // Without targets: what the network computes with the statistics it came with.
  const judged =
    task.targetsFrom === "teacher"
      ? (await teacherDataset({ model: network, data: chosen, task }, context)).data
      : chosen;
  return {
    context,
    async loss(first = count) {
      const look = Uint32Array.from({ length: Math.min(first, count) }, (_, i) => i);
      return (await network.evaluate(subset(judged, look), context, { task })).loss;
    },
  };
}

/**
 * No random changes, or cropping by an eighth and mirroring: whichever gives statistics under which training images have
 * the lower loss. A network has to meet the statistics that it was trained with. Leaves the network as it was.
 */
async function chooseChanges(spec: {
  network: Network;
  data: DatasetSplits;
  measure: (ctx: RunContext, augmentation: Augmentation, examples?: number) => Promise<void>;
  judge: StatisticsJudge;
}): Promise<{ changes: Augmentation; note?: string }> {
  const { network, data, measure, judge } = spec;
  const changes = usualChanges(data.train);
  if (!changes) return { changes: {} };
  const usual = augmentationOf(changes, data);
  const before = copiedStatistics(network);
  const lossesOf = async (examples: number, first?: number): Promise<readonly [plain: number, changed: number]> => {
    const losses: number[] = [];
    for (const augmentation of [{}, usual]) {
      await measure(judge.context, augmentation, examples);
      losses.push(await judge.loss(first));
    }
    return [losses[0]!, losses[1]!];
  };
  const look = await lossesOf(imagesOfLook, imagesOfLook);
  const [plain, changed] = isClear(look) ? look : await lossesOf(images);
  writeTensors(network, before);
  const note = `statistics of batch normalisation are measured on ${changed < plain ? "randomly cropped and mirrored" : "unchanged"} training images: their loss is ${Math.min(changed, plain).toPrecision(3)}, else ${Math.max(changed, plain).toPrecision(3)} (--crop-padding and --flip say otherwise)`;
  return { changes: changed < plain ? usual : {}, note };
}

/** Whether a first look is enough: losses of 0 and below, as densities have them, have no ratio that says so. */
function isClear(losses: readonly number[]): boolean {
  const least = Math.min(...losses);
  return least > 0 && Math.max(...losses) >= decisive * least;
}

function noteKept({ loss, lossOfFile }: { loss: number; lossOfFile: number }, session: Session): void {
  const message = `statistics of batch normalisation stay those of the file: measured anew the loss of training images is ${loss.toPrecision(3)}, not a twentieth below ${lossOfFile.toPrecision(3)} (--reestimate-batch-norm before measures them all the same)`;
  session.onEvent({ type: "note", level: "info", code: "batch-norm", message });
}
