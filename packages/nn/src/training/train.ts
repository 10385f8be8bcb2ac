/**
 * Training by gradient descent on the mean loss of batches, with masks, label smoothing (Szegedy et al. 2016: the target is
 * 1 - e + e / K for the label and e / K for every other of K classes), augmentation and running statistics. Everything random
 * is drawn from generators forked by epoch, so that a run resumed between epochs gives the same bytes.
 */
import {
  applyMask,
  beginRules,
  chooseTask,
  countZeros,
  createMoments,
  type Dataset,
  dtypeOf,
  inputRows,
  labelsOf,
  type Mask,
  type Mat,
  matrix,
  type OptimizerMemory,
  type OptimizerSpec,
  type RuleRun,
  type RunContext,
  sampleIndices,
  stepParam,
  type Task,
  type TrainingRule,
  targetsOf,
  type Vec,
  zeros,
} from "@secateur/core";
import { assertData } from "../assert-data.ts";
import { dtypeOfWeights, record } from "../derivatives/tape.ts";
import { badMask, badTrainOption, trainingDiverged } from "../errors.ts";
import { inDtype } from "../in-dtype.ts";
import type { Network } from "../network.ts";
import { asOutputs, imageShape, zeroRows } from "../network-tensors.ts";
import type { GradientSink } from "../ops/op.ts";
import { fillsPanels, type PanelPlan, panelPlan } from "../panels/panel-plan.ts";
import { type Pool, withPool } from "../pool.ts";
import { type Augmentation, augment } from "./augmentation.ts";
import { updateRunningStatistics } from "./batch-norm-statistics.ts";
import { type LearningRate, oneCycle } from "./learning-rate.ts";
import { type ResidentNetwork, residentNetwork, type Trained } from "./resident-network.ts";
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
  /** Rules that act while the network trains, asked in this order; default: none. */
  readonly rules?: readonly TrainingRule[];
  /** Receives the state after every epoch; awaited. "stop" ends the training there. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most listeners only watch and return nothing
  readonly onEpoch?: (state: TrainingState) => EpochAnswer | void | Promise<EpochAnswer | void>;
  /** Goes on from a state of the same network and options. */
  readonly resume?: TrainingState;
}

/** Whether training goes on after an epoch. */
type EpochAnswer = "go on" | "stop";

/** What a training was, epoch by epoch. */
export interface TrainReport {
  readonly epochs: TrainingState["epochs"];
  /** Steps of gradient descent that were made, one a mini-batch. */
  readonly steps: number;
  /** The masks at the end by parameter: those given, unless a rule changed them. */
  readonly masks: ReadonlyMap<string, Mask>;
}

/**
 * Trains a network in place. Examples are reshuffled every epoch from the context's generator. The network has its weights of the moment between
 * epochs, when `onEpoch` is asked, and when this returns or throws, not within an epoch; until then nobody else may write them.
 * Progress: `ctx.tick` with the running loss and accuracy, images per second.
 *
 * @throws ERR_OPTION, ERR_DATA_MISMATCH, ERR_LABEL_RANGE, ERR_DIVERGED, ERR_TRAINING_STATE, ERR_TRAINING_RULE, ERR_ABORTED
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
    throw badTrainOption("task", task.name, "data with the outputs of a teacher for targets (teacherDataset)");
  }
  return await withPool(ctx.kernels, dtypeOfWeights(network.weights), (pool) =>
    trainWith(pool, { network, options: { ...options, task }, ctx }),
  );
}

type TaskOptions = TrainOptions & { readonly task: Task };

/** Without rules, which may read and write any weight, weights live in kernel memory between epochs. */
async function trainWith(
  pool: Pool,
  spec: { network: Network; options: TaskOptions; ctx: RunContext },
): Promise<TrainReport> {
  const { network, options } = spec;
  if ((options.rules ?? []).length > 0) return await runEpochs(pool, { ...spec, resident: network, bringHome() {} });
  const own = residentNetwork(network, pool);
  try {
    return await runEpochs(pool, { ...spec, ...own });
  } finally {
    own.bringHome();
  }
}

