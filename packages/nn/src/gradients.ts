/**
 * Gradients without one pass per example: a dense layer's weight gradient for example i is delta_i' x_i, so a batched
 * forward and backward gives the factors (delta [N, out], x [N, in]) of all rows at once.
 */
import {
  dtypeOf,
  type GradientBlock,
  type GradientRequest,
  type GradientRows,
  type Kernels,
  type Mat,
  type MeanGradient,
  matrix,
  type RunContext,
  unknownName,
} from "@secateur/core";
import { assertLabels } from "./assert-data.ts";
import { notFiniteOutput, unevenRows } from "./errors.ts";
import { type DenseSpec, type NetworkSpec, paramSpecs } from "./network-spec.ts";
import { backward, forward, type Weights } from "./propagate.ts";

/** Examples a pass: bounds the memory of activations, and how long an abort waits. */
const passSize = 2048;

/**
 * Gradients below this are taken as zero. Softmax leaves well-classified examples with deltas down to 1e-45; their products
 * would be subnormal numbers, on which processors are a hundred times slower, and add nothing that f32 could hold.
 */
const negligible = 1e-18;

interface Model {
  readonly spec: NetworkSpec;
  readonly weights: Weights;
}

/**
 * Factored gradient rows: row r is the gradient of the mean loss of `batch` consecutive examples.
 * Time: one forward and backward. Memory: N * (in + out) numbers a layer, in kernel memory.
 *
 * @throws ERR_LABEL_RANGE, ERR_NOT_FINITE, ERR_ABORTED
 */
export async function gradientRows(model: Model, request: GradientRequest, ctx: RunContext): Promise<GradientRows> {
  const { examples, batch, params } = request;
  const count = examples.length;
  const owners = params.map((param) => owner(model.spec, param));
  if (count === 0 || count % batch !== 0) throw unevenRows(model.spec.name, count, batch);
  const factors = new Map<string, { delta: Mat; input: Mat }>();
  const loss = await passes(model, request, ctx, ({ layer, delta, input, start }) => {
    if (!owners.some((asked) => asked.layer === layer)) return;
    const full = factors.get(layer.name) ?? allocateFactors(layer, count, delta, ctx);
    factors.set(layer.name, full);
    full.input.data.set(input.data, start * layer.in);
    const scaled = full.delta.data.subarray(start * layer.out, (start + delta.rows) * layer.out);
    for (let i = 0; i < scaled.length; i++) {
      const value = delta.data[i]! / batch;
      scaled[i] = Math.abs(value) < negligible ? 0 : value;
    }
  });
  const blocks = params.map((param, place): GradientBlock => {
    const { layer, isBias } = owners[place]!;
    const { delta, input } = factors.get(layer.name)!;
    return { kind: "factored", param, group: batch, delta, input: isBias ? onesLike(delta) : input };
  });
  return { rows: count / batch, blocks, loss };
}

/**
 * The gradient of the mean loss over the examples, flattened in the order of `params`, in the network's dtype.
 * Time: one forward and backward. @throws ERR_LABEL_RANGE, ERR_NOT_FINITE, ERR_ABORTED
 */
export async function meanGradient(
  model: Model,
  request: Omit<GradientRequest, "batch">,
  ctx: RunContext,
): Promise<MeanGradient> {
  for (const param of request.params) owner(model.spec, param);
  const sums = zeroGradients(model.weights);
  const alpha = 1 / request.examples.length;
  const loss = await passes(model, request, ctx, ({ layer, delta, input }) => {
    accumulateGradients({ sums, layer, delta, input, alpha, kernels: ctx.kernels });
  });
  const parts = request.params.map((param) => sums.get(param)!.data);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const gradient = dtypeOf(parts[0]!) === "f64" ? new Float64Array(length) : new Float32Array(length);
  let start = 0;
  for (const part of parts) {
    gradient.set(part, start);
    start += part.length;
  }
  return { gradient, loss };
}

/** A zero matrix for every parameter. */
export function zeroGradients(weights: Weights): Map<string, Mat> {
  return new Map([...weights].map(([name, w]) => [name, { ...w, data: w.data.slice().fill(0) }]));
}

/** sums += alpha * (gradient of the summed loss of the batch) for the parameters of one dense layer. */
export function accumulateGradients(spec: {
  sums: ReadonlyMap<string, Mat>;
  layer: DenseSpec;
  delta: Mat;
  input: Mat;
  alpha: number;
  kernels: Kernels;
}): void {
  const { sums, layer, delta, input, alpha, kernels } = spec;
  kernels.gemm({ a: delta, transposeA: true, b: input, out: sums.get(`${layer.name}.weight`)!, alpha, beta: 1 });
  if (!layer.bias) return;
  kernels.gemm({
    a: delta,
    transposeA: true,
    b: onesLike(delta),
    out: sums.get(`${layer.name}.bias`)!,
    alpha,
    beta: 1,
  });
}

function onesLike({ rows, data }: Mat): Mat {
  return matrix(rows, 1, (dtypeOf(data) === "f64" ? new Float64Array(rows) : new Float32Array(rows)).fill(1));
}

interface Pass {
  readonly layer: DenseSpec;
  readonly delta: Mat;
  readonly input: Mat;
  /** Place of the pass's first example among the requested ones. */
  readonly start: number;
}

/** Runs forward and backward over the examples, `passSize` at a time; returns the mean loss. */
async function passes(
  { spec, weights }: Model,
  { data, examples }: Pick<GradientRequest, "data" | "examples">,
  ctx: RunContext,
  visit: (pass: Pass) => void,
): Promise<number> {
  const { kernels } = ctx;
  let total = 0;
  for (let start = 0; start < examples.length; start += passSize) {
    const batch = await data.batch(examples.subarray(start, Math.min(start + passSize, examples.length)));
    assertLabels(spec, data, batch.labels);
    const activations = forward(spec, weights, batch.inputs, kernels);
    const delta = activations.logits;
    const loss = new Float64Array(delta.rows);
    total += kernels.softmaxCrossEntropy({ logits: delta, labels: batch.labels, loss, delta });
    const bad = loss.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw notFiniteOutput(spec.name, examples[start + bad]!);
    backward({
      network: spec,
      weights,
      activations,
      delta,
      kernels,
      visit: (layer, d, input) => visit({ layer, delta: d, input, start }),
    });
    activations.release();
    await ctx.tick({ task: "gradients", done: start + delta.rows, total: examples.length });
  }
  return total / examples.length;
}

function allocateFactors(layer: DenseSpec, count: number, like: Mat, ctx: RunContext): { delta: Mat; input: Mat } {
  const dtype = dtypeOf(like.data);
  return {
    delta: matrix(count, layer.out, ctx.kernels.alloc(count * layer.out, dtype)),
    input: matrix(count, layer.in, ctx.kernels.alloc(count * layer.in, dtype)),
  };
}

function owner(spec: NetworkSpec, param: string): { layer: DenseSpec; isBias: boolean } {
  for (const layer of spec.layers) {
    if (layer.kind !== "dense") continue;
    if (param === `${layer.name}.weight`) return { layer, isBias: false };
    if (param === `${layer.name}.bias` && layer.bias) return { layer, isBias: true };
  }
  throw unknownName({
    where: spec.name,
    what: "parameter",
    found: param,
    known: paramSpecs(spec).map(({ name }) => name),
  });
}
