/**
 * Stochastic gradient descent with momentum (Polyak 1964; the form of Sutskever et al. 2013 as PyTorch implements it):
 * v = m v + g + wd w, w -= lr v; Nesterov: w -= lr (g + wd w + m v). g is the gradient of the batch's mean loss. Weight
 * decay applies to weights, not to biases. Weights whose mask is 0 stay 0, and so does their momentum.
 */
import { type Dataset, type Mask, type Mat, type RunContext, sampleIndices } from "@secateur/core";
import { assertData, assertLabels } from "./assert-data.ts";
import { countCorrect } from "./count-correct.ts";
import { badMask, badTrainOption, trainingDiverged } from "./errors.ts";
import { accumulateGradients, zeroGradients } from "./gradients.ts";
import type { Network } from "./network.ts";
import { backward, forward } from "./propagate.ts";

/** How to train; only `data` has no default. */
export interface TrainOptions {
  readonly data: Dataset;
  /** Passes over the data, >= 0; default 10. */
  readonly epochs?: number;
  /** Examples a step, >= 1; default 64. The last batch of an epoch may be smaller. */
  readonly batchSize?: number;
  /** Learning rate of a step, counted from 0; default: {@link oneCycle} from 0.1. */
  readonly learningRate?: (step: number, steps: number) => number;
  /** In [0, 1); default 0.9. */
  readonly momentum?: number;
  readonly nesterov?: boolean;
  /** L2 on weights, >= 0; default 5e-4. */
  readonly weightDecay?: number;
  /** Masks by parameter name, flat over the canonical matrix; default: none. */
  readonly masks?: ReadonlyMap<string, Mask>;
}

/** Mean training loss and accuracy of every epoch, measured while the weights moved. */
export interface TrainReport {
  readonly epochs: readonly { readonly loss: number; readonly accuracy: number }[];
  readonly steps: number;
}

/** Linear warm-up over the first tenth of the steps to `peak`, then linear to 0. */
export function oneCycle(peak: number): (step: number, steps: number) => number {
  return (step, steps) => {
    const warmUp = Math.floor(0.1 * steps);
    return step < warmUp ? (peak * (step + 1)) / (warmUp + 1) : (peak * (steps - step)) / (steps - warmUp);
  };
}

/**
 * Trains a network in place. Examples are reshuffled every epoch from the context's generator.
 * Progress: `ctx.tick` with the running loss and accuracy.
 *
 * @throws ERR_OPTION, ERR_DATA_MISMATCH, ERR_LABEL_RANGE, ERR_DIVERGED, ERR_ABORTED
 */
export async function train(network: Network, options: TrainOptions, ctx: RunContext): Promise<TrainReport> {
  const { data, epochs = 10, batchSize = 64, learningRate = oneCycle(0.1), masks = new Map<string, Mask>() } = options;
  assertOptions(options);
  assertData(network.spec, data);
  const stepsPerEpoch = Math.ceil(data.size / batchSize);
  const steps = epochs * stepsPerEpoch;
  const velocity = zeroGradients(network.weights);
  for (const [name, mask] of masks) {
    const w = network.weights.get(name);
    if (mask.length !== w?.data.length) throw badMask(network.name, name, mask.length, w?.data.length);
    applyMask(w, mask);
  }
  const reports: { loss: number; accuracy: number }[] = [];
  let step = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = sampleIndices(data.size, data.size, ctx.rng.fork(`epoch ${epoch}`));
    let loss = 0;
    let correct = 0;
    let seen = 0;
    for (let start = 0; start < data.size; start += batchSize) {
      const batch = await takeBatch(network, data, order.subarray(start, start + batchSize), ctx);
      if (!Number.isFinite(batch.loss)) throw trainingDiverged(network.name, step);
      updateWeights(network, { velocity, gradients: batch.gradients, masks, rate: learningRate(step, steps), options });
      loss += batch.loss;
      correct += batch.correct;
      seen += batch.size;
      step++;
      await ctx.tick({
        task: "train",
        done: step,
        total: steps,
        values: { epoch: epoch + 1, loss: loss / seen, accuracy: (100 * correct) / seen },
      });
    }
    reports.push({ loss: loss / seen, accuracy: (100 * correct) / seen });
  }
  return { epochs: reports, steps };
}

function assertOptions({ epochs = 10, batchSize = 64, momentum = 0.9, weightDecay = 0 }: TrainOptions): void {
  if (!Number.isInteger(epochs) || epochs < 0) throw badTrainOption("epochs", epochs, "a whole number of at least 0");
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw badTrainOption("batchSize", batchSize, "a whole number of at least 1");
  }
  if (!(momentum >= 0 && momentum < 1)) throw badTrainOption("momentum", momentum, "a number in [0, 1)");
  if (!(weightDecay >= 0 && Number.isFinite(weightDecay))) {
    throw badTrainOption("weightDecay", weightDecay, "a finite number of at least 0");
  }
}

interface BatchResult {
  readonly gradients: ReadonlyMap<string, Mat>;
  /** Summed over the batch. */
  readonly loss: number;
  readonly correct: number;
  readonly size: number;
}

async function takeBatch(network: Network, data: Dataset, indices: Uint32Array, ctx: RunContext): Promise<BatchResult> {
  const { kernels } = ctx;
  const { spec, weights } = network;
  const { inputs, labels } = await data.batch(indices);
  assertLabels(spec, data, labels);
  const activations = forward(spec, weights, inputs, kernels);
  const delta = activations.logits;
  const correct = countCorrect(delta, labels);
  const loss = kernels.softmaxCrossEntropy({ logits: delta, labels, loss: new Float64Array(delta.rows), delta });
  const gradients = zeroGradients(weights);
  backward({
    network: spec,
    weights,
    activations,
    delta,
    kernels,
    visit: (layer, layerDelta, input) =>
      accumulateGradients({ sums: gradients, layer, delta: layerDelta, input, alpha: 1 / delta.rows, kernels }),
  });
  activations.release();
  return { gradients, loss, correct, size: labels.length };
}

function updateWeights(
  network: Network,
  spec: {
    velocity: ReadonlyMap<string, Mat>;
    gradients: ReadonlyMap<string, Mat>;
    masks: ReadonlyMap<string, Mask>;
    rate: number;
    options: TrainOptions;
  },
): void {
  const { momentum = 0.9, nesterov = false, weightDecay = 5e-4 } = spec.options;
  for (const [name, w] of network.weights) {
    const v = spec.velocity.get(name)!;
    const decay = name.endsWith(".bias") ? 0 : weightDecay;
    sgdStep({ w, v, g: spec.gradients.get(name)!, rate: spec.rate, momentum, decay, nesterov });
    const mask = spec.masks.get(name);
    if (!mask) continue;
    applyMask(w, mask);
    applyMask(v, mask);
  }
}

function sgdStep(spec: {
  w: Mat;
  v: Mat;
  g: Mat;
  rate: number;
  momentum: number;
  decay: number;
  nesterov: boolean;
}): void {
  const [w, v, g] = [spec.w.data, spec.v.data, spec.g.data];
  const { rate, momentum, decay, nesterov } = spec;
  for (let i = 0; i < w.length; i++) {
    const slope = g[i]! + decay * w[i]!;
    v[i] = momentum * v[i]! + slope;
    w[i] = w[i]! - rate * (nesterov ? slope + momentum * v[i]! : v[i]!);
  }
}

function applyMask(target: Mat, mask: Mask): void {
  for (let i = 0; i < mask.length; i++) if (mask[i] === 0) target.data[i] = 0;
}
