/**
 * Gradient rows without one pass per example: batches go forward and backward together on the engine, and the factors that
 * every linear map leaves become rows on the host. Weights used in other ways take one pass per example.
 */
import {
  type GradientBlock,
  type GradientRequest,
  type GradientRows,
  inputRows,
  type Kernels,
  labelsOf,
  type Mat,
  type MeanGradient,
  matrix,
  type RunContext,
} from "@secateur/core";
import type { Canonical } from "../canonical.ts";
import { unevenRows } from "../errors.ts";
import type { InputLayout } from "../model-input.ts";
import type { Tensor } from "../tf.ts";
import { addRows, type HostUse, type RowMaker } from "./captured-rows.ts";
import { type Adapted, hostUses } from "./host-uses.ts";
import { type Differentiable, plainGradients } from "./plain-gradients.ts";
import { disposeRecording, recordGradients } from "./record-gradients.ts";
import { weightsWithFactors } from "./verify-factors.ts";

/** Gradients below this are taken as zero: their products would be subnormal numbers, on which processors are slow. */
const negligible = 1e-18;

/** One pass: examples [from, to) of the request. */
export interface Pass {
  readonly from: number;
  readonly to: number;
  readonly labels: Uint32Array;
  readonly input: Tensor;
}

/**
 * Gradient rows: row r is the gradient of the mean loss of `batch` consecutive examples; factored for dense layers over one
 * vector an example. Time: one forward and backward pass, and the factors' way to the host. Memory: N (in + out) numbers a
 * factored layer, rows * size for any other parameter, and the activations of one pass.
 *
 * @throws ERR_DATA_MISMATCH, ERR_LABEL_RANGE, ERR_NOT_FINITE, ERR_INCOMPATIBLE (no gradients), ERR_ABORTED
 */
export async function gradientRows(adapted: Adapted, request: GradientRequest, ctx: RunContext): Promise<GradientRows> {
  const { run, find } = adapted;
  const { examples, batch, params } = request;
  if (examples.length === 0 || examples.length % batch !== 0) throw unevenRows(run.name, examples.length, batch);
  const layout = run.layoutOf(request.data);
  const facts = run.probe(layout)!;
  if (facts.problem !== undefined) throw facts.problem;
  const withFactors = await weightsWithFactors(adapted, { params, data: request.data, layout, kernels: ctx.kernels });
  const rows = examples.length / batch;
  const stores = new Map(
    params.map((param): [string, Store] => {
      const isFactored = facts.factored.has(param) && withFactors.has(param);
      const factored: Store = { kind: "factored", examples: examples.length };
      return [param, isFactored ? factored : denseStore(find(param).canonical, rows, ctx)];
    }),
  );
  const maker: RowMaker = { kernels: ctx.kernels, gradientKernels: adapted.gradientKernels };
  const recorded = params.filter((param) => withFactors.has(param));
  let loss = 0;
  await eachPass(adapted, { ...request, layout }, async (pass) => {
    loss += await recordPass(adapted, { pass, params: recorded, request, stores, maker });
    await ctx.tick({ task: "gradients", done: pass.to, total: examples.length });
  });
  const single = params.filter((param) => !withFactors.has(param));
  if (single.length > 0) await oneByOne(adapted, { request, layout, params: single, stores, ctx });
  return {
    rows,
    blocks: params.map((param) => blockOf(param, stores.get(param)!, batch)),
    loss: loss / examples.length,
  };
}

/** Where the rows of a parameter are kept; factors are allocated when their extents are known. */
type Store = { readonly kind: "dense"; readonly rows: Mat } | FactoredStore;

interface FactoredStore {
  readonly kind: "factored";
  readonly examples: number;
  factors?: { readonly delta: Mat; readonly input: Mat };
}

function denseStore({ order }: Canonical, rows: number, ctx: RunContext): Store {
  return { kind: "dense", rows: matrix(rows, order.length, ctx.kernels.alloc(rows * order.length, "f32")) };
}

