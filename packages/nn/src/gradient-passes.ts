/** Forward and backward over many examples, as many at a time as memory should hold. */
import type { GradientRequest, RunContext } from "@secateur/core";
import { assertLabels } from "./assert-data.ts";
import { notFiniteOutput } from "./errors.ts";
import { graphOf } from "./graph.ts";
import type { NetworkSpec } from "./network-spec.ts";
import type { GradientSink, Weights } from "./ops/op.ts";
import { createPool } from "./pool.ts";
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
  { spec, weights }: Model,
  { data, examples, group }: Pick<GradientRequest, "data" | "examples"> & { group: number },
  ctx: RunContext,
  sinkAt: (start: number) => GradientSink,
): Promise<number> {
  const { kernels } = ctx;
  const pool = createPool(kernels, dtypeOfWeights(weights));
  const size = passSize(spec, group);
  let total = 0;
  for (let start = 0; start < examples.length; start += size) {
    const batch = await data.batch(examples.subarray(start, Math.min(start + size, examples.length)));
    assertLabels(spec, data, batch.labels);
    const tape = record({ network: spec, weights, input: batch.inputs, pool });
    const delta = tape.logits;
    const loss = new Float64Array(delta.rows);
    total += kernels.softmaxCrossEntropy({ logits: delta, labels: batch.labels, loss, delta });
    const bad = loss.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw notFiniteOutput(spec.name, examples[start + bad]!);
    tape.backward(delta, sinkAt(start));
    tape.release();
    await ctx.tick({ task: "gradients", done: start + delta.rows, total: examples.length });
  }
  pool.drain();
  return total / examples.length;
}
