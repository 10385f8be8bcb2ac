/**
 * Gradient rows without one pass per example: batches go forward and backward together on the engine, and the factors that
 * every linear map leaves become rows on the host. Weights used in other ways take one pass per example.
 */
import {
  type FloatTensors,
  type GradientBlock,
  type GradientRequest,
  type GradientRows,
  inputRows,
  type Kernels,
  type LossSum,
  type Mat,
  type MeanGradient,
  matrix,
  type RunContext,
  targetsOf,
  zerosLike,
} from "@secateur/core";
import type { Canonical } from "../canonical.ts";
import { unevenRows } from "../errors.ts";
import type { InputLayout } from "../model-input.ts";
import { addRows, type HostUse, type RowMaker } from "./captured-rows.ts";
import { type Adapted, hostUses } from "./host-uses.ts";
import { added, eachPass, lossOf, lossOfPass, type Pass, type Posed } from "./passes.ts";
import { type Differentiable, plainGradients } from "./plain-gradients.ts";
import { disposeRecording, recordGradients } from "./record-gradients.ts";
import { weightsWithFactors } from "./verify-factors.ts";

/** Gradients below this are taken as zero: their products would be subnormal numbers, on which processors are slow. */
const negligible = 1e-18;

/**
 * Gradient rows: row r is the gradient of the mean loss of `batch` consecutive examples; factored for dense layers over one
 * vector an example. Time: one forward and backward pass, and the factors' way to the host. Memory: N (in + out) numbers a
 * factored layer, rows * size for any other parameter, and the activations of one pass.
 *
 * @throws ERR_DATA_MISMATCH, ERR_LABEL_RANGE, ERR_NOT_FINITE, ERR_INCOMPATIBLE (no gradients), ERR_ABORTED
 */
export async function gradientRows(
  adapted: Adapted,
  request: Posed<GradientRequest>,
  ctx: RunContext,
): Promise<GradientRows> {
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
      const { canonical } = find(param);
      return [param, isFactored ? factoredStore(canonical, examples.length, ctx) : denseStore(canonical, rows, ctx)];
    }),
  );
  const maker: RowMaker = { kernels: ctx.kernels, gradientKernels: adapted.gradientKernels };
  const recorded = params.filter((param) => withFactors.has(param));
  const single = params.filter((param) => !withFactors.has(param));
  const slopes: Slopes[] = [];
  let loss: LossSum = { sum: 0, count: 0 };
  await eachPass(adapted, { ...request, layout, ctx }, async (pass) => {
    const { slope, ...sum } = await recordPass(adapted, { pass, params: recorded, request, layout, stores, maker });
    loss = added(loss, sum);
    if (slope && single.length > 0) slopes.push({ from: pass.from, to: pass.to, slope });
    await ctx.tick({ task: "gradients", done: pass.to, total: examples.length });
  });
  if (single.length > 0) await oneByOne(adapted, { request, layout, params: single, stores, slopes, ctx });
  return {
    rows,
    blocks: params.map((param) => blockOf(param, stores.get(param)!, batch)),
    loss: loss.sum / loss.count,
  };
}

/** Where the rows of a parameter are kept, zeros at first. */
type Store = { readonly kind: "dense"; readonly rows: Mat } | FactoredStore;

interface FactoredStore {
  readonly kind: "factored";
  /** [examples, out] */
  readonly delta: Mat;
  /** [examples, in] */
  readonly input: Mat;
}

function denseStore({ order }: Canonical, rows: number, { kernels }: RunContext): Store {
  return { kind: "dense", rows: zeros(kernels, rows, order.length) };
}

function factoredStore({ rows: out, cols }: Canonical, examples: number, { kernels }: RunContext): Store {
  return { kind: "factored", delta: zeros(kernels, examples, out), input: zeros(kernels, examples, cols) };
}

function zeros(kernels: Kernels, rows: number, cols: number): Mat {
  return matrix(rows, cols, kernels.alloc(rows * cols, "f32"));
}

function blockOf(param: string, store: Store, batch: number): GradientBlock {
  if (store.kind === "dense") return { kind: "dense", param, rows: store.rows };
  const { delta, input } = store;
  return { kind: "factored", param, group: batch, delta, input };
}

/** Slopes of the loss at the outputs of examples [from, to), of a pass of as many or more. */
interface Slopes {
  readonly from: number;
  readonly to: number;
  readonly slope: FloatTensors;
}

