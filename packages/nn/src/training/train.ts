/**
 * Training by gradient descent on the mean loss of batches, with masks, label smoothing (Szegedy et al. 2016: the target is
 * 1 - e + e / K for the label and e / K for every other of K classes), augmentation and running statistics. Everything random
 * is drawn from generators forked by epoch, so that a run resumed between epochs gives the same bytes.
 */
import {
  chooseTask,
  type Dataset,
  inputRows,
  labelsOf,
  type Mask,
  type Mat,
  type RunContext,
  sampleIndices,
  type Task,
  targetsOf,
} from "@secateur/core";
import { assertData } from "../assert-data.ts";
import { sumSink, zeroGradients } from "../derivatives/gradients.ts";
import { dtypeOfWeights, record } from "../derivatives/tape.ts";
import { badMask, badTrainOption, trainingDiverged } from "../errors.ts";
import { inDtype } from "../in-dtype.ts";
import type { Network } from "../network.ts";
import { asOutputs, imageShape, zeroRows } from "../network-tensors.ts";
import { type Pool, withPool } from "../pool.ts";
import { type Augmentation, augment } from "./augmentation.ts";
import { updateRunningStatistics } from "./batch-norm-statistics.ts";
import { type LearningRate, oneCycle } from "./learning-rate.ts";
import { applyMask, createMoments, keptPlaces, type Moments, type OptimizerSpec, stepParam } from "./optimizer.ts";
import { assertTrainOptions } from "./train-options.ts";
import { captureState, restoreState, type TrainingState } from "./training-state.ts";

/** How to train; only `data` has no default. */
export interface TrainOptions {
  readonly data: Dataset;
  /** Whose loss; default: what core's `chooseTask` takes for the data. */
  readonly task?: Task;
  /** Passes over the data, >= 0; default 10. */
  readonly epochs?: number;
  /** Examples a step, >= 1; default 64. The last batch of an epoch may be smaller. */
  readonly batchSize?: number;
  /** Learning rate of a step, counted from 0; default: {@link oneCycle} from 0.1. */
  readonly learningRate?: LearningRate;
  /** Default: sgd with the momentum below. */
  readonly optimizer?: OptimizerSpec;
  /** Of sgd, in [0, 1); default 0.9. */
  readonly momentum?: number;
  readonly nesterov?: boolean;
  /** L2 on weights, >= 0; default 5e-4. */
  readonly weightDecay?: number;
  /** In [0, 1); default 0. Above it the task must be classification by example. */
  readonly labelSmoothing?: number;
  /** Random changes of the images; default: none. */
  readonly augmentation?: Augmentation;
  /** Masks by parameter name, flat over the canonical matrix; default: none. */
  readonly masks?: ReadonlyMap<string, Mask>;
  /** Receives the state after every epoch; awaited. "stop" ends the training there. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most listeners only watch and return nothing
  readonly onEpoch?: (state: TrainingState) => EpochAnswer | void | Promise<EpochAnswer | void>;
  /** Goes on from a state of the same network and options. */
  readonly resume?: TrainingState;
}

/** Whether training goes on after an epoch. */
type EpochAnswer = "go on" | "stop";

/** Mean training loss (without label smoothing) and accuracy (NaN for tasks without one) of every epoch, measured while the weights moved. */
export interface TrainReport {
  readonly epochs: TrainingState["epochs"];
  /** Steps of gradient descent that were made, one a mini-batch. */
  readonly steps: number;
}

/**
 * Trains a network in place. Examples are reshuffled every epoch from the context's generator.
 * Progress: `ctx.tick` with the running loss and accuracy, images per second.
 *
 * @throws ERR_OPTION, ERR_DATA_MISMATCH, ERR_LABEL_RANGE, ERR_DIVERGED, ERR_TRAINING_STATE, ERR_ABORTED
 */
export async function train(network: Network, options: TrainOptions, ctx: RunContext): Promise<TrainReport> {
  assertTrainOptions(options);
  assertData(network.spec, options.data);
  const { labelSmoothing = 0, task = chooseTask({ model: network, data: options.data }) } = options;
  if (labelSmoothing > 0 && task.name !== "classification") {
    throw badTrainOption(
      "labelSmoothing",
      labelSmoothing,
      `0 for the task ${task.name}, which has no labels to smooth`,
    );
  }
  if (task.targetsFrom === "teacher" && !options.data.targets) {
    throw badTrainOption("task", task.name, "data with the outputs of a teacher for targets (taughtDataset)");
  }
  return await withPool(ctx.kernels, dtypeOfWeights(network.weights), (pool) =>
    trainWith(pool, { network, options: { ...options, task }, ctx }),
  );
}

type TaskOptions = TrainOptions & { readonly task: Task };