function blockOf(param: string, store: Store, batch: number): GradientBlock {
  if (store.kind === "dense") return { kind: "dense", param, rows: store.rows };
  return { kind: "factored", param, group: batch, ...store.factors! };
}

/** Runs over the examples of a request, as many at a time as a pass takes. */
async function eachPass(
  { run }: Adapted,
  request: Pick<GradientRequest, "data" | "examples"> & { layout: InputLayout },
  visit: (pass: Pass) => Promise<void>,
): Promise<void> {
  const { data, examples, layout } = request;
  for (let from = 0; from < examples.length; from += run.passSize) {
    const to = Math.min(from + run.passSize, examples.length);
    const batch = await data.batch(examples.subarray(from, to));
    const labels = labelsOf(batch);
    run.assertLabels(data, labels);
    const input = run.inputOf(inputRows(batch), layout);
    try {
      await visit({ from, to, labels, input });
    } finally {
      input.dispose();
    }
  }
}

/** What a pass differentiates: the model's summed loss by some weights. */
function lossOfPass(
  { run, find }: Adapted,
  params: readonly string[],
  pass: Pick<Pass, "input" | "labels">,
): Differentiable {
  const { tf, runnable, loss } = run;
  return {
    weights: new Map(params.map((param) => [param, find(param).weight.tensor()])),
    forward: () => runnable.forward(pass.input),
    delta: (output, kind) => loss.delta(tf, { output, kind, labels: pass.labels }),
  };
}

async function recordPass(
  adapted: Adapted,
  spec: {
    pass: Pass;
    params: readonly string[];
    request: GradientRequest;
    stores: ReadonlyMap<string, Store>;
    maker: RowMaker;
  },
): Promise<number> {
  const { run, find } = adapted;
  const { pass, params, request, stores, maker } = spec;
  if (params.length === 0) return await lossOnly(adapted, pass, request);
  const recording = recordGradients(run.tf, lossOfPass(adapted, params, pass));
  const count = recording.output.shape[0]!;
  const uses = await hostUses(recording.uses);
  const loss = await passLoss(adapted, recording.output, pass, request);
  disposeRecording(run.tf, recording);
  for (const param of params) {
    const own = uses.get(param) ?? [];
    const store = stores.get(param)!;
    if (store.kind === "factored") {
      for (const use of own) keepFactors(store, { use, count, pass, batch: request.batch, kernels: maker.kernels });
      continue;
    }
    const runs = runsOf(pass, request.batch);
    addRows(maker, {
      uses: own,
      canonical: find(param).canonical,
      batch: count,
      runs: runs.map(({ from, to }) => [from, to] as const),
      alpha: 1 / request.batch,
      row: (r) => rowOf(store.rows, runs[r]!.row),
    });
  }
  return loss;
}

/** The pieces of rows that lie in a pass: examples [from, to) of the pass belong to that row. */
function runsOf({ from, to }: Pass, batch: number): readonly { from: number; to: number; row: number }[] {
  const runs: { from: number; to: number; row: number }[] = [];
  for (let start = from; start < to; ) {
    const row = Math.floor(start / batch);
    const end = Math.min((row + 1) * batch, to);
    runs.push({ from: start - from, to: end - from, row });
    start = end;
  }
  return runs;
}

function rowOf(rows: Mat, row: number): Float32Array {
  return rows.data.subarray(row * rows.cols, (row + 1) * rows.cols) as Float32Array;
}

