/**
 * Whether a masked network trains, or gives its outputs, faster over its kept weights alone, decided by counting multiply-adds, so that it is the same on every
 * machine. A multiply-add of the sparse kernels is the unit; the other figures are what things took beside it on one (convolutions of 16
 * to 128 channels, dense layers of 300 to 784 inputs, batches of 64, relaxed SIMD).
 */
import { keptPlaces, panelWidth } from "@secateur/core";
import { graphOf, type Node } from "../graph/graph.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { positionsOf, sizeOf } from "../graph/value-shape.ts";
import type { Weights } from "../ops/op.ts";
import type { Pool } from "../pool.ts";
import type { KeptWeights, ProductLayer } from "./sparse-product.ts";

/** The products that are taken over kept weights, by layer; everything runs in panels. */
export type PanelPlan = ReadonlyMap<string, KeptWeights>;

/** A dense multiply-add, by minimal filtering, by windows and by matrix products. */
const denseCost = { winograd: 0.3, windows: 1.2, product: 0.85 } as const;
/** An output at a position, besides its kept weights. */
const outputCost = 2;
/** A number that goes from rows to panels or back. */
const moveCost = 16;
/**
 * What is won must pay for making lists, gathering weights and what else was not counted: at .65 of the dense count a step of MLPNet took
 * 1.3 of the dense time, at .3 it took .7.
 */
const least = 0.5;
/** Of outputs alone, of which there are many for one set of lists: less is lost beside what is counted than in training. */
const leastOfOutputs = 0.8;

/** The same for outputs alone, by the weights that are not zero. */
export function outputPlan(spec: { network: NetworkSpec; weights: Weights; pool: Pool }): PanelPlan | undefined {
  const { network, weights, pool } = spec;
  if (!pool.kernels.sparseConvolve || pool.dtype !== "f32") return undefined;
  const kept = new Map<string, Uint32Array>();
  for (const { layer } of graphOf(network).nodes) {
    if (layer.kind !== "dense" && layer.kind !== "conv2d") continue;
    const name = `${layer.name}.weight`;
    const { data } = weights.get(name)!;
    kept.set(name, keptPlaces(data));
  }
  return panelPlan({ network, weights, kept, pool, isForward: true });
}

/**
 * The layers whose products are sparse, where that pays; undefined where the network is faster in rows.
 *
 * @param spec.kept - places of kept weights by parameter, ascending
 * @param spec.isForward - for its outputs alone; default: for training
 */
export function panelPlan(spec: {
  network: NetworkSpec;
  weights: Weights;
  kept: ReadonlyMap<string, Uint32Array>;
  pool: Pool;
  isForward?: boolean;
}): PanelPlan | undefined {
  const { network, weights, kept, pool, isForward = false } = spec;
  const { sparseConvolve, sparseConvolveBack, sparseGradients } = pool.kernels;
  const canRun = sparseConvolve && sparseConvolveBack && sparseGradients && pool.dtype === "f32";
  if (!canRun || kept.size === 0) return undefined;
  const graph = graphOf(network);
  const plan = new Map<string, KeptWeights>();
  let [inRows, inPanels] = [0, moveCost * sizeOf(graph.inputShape)];
  for (const node of graph.nodes) {
    const { layer } = node;
    // Values go to rows and back, deltas as well.
    const moved = (isForward ? 1 : 2) * moveCost * (sizeOf(node.inputShapes[0]!) + sizeOf(node.shape));
    if (layer.kind === "dropout" || layer.kind === "layer-norm") inPanels += moved;
    if (layer.kind !== "dense" && layer.kind !== "conv2d") continue;
    const w = weights.get(`${layer.name}.weight`)!;
    const places = kept.get(`${layer.name}.weight`);
    const products = (isForward ? 1 : node.needsDelta[0] ? 3 : 2) * positionsOf(node.shape);
    const dense = products * w.data.length * denseCost[wayOf(layer, node)];
    const sparse = products * ((places?.length ?? w.data.length) + outputCost * w.rows);
    inRows += dense;
    inPanels += Math.min(sparse, dense + moved);
    if (sparse < dense + moved) plan.set(layer.name, keptWeights(places ?? Uint32Array.from(w.data, (_, i) => i), w));
  }
  return inPanels < (isForward ? leastOfOutputs : least) * inRows ? plan : undefined;
}

/** Whether a batch can run in panels: whole ones only, as batch normalisation takes statistics of all that is there. */
export function fillsPanels(examples: number): boolean {
  return examples % panelWidth === 0;
}

function wayOf(layer: ProductLayer, node: Node): keyof typeof denseCost {
  if (layer.kind === "dense") return "product";
  const { kernel, stride = 1, dilation = 1, groups = 1, padding = 0 } = layer;
  const isPlain = stride === 1 && dilation === 1 && groups === 1;
  if (isPlain && kernel[0] === 3 && kernel[1] === 3 && node.inputShapes[0]!.channels >= 4) return "winograd";
  return isPlain && kernel[0] === 1 && kernel[1] === 1 && padding === 0 ? "product" : "windows";
}

/** Where a matrix has entries, from their flat places. */
function keptWeights(places: Uint32Array, { rows, cols }: { rows: number; cols: number }): KeptWeights {
  const starts = new Uint32Array(rows + 1);
  for (const place of places) starts[Math.floor(place / cols) + 1]! += 1;
  for (let row = 0; row < rows; row++) starts[row + 1]! += starts[row]!;
  return { places, pattern: { rows, cols, starts, columns: places.map((place) => place % cols) } };
}
