/** Gradients of a task's loss in the weights: rows of some examples each, or the mean over all. */
import {
  checkedLoss,
  type Dataset,
  type GradientRequest,
  type GradientRows,
  type LossSum,
  type MeanGradient,
  type Pool,
  type RunContext,
  type Task,
  targetsOf,
  type Vec,
  withPool,
  zeros,
  zerosLike,
} from "@secateur/core";
import { unevenRows } from "../errors.ts";
import type { WeightSink } from "../operator.ts";
import type { GraphParam } from "../plan/params.ts";
import { recordGraph, type Tape } from "../run/tape.ts";
import type { GraphState } from "./graph-state.ts";
import type { Bias } from "./offsets/biases.ts";
import { deltasOf, outputsOf, type Pass, passesOf, passSize, rowPassSize } from "./passes.ts";
import { collectRows, sumSink } from "./weight-sinks.ts";

/**
 * Gradient rows: row r is the gradient of the mean loss of `batch` consecutive examples. Time: one forward and backward. Memory, in kernel memory:
 * rows * size numbers a weight, fewer where its factors are fewer, and the values of one pass.
 *
 * @throws ERR_UNEVEN_ROWS, ERR_OPERATOR, ERR_GRAPH_NODE, ERR_NO_DERIVATIVE, ERR_NOT_FINITE, ERR_ABORTED, and what the task throws
 */
export async function gradientRows(
  state: GraphState,
  request: GradientRequest & { readonly task: Task },
  { params, ctx }: { params: readonly GraphParam[]; ctx: RunContext },
): Promise<GradientRows> {
  const { examples, batch } = request;
  if (examples.length === 0 || examples.length % batch !== 0) throw unevenRows(state.name, examples.length, batch);
  const rows = examples.length / batch;
  const collector = collectRows({ params, rows, batch }, ctx);
  const size = await rowPassSize(state, request.data, batch);
  const { loss, sums } = await eachPass(
    state,
    { ...request, group: batch, size },
    ctx,
    ({ start, count, fed, plan }, pool) => collector.sinkAt({ start, fed, count, plan, pool }),
  );
  return { rows, blocks: collector.blocks(), loss, sums };
}

/**
 * The gradient of the mean loss over the examples, flattened in the order of the weights.
 *
 * @param options.biases - whose gradients follow those of the weights, by the weights that they are added behind
 */
export async function meanGradient(
  state: GraphState,
  request: Omit<GradientRequest, "batch"> & { readonly task: Task },
  {
    params,
    biases,
    ctx,
  }: { params: readonly GraphParam[]; biases: readonly (readonly [string, Bias])[]; ctx: RunContext },
): Promise<MeanGradient> {
  const vectors = (of: readonly (readonly [string, { readonly data: { readonly length: number } }])[]) =>
    new Map<string, Vec>(of.map(([name, { data }]) => [name, zeros(data.length, state.dtype)]));
  const sums = vectors(params.map(({ name, live }) => [name, live]));
  const ofBiases = vectors(biases.map(([param, { live }]) => [param, live]));
  const alpha = 1 / request.examples.length;
  const size = await passSize(state, request.data);
  const { loss, count } = await eachPass(state, { ...request, group: 1, size }, ctx, (_pass, pool) =>
    sumSink(sums, { alpha, pool, biases: ofBiases }),
  );
  return { gradient: joined([...sums.values(), ...ofBiases.values()], state.dtype), loss, count };
}

/** Vectors one after the other. */
export function joined(parts: readonly Vec[], dtype: "f32" | "f64"): Vec {
  const out = zeros(
    parts.reduce((sum, part) => sum + part.length, 0),
    dtype,
  );
  let start = 0;
  for (const part of parts) {
    out.set(part, start);
    start += part.length;
  }
  return out;
}

/** Runs forward and backward over the examples; returns the mean loss of what counts, and how much that is. */
async function eachPass(
  state: GraphState,
  request: { data: Dataset; examples: Uint32Array; task: Task; group: number; size: number },
  ctx: RunContext,
  sinkAt: (pass: Pass, pool: Pool) => WeightSink,
): Promise<{ loss: number; count: number; sums: readonly LossSum[] }> {
  const { data, examples, task, group, size } = request;
  if (size % group !== 0 && group % size !== 0)
    throw unevenRows(`${state.name}, which takes ${size} examples at a time`, size, group);
  return await withPool(ctx.kernels, state.dtype, async (pool) => {
    let [sum, count] = [0, 0];
    const sums: LossSum[] = [];
    for await (const pass of passesOf(state, { data, examples, size }, ctx)) {
      const tape = recordGraph({ ...pass, pool });
      const { loss, deltas } = lossOf(state, pass, { task, tape, pool, examples });
      tape.backward(deltas, sinkAt(pass, pool));
      tape.release();
      sums.push(loss);
      sum += loss.sum;
      count += loss.count;
    }
    return { loss: sum / count, count, sums };
  });
}

/** The loss of a pass and its slopes at the outputs. */
export function lossOf(
  state: GraphState,
  pass: Pass,
  at: { task: Task; tape: Tape; pool: Pool; examples: Uint32Array },
): { loss: LossSum; deltas: ReadonlyMap<string, Vec> } {
  const { task, tape, pool, examples } = at;
  const outputs = outputsOf(state, pass, tape.outputs);
  const slopes = zerosLike(outputs);
  const loss = task.loss({ outputs, targets: targetsOf(task, pass.batch), delta: slopes, kernels: pool.kernels });
  checkedLoss(loss, { task, model: state.name, outputs, example: (row) => examples[pass.start + row]! });
  return { loss, deltas: deltasOf(state, pass, slopes) };
}
