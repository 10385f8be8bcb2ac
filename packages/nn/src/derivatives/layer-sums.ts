/** The sums behind one layer's second moments, taken in the network's dtype while batches pass; see layer-moments.ts. */
import {
  type LayerMoments,
  type Mat,
  matrix,
  momentExamples,
  momentsOfWindows,
  type Vec,
  type WindowShape,
} from "@secateur/core";
import type { Node } from "../graph/graph.ts";
import type { Conv2dSpec, DenseSpec } from "../graph/layer-spec.ts";
import { rowsOf, take, type Weights } from "../ops/op.ts";
import type { Pool } from "../pool.ts";

/** A layer at its place. */
export interface WeightLayer {
  readonly name: string;
  readonly node: Node;
  readonly spec: Conv2dSpec | DenseSpec;
}

/** Sums of one layer. */
export interface LayerSums {
  readonly layer: WeightLayer;
  /** Takes a batch in. @param batch.first - place of its first example among all */
  add(batch: { inputs: Mat; delta: Mat; first: number }): void;
  /** The moments, one entry a group. */
  moments(of: { param: string; weights: Weights; centred: boolean }): readonly LayerMoments[];
}

/** Empty sums. @param spec.examples - how many there will be */
export function layerSums(spec: { layer: WeightLayer; examples: number; pool: Pool }): LayerSums {
  const { layer, pool } = spec;
  const shape = shapeOf(layer);
  const { groups, positions, inputs: size, outputs } = shape;
  const inputExamples = momentExamples({ examples: spec.examples, inputs: size, positions });
  const sums = Array.from({ length: groups }, () => ({
    A: zeroed(take(pool, size, size)),
    B: zeroed(take(pool, outputs, outputs)),
    total: zeroed(take(pool, 1, size)).data,
  }));
  let [seen, seenInputs] = [0, 0];
  return {
    layer,
    add({ inputs, delta, first }) {
      seen += delta.rows;
      const count = Math.max(0, Math.min(inputs.rows, inputExamples - first));
      seenInputs += count;
      sums.forEach(({ A, B, total }, group) => {
        addSlopes({ delta, layer, group, shape, pool }, B);
        addWindows({ images: rowsOf(inputs, 0, count), layer, group, pool }, { A, total });
      });
    },
    moments({ param, weights, centred }) {
      const scale = scaleOf(layer, weights);
      const isCentred = centred && layer.node.norm !== undefined;
      return sums.map(({ A, B, total }, group): LayerMoments => {
        const mean = isCentred ? total.map((value: number) => value / (seenInputs * positions)) : undefined;
        const row = group * outputs;
        return {
          param,
          firstRow: row,
          inputs: inputMoment({ A, mean, seen: seenInputs, positions, taps: shape.taps }),
          deltas: matrix(
            outputs,
            outputs,
            Float64Array.from(B.data, (value, e) => {
              const [i, j] = [row + Math.floor(e / outputs), row + (e % outputs)];
              return (value * scale(i) * scale(j)) / (seen * positions);
            }),
          ),
        };
      });
    },
  };
}

interface LayerShape {
  readonly groups: number;
  readonly taps: number;
  /** Output positions of an example. */
  readonly positions: number;
  /** Of one group. */
  readonly inputs: number;
  readonly outputs: number;
}

function shapeOf({ node, spec }: WeightLayer): LayerShape {
  if (spec.kind === "dense") return { groups: 1, taps: 1, positions: 1, inputs: spec.in, outputs: spec.out };
  const { groups = 1, kernel } = spec;
  const taps = kernel[0] * kernel[1];
  const positions = node.shape.height * node.shape.width;
  return { groups, taps, positions, inputs: (spec.in / groups) * taps, outputs: spec.out / groups };
}

/** Adds the second moments of one group's slopes, which are those of windows of one position. */
function addSlopes(
  spec: { delta: Mat; layer: WeightLayer; group: number; shape: LayerShape; pool: Pool },
  B: Mat,
): void {
  const { delta, layer, group, pool } = spec;
  const { groups, outputs } = spec.shape;
  if (layer.spec.kind === "dense") {
    pool.kernels.gram({ a: delta, transpose: true, out: B, beta: 1 });
    return;
  }
  const { height, width } = layer.node.shape;
  const shape: WindowShape = {
    ...{ batch: delta.rows, height, width, channels: groups * outputs, kernel: [1, 1], stride: 1, padding: 0 },
    ...{ dilation: 1, channelRange: [group * outputs, (group + 1) * outputs] },
  };
  momentsOfWindows({ shape, images: delta.data, out: B, beta: 1 }, pool.kernels);
}

/** Adds the second moments of one group's windows [positions, (tap, channel)], and their sums. */
function addWindows(
  spec: { images: Mat; layer: WeightLayer; group: number; pool: Pool },
  { A, total }: { A: Mat; total: Vec },
): void {
  const { images, layer, group, pool } = spec;
  const { spec: conv, node } = layer;
  const { kernels } = pool;
  if (images.rows === 0) return;
  if (conv.kind === "dense") {
    kernels.gram({ a: images, transpose: true, out: A, beta: 1 });
    const columns = pool.take(images.cols);
    kernels.columnSums(images, columns);
    kernels.axpy(1, columns, total);
    pool.give(columns);
    return;
  }
  const { kernel, stride = 1, padding = 0, dilation = 1, groups = 1, in: channels } = conv;
  const { height, width } = node.inputShapes[0]!;
  const inGroup = channels / groups;
  const shape: WindowShape = {
    ...{ batch: images.rows, height, width, channels, kernel, stride, padding, dilation },
    channelRange: [group * inGroup, (group + 1) * inGroup],
  };
  momentsOfWindows({ shape, images: images.data, out: A, sums: total, beta: 1 }, kernels);
}

/** A / seen, less positions mean mean', in canonical order (channel, tap). */
function inputMoment(spec: { A: Mat; mean: Vec | undefined; seen: number; positions: number; taps: number }): Mat {
  const { A, mean, seen, positions, taps } = spec;
  const size = A.rows;
  const channels = size / taps;
  const place = (i: number): number => (i % channels) * taps + Math.floor(i / channels);
  const out = matrix(size, size, new Float64Array(size * size));
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const common = mean ? positions * mean[i]! * mean[j]! : 0;
      out.data[place(i) * size + place(j)] = A.data[i * size + j]! / seen - common;
    }
  }
  return out;
}

/** What a channel's slope is multiplied by: the scale of the batch normalisation that is folded into the layer. */
function scaleOf({ node }: WeightLayer, weights: Weights): (channel: number) => number {
  const { norm } = node;
  if (!norm) return () => 1;
  const gamma = weights.get(`${norm.name}.weight`)!.data;
  const variance = weights.get(`${norm.name}.running_var`)!.data;
  return (channel) => gamma[channel]! / Math.sqrt(variance[channel]! + (norm.epsilon ?? 1e-5));
}

function zeroed(a: Mat): Mat {
  a.data.fill(0);
  return a;
}
