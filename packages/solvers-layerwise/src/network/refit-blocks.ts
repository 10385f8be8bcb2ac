/**
 * The kept weights of whole blocks re-fitted together: with f the block, x what the pruned blocks before it give and y what the dense block gives
 * on the dense model's values, minimise 1/2 sum over examples |f(x) - y|^2 over the kept weights, by Adam from the layer-wise solution, block after
 * block. After the transformer matching of 3BASiL (Makni et al. 2025, section 4). Departures: any model that can be cut into blocks; a step is
 * relative to the size of a parameter's weights; an epoch after which held-out examples are not nearer is undone, and the re-fit begins anew with steps a quarter as
 * long, so that a first step that is too long for a block costs an epoch, not the re-fit.
 */
import {
  checkNumber,
  createMoments,
  type Dataset,
  type LayerLoopRequest,
  type Mask,
  type Mat,
  type Model,
  type ModelBlock,
  type OptimizerSpec,
  quietContext,
  type RefittedBlock,
  type RunContext,
  sampleIndices,
  stepParam,
  throwIfAborted,
  type Vec,
} from "@secateur/core";
import { defaults } from "../defaults.ts";
import { noBlocks } from "../errors.ts";
import { readAll, writeAll } from "./parameters.ts";

/** How blocks are re-fitted. */
export interface BlockRefitOptions {
  /** Passes over the calibration examples for each block, >= 0. Default 8. */
  readonly epochs?: number | undefined;
  /** First step of Adam, as a fraction of the root mean square of a parameter's kept weights, > 0; it falls to 0 along a cosine, and to a quarter after every epoch that was undone. Default 0.05. */
  readonly rate?: number | undefined;
  /** Examples a step, >= 1. Default 4. */
  readonly batchSize?: number | undefined;
}

function refitOf(options: BlockRefitOptions) {
  const {
    epochs = defaults.blocks.epochs,
    rate = defaults.blocks.rate,
    batchSize = defaults.blocks.batchSize,
  } = options;
  return { epochs, rate, batchSize };
}

/** @throws ERR_OPTION for options out of range */
export function checkBlockRefit(options: BlockRefitOptions): void {
  const { epochs, rate, batchSize } = refitOf(options);
  checkNumber("the re-fit of blocks", "epochs", epochs, { least: 0, whole: true });
  checkNumber("the re-fit of blocks", "rate", rate, { least: 0, above: true });
  checkNumber("the re-fit of blocks", "batchSize", batchSize, { least: 1, whole: true });
}

/** @throws ERR_INCOMPATIBLE for a model that cannot be cut into blocks */
export function assertBlocks({ name, blocks }: Pick<Model, "name" | "blocks">): void {
  if (!blocks) throw noBlocks(name);
}

/** The length of steps after an undone epoch, as a share of those before. */
const shorter = 0.25;

const optimizer: OptimizerSpec = { kind: "adam", betas: [0.9, 0.99] };

/**
 * Re-fits in place; zeros stay zeros. Time: 3 forward passes of a block for each epoch, and two runs of `recalibrate` a block. Memory: four times
 * what flows between blocks for all examples.
 *
 * @param spec.dense - the dense model, with weights of its own; or the weights of `params` in it, and biases and statistics that were fitted, which take their places in `model` for a while
 * @param spec.recalibrate - measures anew what follows from the weights: the dense blocks run with what the dense model has
 * @throws ERR_INCOMPATIBLE for a model that cannot be cut into blocks, ERR_ABORTED
 */