/** @param spec.resident - what is trained; its weights are `network`'s after `bringHome` */
async function runEpochs(
  pool: Pool,
  spec: ResidentNetwork & { network: Network; options: TaskOptions; ctx: RunContext },
): Promise<TrainReport> {
  const { network: home, resident: network, bringHome, options, ctx } = spec;
  const { data, epochs = 10, batchSize = 64, learningRate = oneCycle(0.1), masks = new Map<string, Mask>() } = options;
  const stepsPerEpoch = Math.ceil(data.size / batchSize);
  const steps = epochs * stepsPerEpoch;
  const params = network.params();
  for (const [name, mask] of masks) {
    const w = network.weights.get(name);
    if (mask.length !== w?.data.length) throw badMask(network.name, name, mask.length, w?.data.length);
    applyMask(w, mask);
  }
  const names = params.map(({ name }) => name);
  const optimizer = optimizerOf(options);
  let moments: OptimizerMemory = new Map();
  const rules = beginRules({
    ...{ rules: options.rules ?? [], params, masks, steps, stepsPerEpoch, ctx },
    weights: new Map(names.map((name) => [name, network.weights.get(name)!])),
    onMask: (name, mask) => forgetPruned(moments, name, mask),
  });
  const inKernels = network === home ? undefined : ({ data: like }: Mat) => pool.take(like.length);
  moments = createMoments(optimizer, rules.trained, names, inKernels);
  if (options.resume) {
    restoreState(network, moments, options.resume);
    rules.restore(options.resume.tensors);
    for (const [name, mask] of rules.masks) {
      applyMask(network.weights.get(name)!, mask);
      forgetPruned(moments, name, mask);
    }
  }
  // Rules may read any gradient, and keep what they are given.
  const isFree = (options.rules ?? []).length === 0;
  const panels = isFree
    ? panelPlan({ network: network.spec, weights: network.weights, kept: rules.kept, pool })
    : undefined;
  // Made when first used: with panels only a smaller last batch is in rows.
  const buffers = new Map<PanelPlan | undefined, ReadonlyMap<string, Mat>>();
  const gradientsFor = (plan: PanelPlan | undefined): ReadonlyMap<string, Mat> => {
    if (!isFree) return gradientBuffers(network, {});
    const made = buffers.get(plan) ?? gradientBuffers(network, { pool, panels: plan });
    buffers.set(plan, made);
    return made;
  };
  const reports = [...(options.resume?.epochs ?? [])];
  const begin = options.resume?.epoch ?? 0;
  const started = ctx.now();
  let step = begin * stepsPerEpoch;
  let images = 0;
  for (let epoch = begin; epoch < epochs; epoch++) {
    const rng = ctx.rng.fork(`epoch ${epoch}`);
    const order = sampleIndices(data.size, data.size, rng);
    const random = rng.fork("examples");
    const sums = { loss: 0, count: 0, correct: 0, judged: 0, flow: 0 };
    const figures = () => ({
      loss: sums.loss / sums.count,
      accuracy: sums.correct / sums.judged,
    });
    for (let start = 0; start < data.size; start += batchSize) {
      const indices = order.subarray(start, start + batchSize);
      const inPanels = panels && fillsPanels(indices.length) ? panels : undefined;
      const gradients = gradientsFor(inPanels);
      const batch = await takeBatch({ network, options, indices, random, pool, ctx, gradients, panels: inPanels });
      if (!Number.isFinite(batch.loss)) throw trainingDiverged(network.name, step);
      const at = { step, rate: learningRate(step, steps), gradients: batch.gradients };
      const penalty = rules.beforeStep(at, ctx);
      updateWeights(network, { optimizer, moments, batch, rules, rate: at.rate, step, options, ctx });
      if (!isFree) sums.flow += squaredNorm(batch.gradients, rules.kept);
      await rules.afterStep({ ...at, step: step + 1 }, ctx);
      sums.loss += batch.loss + penalty * batch.count;
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
    bringHome();
    const curves = { nonzeros: nonzerosOf(network), gradientNorm: Math.sqrt(sums.flow / stepsPerEpoch) };
    reports.push({ ...figures(), ...(isFree ? {} : curves) });
    const answer = await options.onEpoch?.(
      captureState(home, moments, { epoch: epoch + 1, epochs: reports }, rules.capture()),
    );
    if (answer === "stop") break;
  }
  return { epochs: reports, steps: step, masks: rules.masks };
}

/** Of the gradients of everything that is kept. */
function squaredNorm(gradients: ReadonlyMap<string, Mat>, kept: ReadonlyMap<string, Uint32Array>): number {
  let sum = 0;
  for (const [name, { data }] of gradients) {
    const places = kept.get(name);
    for (let s = 0; s < (places?.length ?? data.length); s++) sum += data[places ? places[s]! : s]! ** 2;
  }
  return sum;
}

function nonzerosOf(network: Trained): number {
  return network.params().reduce((sum, { name, prunable }) => {
    const { data } = network.weights.get(name)!;
    return sum + (prunable ? data.length - countZeros(data) : 0);
  }, 0);
}

/** The optimizer remembers nothing of what is pruned. */
function forgetPruned(moments: OptimizerMemory, name: string, mask: Mask): void {
  for (const byName of moments.values()) {
    const moment = byName.get(name)!;
    // theta may be laid out in another way than the weights that the mask is of.
    if (moment.data.length === mask.length) applyMask(moment, mask);
  }
}

function optimizerOf({ optimizer, momentum = 0.9, nesterov = false }: TrainOptions): OptimizerSpec {
  return optimizer ?? { kind: "sgd", momentum, nesterov };
}

interface BatchResult {
  readonly gradients: ReadonlyMap<string, Mat>;
  /** Summed over what counts in the batch, and how much that is. */
  readonly loss: number;
  readonly count: number;
  /** Percent that are right, summed, and over how many; 0 of 0 for tasks without accuracy. */
  readonly correct: number;
  readonly judged: number;
  readonly size: number;
}

async function takeBatch(spec: {
  network: Trained;
  options: TaskOptions;
  indices: Uint32Array;
  random: RunContext["rng"];
  pool: Pool;
  ctx: RunContext;
  gradients: ReadonlyMap<string, Mat>;
  panels: PanelPlan | undefined;
}): Promise<BatchResult> {
  const { network, options, indices, random, pool, ctx, gradients, panels } = spec;
  const { data, task, augmentation, labelSmoothing = 0 } = options;
  const taken: Float32Array[] = [];
  const room = (length: number): Float32Array => {
    const vector = pool.take(length) as Float32Array;
    taken.push(vector);
    return vector;
  };
  const batch = await inDtype(data, pool.dtype).batch(indices, pool.dtype === "f32" ? room : undefined);
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
    ...(panels ? { panels } : {}),
  });
  const outputs = asOutputs(tape.logits);
  const delta = zeroRows(tape.logits, pool.dtype);
  const loss = task.loss({ outputs, targets, delta: asOutputs(delta), kernels: ctx.kernels });
  const right = task.measures.find(({ name }) => name === "accuracy")?.add(outputs, targets);
  if (labelSmoothing > 0) smoothTargets(delta, labelsOf(batch), labelSmoothing);
  tape.backward(delta, overwritingSink(gradients, 1 / loss.count));
  tape.release();
  for (const vector of taken) pool.give(vector);
  return {
    ...{ gradients, loss: loss.sum, count: loss.count, size: batch.size },
    ...{ correct: right?.sum ?? 0, judged: right?.count ?? 0 },
  };
}

