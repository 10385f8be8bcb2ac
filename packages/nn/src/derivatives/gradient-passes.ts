/** Forward and backward over many examples, as many at a time as memory should hold. */
import type { GradientRequest, RunContext } from "@secateur/core";
import { assertLabels } from "../assert-data.ts";
import { notFiniteOutput } from "../errors.ts";
import { graphOf } from "../graph/graph.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
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
 * Runs forward and backward over the examples; returns the mean loss.
 *
 * @param request.group - runs of examples that must stay in one pass
 * @param sinkAt - takes the gradients of a pass, given the place of its first example among the requested ones
 * @throws ERR_LABEL_RANGE, ERR_NOT_FINITE, ERR_ABORTED
 */
export async function eachPass(
  model: Model,
  request: Pick<GradientRequest, "data" | "examples"> & { group: number },
  ctx: RunContext,
  sinkAt: (start: number) => GradientSink,
): Promise<number> {
  const { examples, group } = request;
  const size = passSize(model.spec, group);
  return await withPool(ctx.kernels, dtypeOfWeights(model.weights), async (pool) => {
    let total = 0;
    for (let start = 0; start < examples.length; start += size) {
      const end = Math.min(start + size, examples.length);
      total += await onePass(model, { ...request, start, end, sink: sinkAt(start), pool });
      await ctx.tick({ task: "gradients", done: end, total: examples.length });
    }
    return total / examples.length;
  });
}

/** The summed loss of examples [start, end). */
async function onePass(
  { spec, weights }: Model,
  call: Pick<GradientRequest, "data" | "examples"> & { start: number; end: number; sink: GradientSink; pool: Pool },
): Promise<number> {
  const { data, examples, start, end, sink, pool } = call;
  const batch = await data.batch(examples.subarray(start, end));
  assertLabels(spec, data, batch.labels);
  const tape = record({ network: spec, weights, input: batch.inputs, pool });
  const delta = tape.logits;
  const loss = new Float64Array(delta.rows);
  const total = pool.kernels.softmaxCrossEntropy({ logits: delta, labels: batch.labels, loss, delta });
  const bad = loss.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw notFiniteOutput(spec.name, examples[start + bad]!);
  tape.backward(delta, sink);
  tape.release();
  return total;
}