async function recordPass(
  adapted: Adapted,
  spec: {
    pass: Pass;
    params: readonly string[];
    request: Posed<GradientRequest>;
    layout: InputLayout;
    stores: ReadonlyMap<string, Store>;
    maker: RowMaker;
  },
): Promise<LossSum & { readonly slope?: FloatTensors }> {
  const { run, find } = adapted;
  const { pass, params, request, layout, stores, maker } = spec;
  const { task, examples } = request;
  const posed = { params, task, pass, examples, kernels: maker.kernels };
  if (params.length === 0) {
    const batch = await request.data.batch(examples.subarray(pass.from, pass.to));
    return lossOf(run.name, posed, { outputs: await run.outputsOf(batch, { layout, task }) });
  }
  const { computation, loss } = lossOfPass(adapted, posed);
  const recording = recordGradients(run.tf, computation);
  const count = pass.input.shape[0]!;
  const uses = await hostUses(recording.uses);
  disposeRecording(run.tf, recording);
  for (const param of params) {
    const own = uses.get(param) ?? [];
    const store = stores.get(param)!;
    if (store.kind === "factored") {
      for (const use of own) keepFactors(store, { use, pass, batch: request.batch });
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
  return loss();
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
  { delta, input }: FactoredStore,
  { use, pass, batch }: { use: HostUse; pass: Pass; batch: number },
): void {
  const examples = pass.to - pass.from;
  input.data.set(use.input.subarray(0, examples * input.cols), pass.from * input.cols);
  const scaled = delta.data.subarray(pass.from * delta.cols, pass.to * delta.cols);
  for (let i = 0; i < scaled.length; i++) {
    const value = use.delta[i]! / batch;
    scaled[i] = Math.abs(value) < negligible ? 0 : value;
  }
}

/** The slopes of one example, in the shape of a pass's outputs; undefined where there are none of it. */
function slopeOf(slopes: readonly Slopes[], example: number, outputs: FloatTensors): FloatTensors | undefined {
  const found = slopes.find(({ from, to }) => from <= example && example < to);
  if (!found) return undefined;
  const delta = zerosLike(outputs);
  for (const [name, { shape, data }] of Object.entries(found.slope)) {
    const size = data.length / shape[0]!;
    const place = example - found.from;
    delta[name]!.data.set(data.subarray(place * size, (place + 1) * size));
  }
  return delta;
}

/**
 * A pass per example, for weights that leave no factors. Slopes that other weights' rows were made with are taken again: where a task draws them,
 * new ones would not belong to the same row.
 */
async function oneByOne(
  adapted: Adapted,
  spec: {
    request: Posed<GradientRequest>;
    layout: InputLayout;
    params: readonly string[];
    stores: ReadonlyMap<string, Store>;
    slopes: readonly Slopes[];
    ctx: RunContext;
  },
): Promise<void> {
  const { run, find } = adapted;
  const { request, layout, params, stores, slopes, ctx } = spec;
  const { data, examples, batch, task } = request;
  const { kernels } = ctx;
  for (let i = 0; i < examples.length; i++) {
    const single = await data.batch(examples.subarray(i, i + 1));
    const input = run.inputOf(inputRows(single), layout);
    const outputs = run.tf.getBackend() === "webgpu" ? await run.outputsOf(single, { layout, task }) : undefined;
    const pass: Pass = { from: i, to: i + 1, targets: targetsOf(task, single), input, outputs };
    const { computation } = lossOfPass(adapted, { params, task, pass, examples, kernels });
    const delta: Differentiable["delta"] = (found) => slopeOf(slopes, i, found) ?? computation.delta(found);
    const { gradients } = plainGradients(run.tf, { ...computation, delta });
    for (const [param, gradient] of gradients) {
      const store = stores.get(param)!;
      if (store.kind !== "dense") continue;
      const { order } = find(param).canonical;
      const row = rowOf(store.rows, Math.floor(i / batch));
      const values = await gradient.data();
      for (let k = 0; k < row.length; k++) row[k] = row[k]! + values[order[k]!]! / batch;
    }
    run.tf.dispose([input, ...gradients.values()]);
    await ctx.tick({ task: "gradients one by one", done: i + 1, total: examples.length });
  }
}

/**
 * The gradient of the summed loss over the number of examples, flattened in the order of `params`, by the engine's own differentiation.
 * Time: one forward and backward pass. @throws as gradientRows
 */
export async function meanGradient(
  adapted: Adapted,
  request: Posed<Omit<GradientRequest, "batch">>,
  ctx: RunContext,
): Promise<MeanGradient> {
  const { run, find } = adapted;
  const { examples, params, task } = request;
  const { kernels } = ctx;
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
  let total: LossSum = { sum: 0, count: 0 };
  await eachPass(adapted, { ...request, layout, ctx }, async (pass) => {
    const { computation, loss } = lossOfPass(adapted, { params, task, pass, examples, kernels });
    const { gradients } = plainGradients(run.tf, computation);
    for (const [param, tensor] of gradients) {
      const { order } = find(param).canonical;
      const start = starts.get(param)!;
      const values = await tensor.data();
      for (let k = 0; k < order.length; k++) gradient[start + k]! += values[order[k]!]! / examples.length;
    }
    total = added(total, loss());
    run.tf.dispose([...gradients.values()]);
    await ctx.tick({ task: "gradients", done: pass.to, total: examples.length });
  });
  return { gradient, loss: total.sum / total.count, count: total.count };
}