/** Zeros for every parameter's gradient, where products are sparse for the kept weights alone. @param spec.pool - of vectors that are used step after step */
function gradientBuffers(
  network: Trained,
  { pool, panels }: { pool?: Pool; panels?: PanelPlan | undefined },
): ReadonlyMap<string, Mat> {
  const shapes = network.params().map(({ name }): [string, Mat] => [name, network.weights.get(name)!]);
  for (const [layer, { places }] of panels ?? []) {
    const at = shapes.findIndex(([name]) => name === `${layer}.weight`);
    shapes[at] = [shapes[at]![0], { ...shapes[at]![1], rows: 1, cols: places.length }];
  }
  const room = (length: number, { data }: Mat): Vec => pool?.take(length).fill(0) ?? zeros(length, dtypeOf(data));
  return new Map(shapes.map(([name, w]) => [name, matrix(w.rows, w.cols, room(w.rows * w.cols, w))]));
}

/** A sink of the gradients of one pass. */
function overwritingSink(gradients: ReadonlyMap<string, Mat>, alpha: number): GradientSink {
  return {
    group: Number.MAX_SAFE_INTEGER,
    place(param) {
      const gradient = gradients.get(param);
      return gradient && { out: gradient.data, alpha, beta: 0 };
    },
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
  network: Trained,
  spec: {
    optimizer: OptimizerSpec;
    moments: OptimizerMemory;
    batch: BatchResult;
    rules: RuleRun;
    rate: number;
    step: number;
    options: TrainOptions;
    ctx: RunContext;
  },
): void {
  const { optimizer, moments, batch, rules, rate, step } = spec;
  const { kernels } = spec.ctx;
  const { weightDecay = 5e-4 } = spec.options;
  for (const { name, prunable } of network.params()) {
    const [w, g] = [rules.trained.get(name)!, rules.trainedGradient(name, batch.gradients.get(name)!)];
    const decay = prunable ? weightDecay : 0;
    stepParam(optimizer, { w, g, moments, name, rate, step, decay, kept: rules.kept.get(name), kernels });
  }
}