async function trainWith(
  pool: Pool,
  { network, options, ctx }: { network: Network; options: TaskOptions; ctx: RunContext },
): Promise<TrainReport> {
  const { data, epochs = 10, batchSize = 64, learningRate = oneCycle(0.1), masks = new Map<string, Mask>() } = options;
  const steps = epochs * Math.ceil(data.size / batchSize);
  const names = network.params().map(({ name }) => name);
  const optimizer = optimizerOf(options);
  const moments = createMoments(optimizer, network.weights, names);
  if (options.resume) restoreState(network, moments, options.resume);
  const kept = new Map<string, Uint32Array>();
  for (const [name, mask] of masks) {
    const w = network.weights.get(name);
    if (mask.length !== w?.data.length) throw badMask(network.name, name, mask.length, w?.data.length);
    applyMask(w, mask);
    for (const moment of moments.values()) applyMask(moment.get(name)!, mask);
    kept.set(name, keptPlaces(mask));
  }
  const reports = [...(options.resume?.epochs ?? [])];
  const begin = options.resume?.epoch ?? 0;
  const started = ctx.now();
  let step = begin * Math.ceil(data.size / batchSize);
  let images = 0;
  for (let epoch = begin; epoch < epochs; epoch++) {
    const rng = ctx.rng.fork(`epoch ${epoch}`);
    const order = sampleIndices(data.size, data.size, rng);
    const random = rng.fork("examples");
    const sums = { loss: 0, count: 0, correct: 0, judged: 0 };
    const figures = () => ({
      loss: sums.loss / sums.count,
      accuracy: (100 * sums.correct) / sums.judged,
    });
    for (let start = 0; start < data.size; start += batchSize) {
      const indices = order.subarray(start, start + batchSize);
      const batch = await takeBatch({ network, options, indices, random, pool, ctx });
      if (!Number.isFinite(batch.loss)) throw trainingDiverged(network.name, step);
      updateWeights(network, { optimizer, moments, batch, kept, rate: learningRate(step, steps), step, options });
      sums.loss += batch.loss;
      sums.count += batch.count;
      sums.correct += batch.correct;
      sums.judged += batch.judged;
      images += batch.size;
      step++;
      const seconds = (ctx.now() - started) / 1000;
      await ctx.tick({
        task: "train",
        done: step,
        total: steps,
        values: { epoch: epoch + 1, ...figures(), imagesPerSecond: images / seconds },
      });
    }
    reports.push(figures());
    const answer = await options.onEpoch?.(captureState(network, moments, { epoch: epoch + 1, epochs: reports }));
    if (answer === "stop") break;
  }
  return { epochs: reports, steps: step };
}

function optimizerOf({ optimizer, momentum = 0.9, nesterov = false }: TrainOptions): OptimizerSpec {
  return optimizer ?? { kind: "sgd", momentum, nesterov };
}

interface BatchResult {
  readonly gradients: ReadonlyMap<string, Mat>;
  /** Summed over what counts in the batch, and how much that is. */
  readonly loss: number;
  readonly count: number;
  /** How many are right, of how many; 0 of 0 for tasks without accuracy. */
  readonly correct: number;
  readonly judged: number;
  readonly size: number;
}

async function takeBatch(spec: {
  network: Network;
  options: TaskOptions;
  indices: Uint32Array;
  random: RunContext["rng"];
  pool: Pool;
  ctx: RunContext;
}): Promise<BatchResult> {
  const { network, options, indices, random, pool, ctx } = spec;
  const { data, task, augmentation, labelSmoothing = 0 } = options;
  const batch = await inDtype(data, pool.dtype).batch(indices);
  const inputs = inputRows(batch);
  const targets = targetsOf(task, batch);
  const tape = record({
    network: network.spec,
    weights: network.weights,
    input: augmentation
      ? augment(inputs, { shape: imageShape(data), layout: network.spec.layout }, augmentation, random)
      : inputs,
    pool,
    mode: "train",
    random: () => random.next(),
    onStatistics: updateRunningStatistics(network),
  });
  const outputs = asOutputs(tape.logits);
  const delta = zeroRows(tape.logits, pool.dtype);
  const loss = task.loss({ outputs, targets, delta: asOutputs(delta), kernels: ctx.kernels });
  const right = task.measures.find(({ name }) => name === "accuracy")?.add(outputs, targets);
  if (labelSmoothing > 0) smoothTargets(delta, labelsOf(batch), labelSmoothing);
  const gradients = zeroGradients(new Map(network.params().map(({ name }) => [name, network.weights.get(name)!])));
  tape.backward(delta, sumSink(gradients, 1 / loss.count));
  tape.release();
  return {
    ...{ gradients, loss: loss.sum, count: loss.count, size: batch.size },
    ...{ correct: right?.sum ?? 0, judged: right?.count ?? 0 },
  };
}

/** softmax - onehot becomes softmax - (1 - e) onehot - e / K. */
function smoothTargets(delta: Mat, labels: Uint32Array, smoothing: number): void {
  const { cols, data } = delta;
  for (let i = 0; i < data.length; i++) {
    data[i]! += smoothing * ((i % cols === labels[Math.floor(i / cols)] ? 1 : 0) - 1 / cols);
  }
}

function updateWeights(
  network: Network,
  spec: {
    optimizer: OptimizerSpec;
    moments: Moments;
    batch: BatchResult;
    kept: ReadonlyMap<string, Uint32Array>;
    rate: number;
    step: number;
    options: TrainOptions;
  },
): void {
  const { optimizer, moments, batch, kept, rate, step } = spec;
  const { weightDecay = 5e-4 } = spec.options;
  for (const { name, prunable } of network.params()) {
    const [w, g] = [network.weights.get(name)!, batch.gradients.get(name)!];
    const decay = prunable ? weightDecay : 0;
    stepParam(optimizer, { w, g, moments, name, rate, step, decay, kept: kept.get(name) });
  }
}