export async function refitBlocks(
  spec: {
    readonly model: Model;
    readonly data: Dataset;
    readonly examples: Uint32Array;
    readonly params: readonly string[];
    readonly dense: Model | ReadonlyMap<string, Mat>;
    readonly recalibrate?: LayerLoopRequest["recalibrate"];
  } & BlockRefitOptions,
  ctx: RunContext,
): Promise<readonly RefittedBlock[]> {
  const { model, data, params, examples } = spec;
  assertBlocks(model);
  const blocks = await model.blocks!({ params, data });
  const denseBlocks = await denseBlocksOf(spec, blocks);
  // The order of the examples decides which are held out.
  const order = Uint32Array.from(
    sampleIndices(examples.length, examples.length, ctx.rng.fork("blocks")),
    (i) => examples[i]!,
  );
  const flow = createFlow(data, order);
  const done: RefittedBlock[] = [];
  for (const [index, block] of blocks.entries()) {
    await denseBlocks[index]!((dense) => flow.advanceDense(dense, ctx), ctx);
    const pruned = await readAll(model, block.params);
    done.push(await refitBlock({ ...spec, block, flow, pruned }, ctx));
    await flow.advancePruned(block, ctx);
    await ctx.tick({ task: "solve", done: index + 1, total: blocks.length });
  }
  return done;
}

/** Runs something on a block of the dense model. */
type WithDense = (work: (dense: ModelBlock) => Promise<void>, ctx: RunContext) => Promise<void>;

async function denseBlocksOf(
  spec: Parameters<typeof refitBlocks>[0],
  blocks: readonly ModelBlock[],
): Promise<readonly WithDense[]> {
  const { model, data, params, dense, recalibrate } = spec;
  if (!isWeights(dense)) {
    const own = await dense.blocks!({ params, data });
    return own.map(
      (block): WithDense =>
        (work) =>
          work(block),
    );
  }
  return blocks.map(
    (block): WithDense =>
      async (work, ctx) => {
        // What follows from weights does from those of all blocks, so that all have to be dense.
        const isFollowed = recalibrate !== undefined || dense.size > params.length;
        const found = await readAll(model, isFollowed ? [...dense.keys()] : block.params);
        await writeAll(model, dense, found.keys());
        await recalibrate?.(quietContext(ctx));
        await work(block);
        await writeAll(model, found);
        await recalibrate?.(quietContext(ctx));
      },
  );
}

function isWeights(dense: Model | ReadonlyMap<string, Mat>): dense is ReadonlyMap<string, Mat> {
  return "get" in dense;
}

/** What flows into and out of the block whose turn it is, an example at a time. */
interface Flow {
  readonly size: number;
  /** Values of the pruned model in front of the block, and of the dense one behind it. */
  at(places: Uint32Array): Promise<Parameters<ModelBlock["distance"]>[0]>;
  advanceDense(block: ModelBlock, ctx: RunContext): Promise<void>;
  advancePruned(block: ModelBlock, ctx: RunContext): Promise<void>;
}

/** Examples run at a time. */
const chunk = 16;

function createFlow(data: Dataset, order: Uint32Array): Flow {
  let pruned: Vec | undefined;
  let dense: Vec | undefined;
  const own = (whole: Vec, places: Uint32Array): Vec => {
    const length = whole.length / order.length;
    const out = whole.slice(0, places.length * length);
    for (const [i, place] of places.entries()) {
      out.set(whole.subarray(place * length, (place + 1) * length), i * length);
    }
    return out;
  };
  const advance = async (block: ModelBlock, from: Vec | undefined, ctx: RunContext): Promise<Vec> => {
    let whole: Vec | undefined;
    for (let start = 0; start < order.length; start += chunk) {
      const places = Uint32Array.from({ length: Math.min(chunk, order.length - start) }, (_, i) => start + i);
      const batch = await data.batch(places.map((place) => order[place]!));
      const part = await block.run({ batch, ...(from ? { x: own(from, places) } : {}) }, ctx);
      const length = part.length / places.length;
      whole ??=
        part instanceof Float64Array
          ? new Float64Array(length * order.length)
          : new Float32Array(length * order.length);
      whole.set(part, start * length);
    }
    return whole!;
  };
  return {
    size: order.length,
    async at(places) {
      const batch = await data.batch(places.map((place) => order[place]!));
      return { batch, target: own(dense!, places), ...(pruned ? { x: own(pruned, places) } : {}) };
    },
    async advanceDense(block, ctx) {
      dense = await advance(block, dense, ctx);
    },
    async advancePruned(block, ctx) {
      pruned = await advance(block, pruned, ctx);
    },
  };
}

