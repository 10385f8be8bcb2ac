/**
 * Second moments of what the layers see, for Kronecker-factored curvature: with x a window of a layer's inputs and delta the
 * slope of the loss at its output,
 *   A = mean over examples of the sum over positions of x x',   B = mean over examples and positions of delta delta'
 * (Martens and Grosse 2015; convolutions: Grosse and Martens 2016). Labels are drawn from the network's own probabilities,
 * so that the moments are those of the Gauss-Newton matrix. Departures: where a batch normalisation follows and its statistics
 * are measured anew, whatever the mean output of a channel becomes is taken out again, so x may be taken less its mean; A is taken over the first examples only where these have windows enough.
 */
import {
  type Dataset,
  type LayerMoments,
  type Mat,
  type Moments,
  type MomentsRequest,
  matrix,
  type Rng,
  type RunContext,
} from "@secateur/core";
import { assertLabels } from "../assert-data.ts";
import { noMoments, notFiniteOutput } from "../errors.ts";
import { graphOf } from "../graph/graph.ts";
import { findParam } from "../graph/param-specs.ts";
import type { GradientSink } from "../ops/op.ts";
import { type Pool, withPool } from "../pool.ts";
import { type Model, passSize } from "./gradient-passes.ts";
import { sumSink, zeroGradients } from "./gradients.ts";
import { type LayerSums, layerSums } from "./layer-sums.ts";
import { dtypeOfWeights, record } from "./tape.ts";

/**
 * Takes the moments of dense and convolution weights. Time: a forward and a backward pass (two with the gradient), and
 * in^2 / 2 multiply-adds a window. Memory: in^2 + out^2 numbers a layer and the values of one pass.
 *
 * @throws ERR_INCOMPATIBLE (a parameter that is no weight of a dense or convolution layer), ERR_LABEL_RANGE, ERR_NOT_FINITE,
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
    let loss = 0;
    for (let start = 0; start < examples.length; start += size) {
      const indices = examples.subarray(start, Math.min(start + size, examples.length));
      loss += await onePass(model, { ...request, indices, start, sums, slopes, pool, rng });
      await ctx.tick({ task: "gradients", done: start + indices.length, total: examples.length });
    }
    return {
      layers: params.flatMap((param, p): readonly LayerMoments[] => {
        return sums.get(layers[p]!.name)!.moments({ param, weights: model.weights, centred });
      }),
      ...(slopes ? { gradient: joined(params.map((param) => slopes.get(param)!)) } : {}),
      loss: loss / examples.length,
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

/** The summed loss of some examples. */
async function onePass({ spec, weights }: Model, pass: Pass): Promise<number> {
  const { data, indices, start, sums, slopes, pool, temperature, rng } = pass;
  const { inputs, labels } = await data.batch(indices);
  assertLabels(spec, data, labels);
  const tape = record({ network: spec, weights, input: inputs, pool });
  const bad = tape.logits.data.findIndex((value: number) => !Number.isFinite(value));
  if (bad >= 0) throw notFiniteOutput(spec.name, indices[Math.floor(bad / spec.classes)]!);
  const p = softened(tape.logits, temperature);
  const drawn: GradientSink = {
    group: Number.MAX_SAFE_INTEGER,
    place: () => undefined,
    // Factors taken: a dense layer has nothing else to write.
    factors: () => true,
    visit: (node, from, delta) => {
      const { name } = node.layer;
      if (name !== undefined) sums.get(name)?.add({ inputs: from[0]!, delta, first: start });
    },
  };
  tape.backward(lessDrawnLabels(p, rng), drawn);
  const { loss, slope } = lossOf(pass, { data, labels, logits: tape.logits, p });
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

/** softmax(logits / temperature) in f64, by rows. */
function softened(logits: Mat, temperature: number): Mat {
  const { rows, cols } = logits;
  const p = matrix(rows, cols, new Float64Array(rows * cols));
  for (let start = 0; start < p.data.length; start += cols) {
    const row = logits.data.subarray(start, start + cols);
    const most = Math.max(...row);
    let sum = 0;
    for (let c = 0; c < cols; c++) {
      p.data[start + c] = Math.exp((row[c]! - most) / temperature);
      sum += p.data[start + c]!;
    }
    for (let c = 0; c < cols; c++) p.data[start + c] = p.data[start + c]! / sum;
  }
  return p;
}

/** p - onehot(y), y drawn from p for every row. */
function lessDrawnLabels(p: Mat, rng: Rng): Mat {
  const out = matrix(p.rows, p.cols, p.data.slice());
  for (let start = 0; start < out.data.length; start += p.cols) {
    let rest = rng.next();
    let label = 0;
    while (label < p.cols - 1 && rest >= p.data[start + label]!) rest -= p.data[start + label++]!;
    out.data[start + label]! -= 1;
  }
  return out;
}

/** The summed loss and its slope at the logits. */
function lossOf(
  { targets, indices, temperature, pool }: Pass,
  batch: { data: Dataset; labels: Uint32Array; logits: Mat; p: Mat },
): { loss: number; slope: Mat } {
  const { labels, logits, p } = batch;
  if (!targets) {
    const slope = { ...logits, data: logits.data.slice() };
    const loss = pool.kernels.softmaxCrossEntropy({
      logits,
      labels,
      loss: new Float64Array(logits.rows),
      delta: slope,
    });
    return { loss, slope };
  }
  const slope = matrix(p.rows, p.cols, new Float64Array(p.data.length));
  let divergence = 0;
  indices.forEach((example, i) => {
    for (let c = 0; c < p.cols; c++) {
      const [wanted, found] = [targets.data[example * p.cols + c]!, p.data[i * p.cols + c]!];
      slope.data[i * p.cols + c] = temperature * (found - wanted);
      if (wanted > 0) divergence += wanted * Math.log(wanted / Math.max(found, Number.MIN_VALUE));
    }
  });
  return { loss: temperature ** 2 * divergence, slope };
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
