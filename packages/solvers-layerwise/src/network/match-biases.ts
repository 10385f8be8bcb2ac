/**
 * Biases that follow from the weights: with W, b of a layer and m the mean of its inputs, b = y - W m, so that the mean outputs are y, those of the dense model; layer after
 * layer, each on the inputs that the ones before it give then. offsets.ts does the same while layers are solved; this does it for any weights, such as
 * those that a run compares or goes on from.
 */
import {
  type Dataset,
  forkContext,
  type LayerInputs,
  type LayerRows,
  type Mat,
  type Model,
  type RunContext,
  sampleIndices,
} from "@secateur/core";

/** Whose biases, and on which data. */
export interface BiasRequest {
  readonly model: Model;
  /** Weights of the layers. */
  readonly params: readonly string[];
  readonly data: Dataset;
  /** Examples at most, drawn at random, the same every time; default 1024. */
  readonly examples?: number;
  /** Whether batch-norm statistics are measured anew, which makes the biases in front of them needless. */
  readonly isNormMeasured: boolean;
}

/** Gives the layers of a model, as it is then, the mean outputs that they had. */
export type BiasMatcher = (ctx: RunContext) => Promise<void>;

/** Measures the mean outputs; undefined where no layer has a bias to fit. Time: a pass over the examples, as for each call of what it returns. */
export async function biasMatcher(request: BiasRequest, ctx: RunContext): Promise<BiasMatcher | undefined> {
  const { model, data, examples = 1024 } = request;
  if (!model.layerInputs) return undefined;
  const count = Math.min(examples, data.size);
  const indices = sampleIndices(data.size, count, forkContext(ctx, "biases").rng);
  const biased = await biasedOf(request, indices, ctx);
  if (biased.length === 0) return undefined;
  const all = { params: biased, data, examples: indices };
  const wanted = new Map<string, Float64Array>();
  const eachLayer = async (
    inputs: "sequential" | "parallel",
    work: (target: LayerRows, mean: Float64Array) => Promise<void>,
    quiet: RunContext,
  ): Promise<void> => {
    for await (const entry of model.layerInputs!({ ...all, inputs }, quiet)) {
      const mean = await meanOf(entry);
      for (const target of entry.targets) if (isFitted(target, request)) await work(target, mean);
    }
  };
  await eachLayer(
    "parallel",
    async (target, mean) => {
      const products = timesMean(await model.read(target.param), target, mean);
      const bias = await model.read(target.offset!.bias!);
      wanted.set(
        `${target.param} ${target.firstRow}`,
        products.map((value, r) => value + bias.data[target.firstRow + r]!),
      );
    },
    ctx,
  );
  return (quiet) =>
    eachLayer(
      "sequential",
      async (target, mean) => {
        const products = timesMean(await model.read(target.param), target, mean);
        const bias = await model.read(target.offset!.bias!);
        const own = wanted.get(`${target.param} ${target.firstRow}`)!;
        bias.data.set(
          own.map((value, r) => value - products[r]!),
          target.firstRow,
        );
        await model.write(target.offset!.bias!, bias);
      },
      quiet,
    );
}

/** The weights of layers with a bias to fit: no inputs are read for that. */
async function biasedOf(request: BiasRequest, examples: Uint32Array, ctx: RunContext): Promise<readonly string[]> {
  const { model, params, data } = request;
  const found = new Set<string>();
  for await (const { targets } of model.layerInputs!({ params, data, examples, inputs: "sequential" }, ctx)) {
    for (const target of targets) if (isFitted(target, request)) found.add(target.param);
  }
  return [...found];
}

function isFitted({ offset }: LayerRows, { isNormMeasured }: BiasRequest): boolean {
  return offset?.bias !== undefined && !(offset.statistics && isNormMeasured);
}

async function meanOf({ chunks, cols }: LayerInputs): Promise<Float64Array> {
  const mean = new Float64Array(cols);
  let count = 0;
  for await (const { rows, data } of chunks) {
    for (let r = 0, i = 0; r < rows; r++) for (let j = 0; j < cols; j++, i++) mean[j]! += data[i]!;
    count += rows;
  }
  return mean.map((sum) => sum / Math.max(1, count));
}

/** The mean product of each of some rows. */
function timesMean({ cols, data }: Mat, { firstRow, rows }: LayerRows, mean: Float64Array): Float64Array {
  const out = new Float64Array(rows);
  for (let r = 0, i = firstRow * cols; r < rows; r++)
    for (let j = 0; j < cols; j++, i++) out[r]! += data[i]! * mean[j]!;
  return out;
}
