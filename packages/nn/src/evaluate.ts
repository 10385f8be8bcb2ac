import { batches, type Dataset, type Evaluation, type Mat, matrix, type RunContext } from "@secateur/core";
import { assertLabels } from "./assert-data.ts";
import { countCorrect } from "./count-correct.ts";
import { passSize } from "./derivatives/gradient-passes.ts";
import { dtypeOfWeights, logitsOf } from "./derivatives/tape.ts";
import { notFiniteOutput } from "./errors.ts";
import type { NetworkSpec } from "./graph/network-spec.ts";
import type { Weights } from "./ops/op.ts";
import { withPool } from "./pool.ts";

/** Examples a forward pass: large enough for the kernels, small enough to report progress often. */
const batchSize = 1000;

/** Accuracy (percent; a tie goes to the lower class) and mean cross-entropy of a network over a dataset. */
export async function evaluate(
  { spec, weights }: { spec: NetworkSpec; weights: Weights },
  data: Dataset,
  ctx: RunContext,
): Promise<Evaluation> {
  return await withPool(ctx.kernels, dtypeOfWeights(weights), async (pool) => {
    let [correct, loss, seen] = [0, 0, 0];
    for await (const batch of batches(data, Math.min(batchSize, passSize(spec)))) {
      assertLabels(spec, data, batch.labels);
      const logits = logitsOf({ network: spec, weights, input: batch.inputs, pool });
      correct += countCorrect(logits, batch.labels);
      const losses = new Float64Array(logits.rows);
      loss += ctx.kernels.softmaxCrossEntropy({ logits, labels: batch.labels, loss: losses });
      pool.give(logits.data);
      const bad = losses.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) throw notFiniteOutput(spec.name, seen + bad);
      seen += batch.labels.length;
      await ctx.tick({ task: "evaluate", done: seen, total: data.size });
    }
    return { accuracy: (100 * correct) / seen, loss: loss / seen, examples: seen };
  });
}

/** The logits [data.size, classes] of a network over a dataset, in f64. */
export async function allLogits(
  { spec, weights }: { spec: NetworkSpec; weights: Weights },
  data: Dataset,
  ctx: RunContext,
): Promise<Mat> {
  const out = matrix(data.size, spec.classes, new Float64Array(data.size * spec.classes));
  return await withPool(ctx.kernels, dtypeOfWeights(weights), async (pool) => {
    let seen = 0;
    for await (const batch of batches(data, Math.min(batchSize, passSize(spec)))) {
      const logits = logitsOf({ network: spec, weights, input: batch.inputs, pool });
      const bad = logits.data.findIndex((value: number) => !Number.isFinite(value));
      if (bad >= 0) throw notFiniteOutput(spec.name, seen + Math.floor(bad / spec.classes));
      out.data.set(logits.data, seen * spec.classes);
      seen += logits.rows;
      pool.give(logits.data);
      await ctx.tick({ task: "evaluate", done: seen, total: data.size });
    }
    return out;
  });
}
