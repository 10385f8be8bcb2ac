/**
 * Running statistics of batch normalisation: in training an exponential average, r = (1 - momentum) r + momentum s, s the batch's mean
 * or unbiased variance; re-estimated as the plain mean of s over batches, all with the same weights (PyTorch's momentum=None).
 */
import { type Dataset, inputRows, type RunContext, sampleIndices } from "@secateur/core";
import { assertData } from "../assert-data.ts";
import { dtypeOfWeights, logitsOf } from "../derivatives/tape.ts";
import { badTrainOption } from "../errors.ts";
import type { BatchNormSpec } from "../graph/layer-spec.ts";
import { inDtype } from "../in-dtype.ts";
import type { Network } from "../network.ts";
import { imageShape } from "../network-tensors.ts";
import type { OpCall } from "../ops/op.ts";
import { fillsPanels, outputPlan } from "../panels/panel-plan.ts";
import { withPool } from "../pool.ts";
import { type Augmentation, augment } from "./augmentation.ts";
import type { Trained } from "./resident-network.ts";

/** Takes the statistics of a training step into the running ones. */
export function updateRunningStatistics(network: Trained): NonNullable<OpCall["onStatistics"]> {
  const layers = new Map(batchNorms(network).map((layer) => [layer.name, layer.momentum ?? 0.1]));
  return (layer, mean, variance) => mix(network, { layer, mean, variance, share: layers.get(layer)! });
}

/**
 * Measures the running statistics anew, as after pruning: runs training batches through the network with its own weights
 * unchanged and averages their statistics. Batches are drawn from the context's generator. Time: one forward pass.
 *
 * @param options.batchSize - examples a batch, >= 2; default 128. A rest smaller than half a batch is left out.
 * @param options.examples - how many training examples; default: all
 * @param options.augmentation - random changes of the images, best those of training; default: none
 * @returns how many batches were averaged; 0 for a network without batch normalisation
 * @throws ERR_OPTION, ERR_DATA_MISMATCH, ERR_ABORTED
 * @example
 * await reestimateBatchNorm(network, train, ctx);
 */
export async function reestimateBatchNorm(
  network: Network,
  data: Dataset,
  ctx: RunContext,
  options: { readonly batchSize?: number; readonly examples?: number; readonly augmentation?: Augmentation } = {},
): Promise<number> {
  const { batchSize = 128, examples = data.size, augmentation } = options;
  if (!Number.isInteger(batchSize) || batchSize < 2) {
    throw badTrainOption("batchSize", batchSize, "a whole number of at least 2");
  }
  assertData(network.spec, data);
  if (batchNorms(network).length === 0) return 0;
  const rng = ctx.rng.fork("batch-norm");
  const order = sampleIndices(data.size, Math.min(examples, data.size), rng);
  const random = rng.fork("images");
  return await withPool(ctx.kernels, dtypeOfWeights(network.weights), async (pool) => {
    let done = 0;
    // Of as many examples as rows would be: batches that do not fill panels stay rows.
    const panels = outputPlan({ network: network.spec, weights: network.weights, pool });
    for (let start = 0; start < order.length; start += batchSize) {
      const indices = order.subarray(start, start + batchSize);
      if (start > 0 && indices.length < batchSize / 2) break;
      const inputs = inputRows(await inDtype(data, pool.dtype).batch(indices));
      done++;
      const share = 1 / done;
      const logits = logitsOf({
        network: network.spec,
        weights: network.weights,
        input: augmentation
          ? augment(inputs, { shape: imageShape(data), layout: network.spec.layout }, augmentation, random)
          : inputs,
        pool,
        mode: "train",
        ...(panels && fillsPanels(indices.length) ? { panels } : {}),
        // The running ones are read in eval mode only: they may change under way.
        onStatistics: (layer, mean, variance) => mix(network, { layer, mean, variance, share }),
      });
      pool.give(logits.data);
      await ctx.tick({ task: "batch-norm", done: Math.min(start + batchSize, order.length), total: order.length });
    }
    return done;
  });
}

function batchNorms(network: Trained): readonly BatchNormSpec[] {
  return network.spec.layers.filter((layer) => layer.kind === "batch-norm");
}

function mix(
  network: Trained,
  spec: { layer: string; mean: Float64Array; variance: Float64Array; share: number },
): void {
  const { layer, mean, variance, share } = spec;
  for (const [name, values] of [
    ["running_mean", mean],
    ["running_var", variance],
  ] as const) {
    const { data } = network.weights.get(`${layer}.${name}`)!;
    for (let c = 0; c < data.length; c++) data[c] = (1 - share) * data[c]! + share * values[c]!;
  }
}
