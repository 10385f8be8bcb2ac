/**
 * A graph and how its weights train, as core's {@link Retrainer}: steps on the mean loss of batches of examples that are shuffled every epoch, zeros
 * held at zero. Weights of convolutions and matrix products move, and the biases behind them; normalisation, embeddings and tensors of
 * several places stay as they are.
 */
import {
  applyMask,
  beginRules,
  checkNumber,
  createMoments,
  type Dataset,
  isPruneError,
  type Mat,
  matrix,
  type OptimizerMemory,
  type OptimizerSpec,
  type Retrainer,
  type RetrainingState,
  type RetrainRequest,
  type RunContext,
  type StateTensor,
  sampleIndices,
  stepParam,
  type Task,
  throwIfAborted,
  type Vec,
} from "@secateur/core";
import { nothingCounts, stateMismatch, trainingDiverged } from "../errors.ts";
import type { GraphModel } from "./graph-model.ts";

/** How a graph trains between prunings. */
export interface GraphRetrainerOptions {
  readonly data: Dataset;
  /** Whose loss; default: what core's `chooseTask` takes for the data. */
  readonly task?: Task;
  /** Examples a step, >= 1; default 8. The last batch of an epoch may be smaller. */
  readonly batchSize?: number;
  /** Default: adam, whose steps do not depend on the scale of the loss. */
  readonly optimizer?: OptimizerSpec;
  /** L2 on weights, >= 0; default 0. */
  readonly weightDecay?: number;
}

/**
 * Makes a retrainer. Time: a forward and a backward pass an epoch. Memory: three times the weights, and the values of one pass.
 *
 * @throws ERR_OPTION; while training what `meanGradient` throws, ERR_DATA_MISMATCH (nothing counts), ERR_DIVERGED, ERR_TRAINING_STATE, ERR_ABORTED
 * @example
 * const { data } = await teacherDataset({ model: dense, data: calibration }, ctx);
 * const retrainer = createGraphRetrainer(model, { data, task: distillation() });
 */
export function createGraphRetrainer(model: GraphModel, options: GraphRetrainerOptions): Retrainer {
  const { data, task, batchSize = 8, ...rest } = options;
  checkNumber("graph retrainer", "batchSize", batchSize, { least: 1, whole: true });
  checkNumber("graph retrainer", "weightDecay", options.weightDecay ?? 0, { least: 0 });
  const stepsPerEpoch = Math.ceil(data.size / batchSize);
  return {
    stepsPerEpoch,
    examples: data.size,
    settings: JSON.stringify({
      ...{ data: data.name, examples: data.size, batchSize, task: task?.name, ...rest },
      ...{ biases: model.biases.size, numbers: model.numbers.size },
    }),
    capture: () => capture(model, new Map()),
    restore: (tensors) => restore(model, new Map(), tensors),
    retrain: (request, ctx) => trainGraph({ model, options, stepsPerEpoch, batchSize, request }, ctx),
  };
}

