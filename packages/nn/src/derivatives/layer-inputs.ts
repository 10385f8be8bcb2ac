/**
 * What dense and convolution layers see, layer after layer. Every batch of examples waits at the layer whose turn it is with the values
 * that later layers still need, and goes on from there with the weights that are then in place: a pass over the network in all,
 * however many layers are asked for. Where the values of all examples are too many to wait, each layer begins at the input again.
 */
import {
  type InputChunk,
  inputRows,
  type LayerInputs,
  type LayerInputsRequest,
  type LayerRows,
  type Mat,
  passChunks,
  type RunContext,
  windowsShape,
} from "@secateur/core";
import { noLayerInputs, notFiniteInput } from "../errors.ts";
import { graphOf, type Node } from "../graph/graph.ts";
import type { Conv2dSpec, DenseSpec } from "../graph/layer-spec.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { positionsOf } from "../graph/value-shape.ts";
import { rowsOf, take, type Weights } from "../ops/op.ts";
import { createPool, type Pool } from "../pool.ts";
import { type Model, passSize } from "./gradient-passes.ts";
import { dtypeOfWeights } from "./tape.ts";
import { startWalk, type Walk } from "./walk.ts";

/** Numbers of windows written at a time. */
const chunkNumbers = 1024 * 1024;
/** Numbers that waiting batches may hold: 1 GiB of f32. */
const waitingNumbers = 256 * 1024 * 1024;

type WeightLayer = Conv2dSpec | DenseSpec;

/** The layers that see the same inputs in the same way. */
interface Site {
  /** The first of them. */
  readonly node: Node;
  readonly layers: WeightLayer[];
}

/**
 * Hands out inputs in the order of the graph. Time: a forward pass, and writing the windows of every layer. Memory: the live values of
 * all examples, or of one pass where all values are more than 1 GiB; with "parallel" a copy of the weights.
 *
 * @throws ERR_INCOMPATIBLE (a parameter that is no weight of a dense or convolution layer), ERR_NOT_FINITE naming layer and example,
 * ERR_ABORTED
 */
export async function* layerInputs(
  model: Model,
  request: LayerInputsRequest,
  ctx: RunContext,
): AsyncGenerator<LayerInputs> {
  const { spec } = model;
  const weights = request.inputs === "parallel" ? copied(model.weights) : model.weights;
  const pool = createPool(ctx.kernels, dtypeOfWeights(weights));
  const isWaiting = request.examples.length * graphOf(spec).valuesPerExample <= waitingNumbers;
  const waiting: Walk[] = [];
  try {
    for (const site of sitesOf(model, request.params)) {
      const { node, layers } = site;
      const groups = groupsOf(layers[0]!);
      const rows = node.layer.kind === "conv2d" ? { rows: request.examples.length * positionsOf(node.shape) } : {};
      for (let group = 0; group < groups; group++) {
        const chunks = chunksOf({ model, request, weights, pool, node, group, waiting, isWaiting }, ctx);
        const targets = layers.map((layer) => {
          const { name, out } = layer;
          const rows = out / groups;
          return { param: `${name}.weight`, firstRow: group * rows, rows, ...offsetOf(model.spec, layer) };
        });
        yield { targets, cols: columnsOf(layers[0]!), ...rows, chunks };
      }
    }
  } finally {
    pool.close();
  }
}

/** A layer's bias, and the batch normalisation behind it. */
function offsetOf(spec: NetworkSpec, { name, bias }: WeightLayer): Pick<LayerRows, "offset"> {
  const norm = graphOf(spec).nodes.find(({ layer }) => layer.name === name)?.norm?.name;
  if (bias === false && norm === undefined) return {};
  return {
    offset: {
      ...(bias === false ? {} : { bias: `${name}.bias` }),
      ...(norm === undefined ? {} : { statistics: { mean: `${norm}.running_mean`, variance: `${norm}.running_var` } }),
    },
  };
}

interface ChunksCall {
  readonly model: Model;
  readonly request: LayerInputsRequest;
  readonly weights: Weights;
  readonly pool: Pool;
  readonly node: Node;
  readonly group: number;
  /** Batches on their way, in order. */
  readonly waiting: Walk[];
  readonly isWaiting: boolean;
}

