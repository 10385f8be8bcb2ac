/**
 * Gradients without one pass per example: batches go forward and backward together, and every layer sums the gradient of each
 * run of examples that makes a row. A dense layer's weight gradient for example i is delta_i' x_i: its rows are kept as the
 * factors (delta [N, out], x [N, in]); rows of other layers are written where they are stored.
 */
import {
  dtypeOf,
  type GradientBlock,
  type GradientRequest,
  type GradientRows,
  type Mat,
  type MeanGradient,
  matrix,
  type RunContext,
  type Vec,
} from "@secateur/core";
import { unevenRows } from "../errors.ts";
import type { DenseSpec } from "../graph/layer-spec.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { findParam } from "../graph/param-specs.ts";
import { onesLike } from "../ops/dense.ts";
import type { GradientSink, Weights } from "../ops/op.ts";
import { eachPass, type Model } from "./gradient-passes.ts";

/**
 * Gradients below this are taken as zero. Softmax leaves well-classified examples with deltas down to 1e-45; their products
 * would be subnormal numbers, on which processors are a hundred times slower, and add nothing that f32 could hold.
 */
const negligible = 1e-18;

/**
 * Gradient rows: row r is the gradient of the mean loss of `batch` consecutive examples; factored for dense layers.
 * Time: one forward and backward. Memory, in kernel memory: N * (in + out) numbers a dense layer, rows * size for any other
 * parameter, and the values of one pass.
 *
 * @throws ERR_LABEL_RANGE, ERR_NOT_FINITE, ERR_ABORTED
 */
export async function gradientRows(model: Model, request: GradientRequest, ctx: RunContext): Promise<GradientRows> {
  const { examples, batch, params } = request;
  if (examples.length === 0 || examples.length % batch !== 0) {
    throw unevenRows(model.spec.name, examples.length, batch);
  }
  const rows = examples.length / batch;
  const stored = new Map<string, Mat>();
  const layers = new Map<string, { layer: DenseSpec; isBias: boolean }>();
  for (const param of params) {
    const layer = denseOwner(model.spec, param);
    if (layer) {
      layers.set(param, { layer, isBias: param === `${layer.name}.bias` });
      continue;
    }
    const { data } = findParam(model, param);
    stored.set(param, matrix(rows, data.length, ctx.kernels.alloc(rows * data.length, dtypeOf(data))));
  }
  const factors = new Map<string, { delta: Mat; input: Mat }>();
  const { loss, sums } = await eachPass(model, { ...request, group: batch }, ctx, (start): GradientSink => {
    return {
      group: batch,
      place(param, segment) {
        const block = stored.get(param);
        if (!block) return undefined;
        const row = start / batch + segment;
        return { out: block.data.subarray(row * block.cols, (row + 1) * block.cols), alpha: 1 / batch, beta: 0 };
      },
      factors(layer, delta, input) {
        if (![...layers.values()].some((asked) => asked.layer === layer)) return true;
        const full = factors.get(layer.name) ?? allocateFactors({ layer, count: examples.length, like: delta, ctx });
        factors.set(layer.name, full);
        keepFactors({ full, delta, input, start, batch });
        return true;
      },
    };
  });
  const blocks = params.map((param): GradientBlock => {
    const owner = layers.get(param);
    if (!owner) return { kind: "dense", param, rows: stored.get(param)! };
    const { delta, input } = factors.get(owner.layer.name)!;
    return { kind: "factored", param, group: batch, delta, input: owner.isBias ? onesLike(delta) : input };
  });
  return { rows, blocks, loss, sums };
}

function keepFactors(spec: {
  full: { delta: Mat; input: Mat };
  delta: Mat;
  input: Mat;
  start: number;
  batch: number;
}): void {
  const { full, delta, input, start, batch } = spec;
  full.input.data.set(input.data, start * input.cols);
  const scaled = full.delta.data.subarray(start * delta.cols, (start + delta.rows) * delta.cols);
  for (let i = 0; i < scaled.length; i++) {
    const value = delta.data[i]! / batch;
    scaled[i] = Math.abs(value) < negligible ? 0 : value;
  }
}

/**
 * The gradient of the summed loss over the number of examples, flattened in the order of `params`, in the network's dtype.
 * Time: one forward and backward. @throws ERR_LABEL_RANGE, ERR_NOT_FINITE, ERR_ABORTED
 */
export async function meanGradient(
  model: Model,
  request: Omit<GradientRequest, "batch">,
  ctx: RunContext,
): Promise<MeanGradient> {
  const wanted = new Map(request.params.map((param) => [param, findParam(model, param)]));
  const sums = zeroGradients(wanted);
  const sink = sumSink(sums, 1 / request.examples.length);
  const { loss, count } = await eachPass(model, { ...request, group: 1 }, ctx, () => sink);
  const parts = request.params.map((param) => sums.get(param)!.data);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const gradient: Vec = dtypeOf(parts[0]!) === "f64" ? new Float64Array(length) : new Float32Array(length);
  let start = 0;
  for (const part of parts) {
    gradient.set(part, start);
    start += part.length;
  }
  return { gradient, loss, count };
}

/** A zero matrix for every parameter. */
export function zeroGradients(weights: Weights): Map<string, Mat> {
  return new Map([...weights].map(([name, w]) => [name, { ...w, data: w.data.slice().fill(0) }]));
}

/** A sink that adds alpha * (gradient of the summed loss of every batch) to the given matrices. */
export function sumSink(sums: ReadonlyMap<string, Mat>, alpha: number): GradientSink {
  return {
    group: Number.MAX_SAFE_INTEGER,
    place(param) {
      const sum = sums.get(param);
      return sum && { out: sum.data, alpha, beta: 1 };
    },
  };
}

function allocateFactors(spec: { layer: DenseSpec; count: number; like: Mat; ctx: RunContext }): {
  delta: Mat;
  input: Mat;
} {
  const { layer, count, like, ctx } = spec;
  const dtype = dtypeOf(like.data);
  return {
    delta: matrix(count, layer.out, ctx.kernels.alloc(count * layer.out, dtype)),
    input: matrix(count, layer.in, ctx.kernels.alloc(count * layer.in, dtype)),
  };
}

function denseOwner(spec: NetworkSpec, param: string): DenseSpec | undefined {
  return spec.layers.find((layer): layer is DenseSpec => {
    return (
      layer.kind === "dense" &&
      (param === `${layer.name}.weight` || (layer.bias !== false && param === `${layer.name}.bias`))
    );
  });
}
