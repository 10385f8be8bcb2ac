/** Forward and backward over many examples, as many at a time as memory should hold. */
import {
  checkedLoss,
  classification,
  type GradientRequest,
  inputRows,
  type LossSum,
  type RunContext,
  targetsOf,
} from "@secateur/core";
import { graphOf } from "../graph/graph.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { asOutputs, zeroRows } from "../network-tensors.ts";
import type { GradientSink, Weights } from "../ops/op.ts";
import { type Pool, withPool } from "../pool.ts";
import { dtypeOfWeights, record } from "./tape.ts";

/** A description with weights for it. */
export interface Model {
  readonly spec: NetworkSpec;
  readonly weights: Weights;
}

/** The most examples a pass: how long an abort waits. */
const mostExamples = 2048;
/** Numbers that the layers of one pass may keep: 64 MiB of f32. */
const passNumbers = 16 * 1024 * 1024;

/** Examples of a pass, a multiple of `group` unless one group is more. */
export function passSize(network: NetworkSpec, group = 1): number {
  const most = Math.min(mostExamples, Math.floor(passNumbers / graphOf(network).valuesPerExample));
  return Math.max(1, Math.floor(most / group)) * group;
}

/**
 * Runs forward and backward over the examples; returns the mean loss of what counts, and how much that is.
 *
 * @param request.group - runs of examples that must stay in one pass
 * @param sinkAt - takes the gradients of a pass, given the place of its first example among the requested ones
 * @throws ERR_TASK, ERR_LABEL_RANGE, ERR_NOT_FINITE, ERR_ABORTED
 */
export async function eachPass(
  model: Model,
  request: Pick<GradientRequest, "data" | "examples" | "task"> & { group: number },
  ctx: RunContext,
  sinkAt: (start: number) => GradientSink,
): Promise<{ loss: number; count: number; sums: readonly LossSum[] }> {
  const { examples, group } = request;
  const size = passSize(model.spec, group);
  return await withPool(ctx.kernels, dtypeOfWeights(model.weights), async (pool) => {
    let [total, count] = [0, 0];
    const sums: LossSum[] = [];
    for (let start = 0; start < examples.length; start += size) {
      const end = Math.min(start + size, examples.length);
      const loss = await onePass(model, { ...request, start, end, sink: sinkAt(start), pool });
      sums.push(loss);
      total += loss.sum;
      count += loss.count;
      await ctx.tick({ task: "gradients", done: end, total: examples.length });
    }
    return { loss: total / count, count, sums };
  });
}

/** The loss of examples [start, end). */
async function onePass(
  { spec, weights }: Model,
  call: Pick<GradientRequest, "data" | "examples" | "task"> & {
    start: number;
    end: number;
    sink: GradientSink;
    pool: Pool;
  },
): Promise<LossSum> {
  const { data, task = classification(), examples, start, end, sink, pool } = call;
  const batch = await data.batch(examples.subarray(start, end));
  const tape = record({ network: spec, weights, input: inputRows(batch), pool });
  const delta = zeroRows(tape.logits, pool.dtype);
  const { kernels } = pool;
  const outputs = asOutputs(tape.logits);
  const loss = task.loss({ outputs, targets: targetsOf(task, batch), delta: asOutputs(delta), kernels });
  checkedLoss(loss, { task, model: spec.name, outputs, example: (row) => examples[start + row]! });
  tape.backward(delta, sink);
  tape.release();
  return loss;
}
