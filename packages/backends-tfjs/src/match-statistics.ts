/**
 * Statistics of batch normalisation after pruning. With m, v the mean and variance that a channel had on some examples before, m', v' what
 * it has now on the same ones, and M, V those in the model when the first were measured,
 *   V' = V v' / v,   (m' - M') / sqrt(V') = (m - M) / sqrt(V)
 * so that what leaves the normalisation has the mean and variance it had (as @secateur/graph does for ONNX models). It is done batch by
 * batch, each normalisation corrected before what follows it is measured, and the corrected statistics are averaged over batches: one pass.
 */
import { type Dataset, inputRows, type RunContext, sampleIndices, throwIfAborted } from "@secateur/core";
import { withWatchedKernels } from "./gradients/watched-kernels.ts";
import type { ModelRun } from "./model-run.ts";
import { sharedTensor, type TensorInfo } from "./tf.ts";
import type { ModelWeight } from "./weights.ts";

/** Examples that statistics are measured on. */
const mostExamples = 1024;
/** Of a batch: enough for a variance of every channel, little enough for the activations of a whole network. */
const batchExamples = 64;

/** Mean and variance of channels. */
interface Moments {
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

/** What may be done with statistics once those of the model as it was are known. */
export interface StatisticsMatch {
  /**
   * Corrects the statistics so that, with weights changed meanwhile, every normalisation gives again what it gave on the same examples. May be
   * called again after further changes. Time: a forward pass.
   */
  match(ctx: RunContext): Promise<void>;
  /** Brings back the statistics that the model had when they were measured. */
  restore(): void;
}

/** By batch and by the name of the weight that holds the means. */
type BatchMoments = readonly ReadonlyMap<string, Moments>[];

/**
 * Measures now; see TfjsModel.matchStatistics. Examples are drawn with the context's generator. Time: two forward passes in all.
 *
 * @param model.written - gets the names of the weights that are corrected
 */
export async function matchStatistics(
  model: { readonly run: ModelRun; readonly written: Set<string> },
  data: Dataset,
  ctx: RunContext,
): Promise<StatisticsMatch> {
  const { run, written } = model;
  const count = Math.min(mostExamples, data.size);
  const examples = sampleIndices(data.size, count, ctx.rng.fork("channel statistics"));
  // Corrections start from these each time, so that one may follow another.
  const stored = new Map<string, { readonly norm: Norm; readonly moments: Moments }>();
  const before: BatchMoments = await eachBatch(run, { data, examples, ctx }, ({ norm }) => {
    if (!stored.has(norm.mean.name)) stored.set(norm.mean.name, { norm, moments: storedMoments(norm) });
    return undefined;
  });
  const write = ({ mean, variance }: Norm, moments: Moments): void => {
    for (const [weight, values] of [
      [mean, moments.mean],
      [variance, moments.variance],
    ] as const) {
      weight.replace(Float32Array.from(values));
      written.add(weight.name);
    }
  };
  const match = async (after: RunContext): Promise<void> => {
    const sums = new Map<string, { norm: Norm; moments: Moments; batches: number }>();
    await eachBatch(run, { data, examples, ctx: after }, ({ norm, moments, batch }) => {
      const reference = before[batch]?.get(norm.mean.name);
      if (!reference) return undefined;
      const corrected = correct({ now: moments, before: reference, stored: stored.get(norm.mean.name)!.moments });
      const sum = sums.get(norm.mean.name);
      if (!sum) sums.set(norm.mean.name, { norm, moments: corrected, batches: 1 });
      else sums.set(norm.mean.name, { norm, moments: plus(sum.moments, corrected), batches: sum.batches + 1 });
      return corrected;
    });
    for (const { norm, moments, batches } of sums.values()) {
      const [mean, variance] = [moments.mean, moments.variance].map((sum) => sum.map((value) => value / batches));
      write(norm, { mean: mean!, variance: variance! });
    }
  };
  return {
    match,
    restore() {
      for (const { norm, moments } of stored.values()) write(norm, moments);
    },
  };
}

/** The two statistics of a normalisation. */
interface Norm {
  readonly mean: ModelWeight;
  readonly variance: ModelWeight;
}

/** Runs batches; the moments in front of every normalisation are given to `choose`, whose answer is normalised with, if any. */
async function eachBatch(
  run: ModelRun,
  { data, examples, ctx }: { data: Dataset; examples: Uint32Array; ctx: RunContext },
  choose: (call: { norm: Norm; moments: Moments; batch: number }) => Moments | undefined,
): Promise<BatchMoments> {
  const { tf, runnable } = run;
  const layout = run.layoutOf(data);
  const size = runnable.input.batch ?? batchExamples;
  const found: Map<string, Moments>[] = [];
  // A rest that does not fill a batch is left out, unless it is all there is: its variances would be of few numbers.
  for (let start = 0; start < examples.length; start += size) {
    const indices = examples.subarray(start, start + size);
    if (start > 0 && indices.length < size) break;
    throwIfAborted(ctx.signal);
    const input = run.inputOf(inputRows(await data.batch(indices)), layout);
    const own = new Map<string, Moments>();
    const byMean = new Map<object, ModelWeight>(runnable.weights.map((weight) => [weight.tensor().dataId, weight]));
    const outputs = withWatchedKernels(
      tf,
      {
        watch: [],
        onCall: () => {},
        replace: {
          FusedBatchNorm(_attributes, { inputs, run: normalise }) {
            const [mean, variance] = [byMean.get(inputs["mean"]!.dataId), byMean.get(inputs["variance"]!.dataId)];
            if (!mean || !variance) return normalise(inputs);
            const moments = momentsOf(run, inputs["x"]!);
            // A layer used twice keeps the statistics of its first use.
            if (own.has(mean.name)) return normalise(inputs);
            own.set(mean.name, moments);
            const chosen = choose({ norm: { mean, variance }, moments, batch: found.length });
            if (!chosen) return normalise(inputs);
            const shape = [...inputs["mean"]!.shape];
            const tensors = [chosen.mean, chosen.variance].map((values) => tf.tensor(Float32Array.from(values), shape));
            const normalised = normalise({ ...inputs, mean: tensors[0], variance: tensors[1] });
            tf.dispose(tensors);
            return normalised;
          },
        },
      },
      () => tf.tidy(() => runnable.forward(input) as never[]),
    );
    tf.dispose([input, ...outputs]);
    found.push(own);
    await ctx.tick({ task: "batch-norm", done: start + indices.length, total: examples.length });
  }
  return found;
}

/** Mean and variance over all but the last dimension. */
function momentsOf({ tf }: ModelRun, x: TensorInfo): Moments {
  const tensor = sharedTensor(tf, x);
  const axes = x.shape.slice(0, -1).map((_, axis) => axis);
  const { mean, variance } = tf.moments(tensor, axes);
  const moments = {
    mean: Float64Array.from(mean.dataSync()),
    variance: Float64Array.from(variance.dataSync()),
  };
  tf.dispose([tensor, mean, variance]);
  return moments;
}

function storedMoments({ mean, variance }: Norm): Moments {
  return {
    mean: Float64Array.from(mean.tensor().dataSync()),
    variance: Float64Array.from(variance.tensor().dataSync()),
  };
}

/** Channels that were or are constant keep what the model has: there is no spread to match. */
function correct({ now, before, stored }: { now: Moments; before: Moments; stored: Moments }): Moments {
  const ratio = now.variance.map((value, c) =>
    value > 0 && before.variance[c]! > 0 ? value / before.variance[c]! : 1,
  );
  return {
    variance: stored.variance.map((value, c) => value * ratio[c]!),
    // In this order nothing is rounded where nothing changed.
    mean: stored.mean.map((M, c) => {
      const m = before.mean[c]!;
      return M + (now.mean[c]! - m) + (m - M) * (1 - Math.sqrt(ratio[c]!));
    }),
  };
}

function plus(a: Moments, b: Moments): Moments {
  return {
    mean: a.mean.map((value, c) => value + b.mean[c]!),
    variance: a.variance.map((value, c) => value + b.variance[c]!),
  };
}