async function refitBlock(
  spec: { model: Model; block: ModelBlock; flow: Flow; pruned: ReadonlyMap<string, Mat> } & BlockRefitOptions,
  ctx: RunContext,
): Promise<RefittedBlock> {
  const { model, block, flow, pruned } = spec;
  const { epochs, rate: firstRate, batchSize } = refitOf(spec);
  const heldOut = Uint32Array.from({ length: Math.max(1, Math.floor(flow.size / 8)) }, (_, i) => i);
  const fitted = Uint32Array.from({ length: flow.size - heldOut.length }, (_, i) => heldOut.length + i);
  const measure = async (): Promise<number> => {
    const call = await flow.at(heldOut);
    const energy = ctx.kernels.dot(call.target, call.target);
    return energy > 0 ? (2 * (await block.distance(call, ctx))) / energy : 0;
  };
  const before = await measure();
  let best = { error: before, weights: pruned };
  const weights = copied(pruned);
  const kept = new Map([...pruned].map(([name, { data }]) => [name, placesOf(data)]));
  const scale = new Map([...pruned].map(([name, { data }]) => [name, rootMeanSquare(data, kept.get(name)!)]));
  const gradients = copied(weights);
  let moments = createMoments(optimizer, weights, [...weights.keys()]);
  let [step, rate, restart] = [0, firstRate, 0];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const steps = (epochs - restart) * Math.ceil(fitted.length / batchSize);
    const turn = ctx.rng.fork(`${block.params[0]} epoch ${epoch - restart}`);
    const order = sampleIndices(fitted.length, fitted.length, turn);
    for (let start = 0; start < order.length; start += batchSize, step++) {
      throwIfAborted(ctx.signal);
      const call = await flow.at(order.slice(start, start + batchSize).map((i) => fitted[i]!));
      for (const { data } of gradients.values()) data.fill(0);
      const sums = new Map([...gradients].map(([name, { data }]) => [name, data]));
      await block.distance({ ...call, gradients: sums }, ctx);
      const share = 0.5 * (1 + Math.cos((Math.PI * step) / steps));
      for (const [name, w] of weights) {
        const move = { w, g: gradients.get(name)!, moments, name, step, decay: 0, kept: kept.get(name) };
        stepParam(optimizer, { ...move, rate: rate * share * scale.get(name)! });
      }
      await writeAll(model, weights, block.params);
    }
    const error = await measure();
    if (error < best.error) best = { error, weights: copied(weights) };
    else {
      // As if the re-fit began here, with the epochs that are left.
      for (const [name, { data }] of best.weights) weights.get(name)!.data.set(data);
      await writeAll(model, weights, block.params);
      moments = createMoments(optimizer, weights, [...weights.keys()]);
      [step, rate, restart] = [0, rate * shorter, epoch + 1];
    }
  }
  await writeAll(model, best.weights, block.params);
  return { params: block.params, before, after: best.error };
}

function copied(weights: ReadonlyMap<string, Mat>): Map<string, Mat> {
  return new Map([...weights].map(([name, w]) => [name, { ...w, data: w.data.slice() } as Mat]));
}

function placesOf(data: Vec): Uint32Array {
  const mask: Mask = Uint8Array.from(data, (value) => (value === 0 ? 0 : 1));
  return Uint32Array.from(mask.keys()).filter((i) => mask[i] === 1);
}

function rootMeanSquare(data: Vec, places: Uint32Array): number {
  return Math.sqrt(places.reduce((sum, i) => sum + data[i]! ** 2, 0) / Math.max(1, places.length));
}