async function* chunksOf(call: ChunksCall, ctx: RunContext): AsyncGenerator<InputChunk> {
  const { model, request, weights, pool, node, group, waiting, isWaiting } = call;
  const layer = node.layer as WeightLayer;
  const { data, examples } = request;
  const size = passSize(model.spec);
  for (let start = 0, b = 0; start < examples.length; start += size, b++) {
    const indices = examples.subarray(start, Math.min(start + size, examples.length));
    const walk = waiting[b] ?? startWalk(model.spec, inputRows(await data.batch(indices)), pool);
    if (isWaiting) waiting[b] = walk;
    const values = walk.inputOf(node, weights);
    const bad = values.data.findIndex((value: number) => !Number.isFinite(value));
    if (bad >= 0) {
      const example = indices[Math.floor(bad / values.cols)]!;
      throw notFiniteInput({ network: model.spec.name, layer: layer.name, example });
    }
    const chunks = layer.kind === "dense" ? [values] : windowsOf({ images: values, node, conv: layer, group, pool });
    yield* passChunks(chunks, start);
    if (!isWaiting) walk.release();
    await ctx.tick({ task: "inputs", done: start + indices.length, total: examples.length });
  }
}

/** The windows of one group's channels in canonical order (channel, tap), some images at a time. */
function* windowsOf(spec: { images: Mat; node: Node; conv: Conv2dSpec; group: number; pool: Pool }): Generator<Mat> {
  const { images, node, conv, group, pool } = spec;
  const { kernel, stride = 1, padding = 0, dilation = 1, groups = 1, in: channels } = conv;
  const { height, width } = node.inputShapes[0]!;
  const geometry = { height, width, channels, kernel, stride, padding, dilation };
  const positions = windowsShape({ ...geometry, batch: 1 }).rows;
  const cols = columnsOf(conv);
  const own = channels / groups;
  const step = Math.max(1, Math.floor(chunkNumbers / (positions * cols)));
  for (let from = 0; from < images.rows; from += step) {
    const part = rowsOf(images, from, Math.min(from + step, images.rows));
    const windows = take(pool, part.rows * positions, cols);
    const shape = { ...geometry, batch: part.rows, channelRange: [group * own, (group + 1) * own] as const };
    pool.kernels.gatherWindows({ shape, images: part.data, windows });
    const canonical = take(pool, windows.rows, cols);
    const blocks = { count: windows.rows, rows: cols / own, cols: own };
    pool.kernels.transposeBlocks(windows.data, blocks, canonical.data);
    pool.give(windows.data);
    yield canonical;
    pool.give(canonical.data);
  }
}

/** The layers of these weights in the order of the graph; those that see the same inputs in the same way as one. */
function sitesOf({ spec }: Model, params: readonly string[]): readonly Site[] {
  const sites = new Map<string, Site>();
  const left = new Set(params);
  for (const node of graphOf(spec).nodes) {
    const { layer } = node;
    if (layer.kind !== "dense" && layer.kind !== "conv2d") continue;
    const param = `${layer.name}.weight`;
    if (!left.delete(param)) continue;
    const key = siteKey(node, layer);
    const known = sites.get(key);
    if (known) known.layers.push(layer);
    else sites.set(key, { node, layers: [layer] });
  }
  for (const param of left) throw noLayerInputs(spec.name, param);
  return [...sites.values()];
}

/** Groups of a convolution are entries of their own, whose rows no other layer's are. */
function siteKey({ inputs, index }: Node, layer: WeightLayer): string {
  if (layer.kind === "dense") return `dense ${inputs[0]}`;
  const { kernel, stride = 1, padding = 0, dilation = 1, groups = 1 } = layer;
  if (groups > 1) return `grouped ${index}`;
  return `conv2d ${inputs[0]} ${kernel.join("x")} ${stride} ${padding} ${dilation}`;
}

function groupsOf(layer: WeightLayer): number {
  return layer.kind === "conv2d" ? (layer.groups ?? 1) : 1;
}

function columnsOf(layer: WeightLayer): number {
  if (layer.kind === "dense") return layer.in;
  return (layer.in / groupsOf(layer)) * layer.kernel[0] * layer.kernel[1];
}

function copied(weights: Weights): Weights {
  return new Map([...weights].map(([name, mat]) => [name, { ...mat, data: mat.data.slice() }]));
}