function keepFactors(
  store: FactoredStore,
  spec: { use: HostUse; count: number; pass: Pass; batch: number; kernels: Kernels },
): void {
  const { use, count, pass, batch, kernels } = spec;
  const allocate = (values: Float32Array): Mat => {
    const cols = values.length / count;
    return matrix(store.examples, cols, kernels.alloc(store.examples * cols, "f32"));
  };
  store.factors ??= { delta: allocate(use.delta), input: allocate(use.input) };
  const { delta, input } = store.factors;
  const examples = pass.to - pass.from;
  input.data.set(use.input.subarray(0, examples * input.cols), pass.from * input.cols);
  const scaled = delta.data.subarray(pass.from * delta.cols, pass.to * delta.cols);
  for (let i = 0; i < scaled.length; i++) {
    const value = use.delta[i]! / batch;
    scaled[i] = Math.abs(value) < negligible ? 0 : value;
  }
}

async function passLoss(
  { run }: Adapted,
  output: Tensor,
  pass: Pass,
  request: Pick<GradientRequest, "examples">,
): Promise<number> {
  const values = (await output.data()) as Float32Array;
  const exampleAt = (i: number): number => request.examples[pass.from + i]!;
  return run.losses({ output: values, labels: pass.labels, exampleAt }).reduce((sum, value) => sum + value, 0);
}

async function lossOnly(adapted: Adapted, pass: Pass, request: GradientRequest): Promise<number> {
  const { tf, runnable } = adapted.run;
  const output = tf.tidy(() => runnable.forward(pass.input));
  const loss = await passLoss(adapted, output, pass, request);
  output.dispose();
  return loss;
}

/** A pass per example, for weights that leave no factors. */
async function oneByOne(
  adapted: Adapted,
  spec: {
    request: GradientRequest;
    layout: InputLayout;
    params: readonly string[];
    stores: ReadonlyMap<string, Store>;
    ctx: RunContext;
  },
): Promise<void> {
  const { run, find } = adapted;
  const { request, layout, params, stores, ctx } = spec;
  const { data, examples, batch } = request;
  for (let i = 0; i < examples.length; i++) {
    const single = await data.batch(examples.subarray(i, i + 1));
    const labels = labelsOf(single);
    const input = run.inputOf(inputRows(single), layout);
    const { output, gradients } = plainGradients(run.tf, lossOfPass(adapted, params, { input, labels }));
    for (const [param, gradient] of gradients) {
      const store = stores.get(param)!;
      if (store.kind !== "dense") continue;
      const { order } = find(param).canonical;
      const row = rowOf(store.rows, Math.floor(i / batch));
      const values = await gradient.data();
      for (let k = 0; k < row.length; k++) row[k] = row[k]! + values[order[k]!]! / batch;
    }
    run.tf.dispose([input, output, ...gradients.values()]);
    await ctx.tick({ task: "gradients one by one", done: i + 1, total: examples.length });
  }
}

/**
 * The gradient of the mean loss over the examples, flattened in the order of `params`, by the engine's own differentiation.
 * Time: one forward and backward pass. @throws as gradientRows
 */
export async function meanGradient(
  adapted: Adapted,
  request: Omit<GradientRequest, "batch">,
  ctx: RunContext,
): Promise<MeanGradient> {
  const { run, find } = adapted;
  const { examples, params } = request;
  const layout = run.layoutOf(request.data);
  const { problem } = run.probe(layout)!;
  if (problem !== undefined) throw problem;
  const starts = new Map<string, number>();
  let size = 0;
  for (const param of params) {
    starts.set(param, size);
    size += find(param).canonical.order.length;
  }
  const gradient = new Float32Array(size);
  let loss = 0;
  await eachPass(adapted, { ...request, layout }, async (pass) => {
    const { output, gradients } = plainGradients(run.tf, lossOfPass(adapted, params, pass));
    for (const [param, tensor] of gradients) {
      const { order } = find(param).canonical;
      const start = starts.get(param)!;
      const values = await tensor.data();
      for (let k = 0; k < order.length; k++) gradient[start + k]! += values[order[k]!]! / examples.length;
    }
    loss += await passLoss(adapted, output, pass, request);
    run.tf.dispose([output, ...gradients.values()]);
    await ctx.tick({ task: "gradients", done: pass.to, total: examples.length });
  });
  return { gradient, loss: loss / examples.length };
}
