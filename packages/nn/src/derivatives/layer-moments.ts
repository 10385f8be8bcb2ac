/**
 * Second moments of what the layers see, for Kronecker-factored curvature: with x a window of a layer's inputs and delta the
 * slope of the loss at its output,
 *   A = mean over examples of the sum over positions of x x',   B = mean over examples and positions of delta delta'
 * (Martens and Grosse 2015; convolutions: Grosse and Martens 2016). Slopes at the output are drawn (OutputFactor.draw; labels from the
 * network's own probabilities), so that the moments are those of the Gauss-Newton matrix. Departures: where a batch normalisation follows and its statistics
 * are measured anew, whatever the mean output of a channel becomes is taken out again, so x may be taken less its mean; A is taken over the first examples only where these have windows enough.
 */
import {
  checkedLoss,
  classification,
  inputRows,
  type LayerMoments,
  type LossSum,
  type Mat,
  type Moments,
  type MomentsRequest,
  type Rng,
  type RunContext,
  targetsOf,
} from "@secateur/core";
import { noMoments } from "../errors.ts";
import { graphOf } from "../graph/graph.ts";
import { findParam } from "../graph/param-specs.ts";
import { asOutputs, zeroRows } from "../network-tensors.ts";
import { type Pool, withPool } from "../pool.ts";
import { type Model, passSize } from "./gradient-passes.ts";
import { sumSink, zeroGradients } from "./gradients.ts";
import { type LayerSums, layerSums } from "./layer-sums.ts";
import { dtypeOfWeights, record } from "./tape.ts";

/**
 * Takes the moments of dense and convolution weights. Time: a forward and a backward pass (two with the gradient), and
 * in^2 / 2 multiply-adds a window. Memory: in^2 + out^2 numbers a layer and the values of one pass.
 *
 * @throws ERR_INCOMPATIBLE (a parameter that is no weight of a dense or convolution layer), ERR_TASK, ERR_LABEL_RANGE, ERR_NOT_FINITE,
 * ERR_ABORTED
 */
export async function layerMoments(model: Model, request: MomentsRequest, ctx: RunContext): Promise<Moments> {
  const { params, examples, gradient: wantsGradient, centred } = request;
  const layers = params.map((param) => layerOf(model, param));
  const size = passSize(model.spec);
  const rng = ctx.rng.fork("moments");
  return await withPool(ctx.kernels, dtypeOfWeights(model.weights), async (pool) => {
    const sums = new Map(layers.map((layer) => [layer.name, layerSums({ layer, examples: examples.length, pool })]));
    const slopes = wantsGradient
      ? zeroGradients(new Map(params.map((param) => [param, findParam(model, param)])))
      : undefined;
    let [loss, count] = [0, 0];
    for (let start = 0; start < examples.length; start += size) {
      const indices = examples.subarray(start, Math.min(start + size, examples.length));
      const part = await onePass(model, { ...request, indices, start, sums, slopes, pool, rng });
      loss += part.sum;
      count += part.count;
      await ctx.tick({ task: "gradients", done: start + indices.length, total: examples.length });
    }
    return {
      layers: params.flatMap((param, p): readonly LayerMoments[] => {
        return sums.get(layers[p]!.name)!.moments({ param, weights: model.weights, centred });
      }),
      ...(slopes ? { gradient: joined(params.map((param) => slopes.get(param)!)) } : {}),
      loss: loss / count,
    };
  });
}

interface Pass extends MomentsRequest {
  readonly indices: Uint32Array;
  /** Place of the first of them among the requested ones. */
  readonly start: number;
  readonly sums: ReadonlyMap<string, LayerSums>;
  readonly slopes: ReadonlyMap<string, Mat> | undefined;
  readonly pool: Pool;
  readonly rng: Rng;
}

/** The loss of some examples. */
async function onePass({ spec, weights }: Model, pass: Pass): Promise<LossSum> {
  const { data, task = classification(), indices, start, sums, slopes, pool, temperature, rng } = pass;
  const batch = await data.batch(indices);
  const targets = targetsOf(task, batch);
  const tape = record({ network: spec, weights, input: inputRows(batch), pool });
  const outputs = asOutputs(tape.logits);
  const slope = zeroRows(tape.logits, pool.dtype);
  const { kernels } = pool;
  const loss = task.loss({ outputs, targets, delta: asOutputs(slope), kernels });
  checkedLoss(loss, { task, model: spec.name, outputs, example: (row) => indices[row]! });
  const drawn = zeroRows(tape.logits, "f64");
  task.outputFactor({ outputs, targets, temperature }).draw(rng, asOutputs(drawn));
  tape.backward(drawn, {
    group: Number.MAX_SAFE_INTEGER,
    place: () => undefined,
    // Factors taken: a dense layer has nothing else to write.
    factors: () => true,
    visit: (node, from, delta) => {
      const { name } = node.layer;
      if (name !== undefined) sums.get(name)?.add({ inputs: from[0]!, delta, first: start });
    },
  });
  if (slopes) tape.backward(slope, sumSink(slopes, 1 / pass.examples.length));
  tape.release();
  return loss;
}

/** The layer whose weight a parameter is. */
function layerOf(model: Model, param: string): LayerSums["layer"] {
  const node = graphOf(model.spec).nodes.find(({ layer }) => `${layer.name}.weight` === param);
  const layer = node?.layer;
  if (layer?.kind !== "dense" && layer?.kind !== "conv2d") throw noMoments(model.spec.name, param);
  return { node: node!, spec: layer, name: layer.name };
}

function joined(parts: readonly Mat[]): Float32Array | Float64Array {
  const length = parts.reduce((sum, { data }) => sum + data.length, 0);
  const out = parts[0]!.data instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
  let start = 0;
  for (const { data } of parts) {
    out.set(data, start);
    start += data.length;
  }
  return out;
}