async function trainGraph(
  call: {
    model: GraphModel;
    options: GraphRetrainerOptions;
    stepsPerEpoch: number;
    batchSize: number;
    request: RetrainRequest;
  },
  ctx: RunContext,
): Promise<RetrainingState> {
  const { model, options, stepsPerEpoch, batchSize, request } = call;
  const { data, task, optimizer = { kind: "adam" }, weightDecay: decay = 0 } = options;
  const { epochs, resume, after, onEpoch, learningRate } = request;
  checkNumber("graph retrainer", "epochs", epochs, { least: 0, whole: true });
  const tensors = new Map(tensorsOf(model));
  const names = [...tensors.keys()];
  // Masks may be of biases of LSTM and GRU too, which are part of the state and are not trained.
  const masks = new Map([...request.masks].filter(([name]) => tensors.has(name)));
  const steps = epochs * stepsPerEpoch;
  let moments: OptimizerMemory = new Map();
  const rules = beginRules({
    ...{ rules: request.rules ?? [], params: model.params(), masks, steps, stepsPerEpoch, ctx },
    weights: tensors,
    onMask: (name, mask) => {
      for (const byName of moments.values()) {
        const memory = byName.get(name);
        if (memory?.data.length === mask.length) applyMask(memory, mask);
      }
    },
  });
  moments = createMoments(optimizer, rules.trained, names);
  const start = resume ?? after;
  if (start) await restore(resume ? model : undefined, moments, start.tensors);
  if (resume) rules.restore(resume.tensors);
  const done = [...(resume?.epochs ?? [])];
  let state: RetrainingState = { epoch: resume?.epoch ?? 0, epochs: done, tensors: capture(model, moments) };
  for (let epoch = state.epoch, step = epoch * stepsPerEpoch; epoch < epochs; epoch++) {
    const order = sampleIndices(data.size, data.size, ctx.rng.fork(`epoch ${epoch}`));
    let loss = 0;
    for (let from = 0; from < data.size; from += batchSize, step++) {
      throwIfAborted(ctx.signal);
      const examples = order.slice(from, from + batchSize);
      const asked = { params: names, data, examples, ...(task ? { task } : {}) };
      const found = await model.meanGradient!(asked, ctx).catch((error: unknown) => {
        // Before the first step it is the model or the data that is not finite.
        const isOverflow = step > 0 && isPruneError(error) && error.code === "ERR_NOT_FINITE";
        throw isOverflow ? trainingDiverged(model.name, step, error) : error;
      });
      if (found.count === 0) throw nothingCounts(model.name, step);
      if (!Number.isFinite(found.loss)) throw trainingDiverged(model.name, step);
      // The loss is the mean of what counts, the gradient that of sums over an example's positions.
      scale(found.gradient, examples.length / (found.count ?? examples.length));
      const at = { step, rate: learningRate(step), gradients: byParam(model, found.gradient) };
      const penalty = rules.beforeStep(at, ctx);
      for (const name of names) {
        const [w, g] = [rules.trained.get(name)!, rules.trainedGradient(name, at.gradients.get(name)!)];
        const own = model.weights.has(name) ? decay : 0;
        stepParam(optimizer, { w, g, moments, name, rate: at.rate, step, decay: own, kept: rules.kept.get(name) });
      }
      await rules.afterStep({ ...at, step: step + 1 }, ctx);
      loss += ((found.loss + penalty) * examples.length) / data.size;
      await ctx.tick({ task: "train", done: step + 1, total: steps, values: { epoch: epoch + 1, loss: found.loss } });
    }
    done.push({ loss, accuracy: Number.NaN });
    for (const [name, w] of tensors) await model.write(name, w);
    state = { epoch: epoch + 1, epochs: [...done], tensors: [...capture(model, moments), ...rules.capture()] };
    if ((await onEpoch?.(state)) === "stop") break;
  }
  return request.rules?.length ? { ...state, masks: rules.masks } : state;
}

function scale(vector: Vec, factor: number): void {
  for (let i = 0; i < vector.length; i++) vector[i] = vector[i]! * factor;
}

/** Weights, and biases behind them, in the order of their gradients. */
function tensorsOf({ weights, biases }: GraphModel): readonly (readonly [string, Mat])[] {
  return [...weights, ...biases];
}

function byParam(model: GraphModel, flat: Mat["data"]): ReadonlyMap<string, Mat> {
  let start = 0;
  return new Map(
    tensorsOf(model).map(([name, { rows, cols }]) => {
      start += rows * cols;
      return [name, matrix(rows, cols, flat.subarray(start - rows * cols, start))];
    }),
  );
}

const memoryName = (kind: string, name: string): string => `optimizer.${kind}/${name}`;

function capture(model: GraphModel, moments: OptimizerMemory): readonly StateTensor[] {
  // With what is not trained: statistics and biases of hidden units may have followed a pruning, and a training that goes on, or is undone, needs them.
  const own = [...model.numbers].map(([name, { rows, cols, data }]) => ({
    name,
    shape: [rows, cols],
    data: data.slice(),
  }));
  const remembered = [...moments].flatMap(([kind, byName]) =>
    [...byName].map(([name, { data }]) => ({ name: memoryName(kind, name), shape: [data.length], data: data.slice() })),
  );
  return [...own, ...remembered];
}

/** Puts back what there is a place for. @throws ERR_TRAINING_STATE when something is missing or has another length */
async function restore(
  model: GraphModel | undefined,
  moments: OptimizerMemory,
  tensors: readonly StateTensor[],
): Promise<void> {
  const given = new Map(tensors.map((tensor) => [tensor.name, tensor.data]));
  const own = (name: string, { data }: Mat): Vec => {
    const found = given.get(name);
    if (found?.length !== data.length) throw stateMismatch(name, found?.length, data.length);
    return found;
  };
  // Written, not only set: what is saved are the weights that were written.
  for (const [name, w] of model?.numbers ?? []) await model!.write(name, { ...w, data: own(name, w) } as Mat);
  for (const [kind, byName] of moments) {
    for (const [name, memory] of byName) memory.data.set(own(memoryName(kind, name), memory));
  }
}
