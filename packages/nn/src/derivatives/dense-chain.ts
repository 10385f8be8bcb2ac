/**
 * A linearised chain of dense layers over few of its weights as core's `PanelChain`: products take all of a panel of 32 examples through all layers,
 * there and back, before the next panel, so that inputs are read from memory once and everything between stays in the first cache.
 */
import { type Mat, type PanelChain, type PanelLayer, panelWidth, type SparsePattern, type Vec } from "@secateur/core";
import type { Pool } from "../pool.ts";
import { type InputPanels, keptPattern, panelsToRows, rowsToPanels } from "./sparse-weights.ts";

/** A dense layer as a chain sees it. */
export interface ChainedLayer {
  readonly W: Mat;
  /** Where its weight starts in the flat vector; -1 = not asked for. */
  readonly weightStart: number;
  readonly panels: InputPanels;
  /** Where a ReLU follows: numbers that are positive where it lets pass. */
  readonly gate?: InputPanels;
}

/**
 * The chain over the weights at some columns of the flat vector, which its own vectors hold alone; or nothing where other ways pay more, or there is none.
 *
 * @param spec.columns - ascending; must all be weights, not biases
 */
export function denseChain(
  { layers, columns, examples }: { layers: readonly ChainedLayer[]; columns: Uint32Array; examples: number },
  { kernels }: Pool,
): PanelChain | undefined {
  if (!kernels.chainTimes || !kernels.chainTransposeTimes || !kernels.chainGram) return undefined;
  let [entries, work, denseWork] = [0, 0, 0];
  const kept = layers.map(({ W, weightStart }, l): { pattern: SparsePattern; start: number } => {
    const size = { rows: W.rows, cols: W.cols };
    const own = keptPattern({ ...size, start: weightStart, columns });
    entries += own.pattern.columns.length;
    denseWork += W.rows * (own.looked + (l > 0 ? W.cols : 0));
    work += own.pattern.columns.length + (l > 0 ? W.data.length : 0);
    return own;
  });
  if (entries !== columns.length || !(work <= mostWork * denseWork) || examples * denseWork < leastWork)
    return undefined;
  if (!fitsCache(layers)) return undefined;
  return {
    count: Math.ceil(examples / panelWidth),
    size: columns.length,
    layers: layers.map(
      ({ W, panels, gate }, l): PanelLayer => ({
        inputs: panels.data(),
        ...kept[l]!,
        ...(l > 0 && { weights: W }),
        ...(gate && { gate: gate.data() }),
      }),
    ),
  };
}

/** The chain over no weights at all, whose layers' inputs nothing reads. */
export function emptyChain({ layers, examples }: { layers: readonly ChainedLayer[]; examples: number }): PanelChain {
  return {
    count: Math.ceil(examples / panelWidth),
    size: 0,
    layers: layers.map(({ W: weights, gate }) => ({
      pattern: keptPattern({ rows: weights.rows, cols: weights.cols, start: -1, columns: new Uint32Array(0) }).pattern,
      start: 0,
      weights,
      ...(gate && { gate: gate.data() }),
    })),
  };
}

/** Whether what a panel leaves behind at every layer fits a cache of a processor's own. */
export function fitsCache(layers: readonly ChainedLayer[]): boolean {
  return layers.reduce((lines, { W }) => lines + W.rows, 0) <= mostLines;
}

/** Above this share of the multiply-adds of products over all used columns those are faster. */
const mostWork = 0.75;
const leastWork = 2 ** 20;
/** Outputs of all layers. */
const mostLines = 1024;

/** Products of a chain with vectors of rows, one an example. */
export interface ChainProducts {
  /** out [examples, outputs] = J x */
  forward(x: Vec, out: Mat): void;
  /** out = J'u */
  backward(u: Mat, out: Vec): void;
  /** out = J'(diag(p) - p p')J x, p in panels */
  gram(p: Vec, x: Vec, out: Vec): void;
}

/** The products of a chain. Vectors between come from the pool. */
export function chainProducts(chain: PanelChain, pool: Pool): ChainProducts {
  const { kernels } = pool;
  const outputs = chain.count * chain.layers.at(-1)!.pattern.rows * panelWidth;
  return {
    forward(x, out) {
      const t = pool.take(outputs);
      kernels.chainTimes!({ chain, x, out: t });
      panelsToRows(t, out, pool);
      pool.give(t);
    },
    backward(u, out) {
      const panels = pool.take(outputs);
      rowsToPanels(u, panels, kernels);
      kernels.chainTransposeTimes!({ chain, u: panels, out });
      pool.give(panels);
    },
    gram: (probabilities, x, out) => kernels.chainGram!({ chain, x, probabilities, out }),
  };
}
