/**
 * Products of a dense layer over few of its weights, which conjugate gradients on a support take by the dozen: with V sparse,
 *   t = x V'   and   the entries of delta'x at the places of V,
 * cost examples * entries multiply-adds each. Examples are cut into panels of 32, in which a weight meets whole vectors.
 */
import { dtypeOf, type Kernels, type Mat, panelWidth, type SparsePattern, type Vec, zeros } from "@secateur/core";
import type { Pool } from "../pool.ts";

/**
 * Above this share of the weights dense products of the used columns are faster: they use every vector that they load six times. The two
 * products of 10,000 examples with 784 x 40 weights took .28, .44, .70, .77 and .92 of the dense time at .1, .3, .5, .6 and .7, so a little
 * above the half what is left to win no longer pays for the panels.
 */
const mostKept = 0.55;
/** Products smaller than this are over before cutting into panels has paid. */
const leastWork = 2 ** 20;

/** A layer's inputs [examples, in] in panels of examples: [count, in, 32], zeros after the last example. Made when first asked for. */
export interface InputPanels {
  readonly count: number;
  /** How many numbers they are, those that fill the last one up included. */
  readonly size: number;
  data(): Vec;
}

/** Panels of inputs that stay as they are, in a vector of the pool. */
export function inputPanels(input: Mat, pool: Pool): InputPanels {
  const count = Math.ceil(input.rows / panelWidth);
  const size = count * panelWidth * input.cols;
  let panels: Vec | undefined;
  const make = (): Vec => {
    const made = pool.take(size);
    rowsToPanels(input, made, pool.kernels);
    return made;
  };
  return {
    count,
    size,
    data() {
      panels ??= make();
      return panels;
    },
  };
}

/** Some weights of a layer, and its inputs. */
export interface SparseWeights {
  /** [outputs, in] */
  readonly pattern: SparsePattern;
  /** Places of the entries in the flat vector. */
  readonly places: Uint32Array;
  readonly panels: InputPanels;
}

/**
 * Prepares products over the weights at `columns` of a layer, or nothing where dense products pay more.
 *
 * @param spec.columns - places in the flat vector, which must ascend; those of other layers are left out. `places` is a view of it: it must stay as it is
 * @param spec.start - where the layer's weights [outputs, inputs] begin there
 */
export function sparseWeights(
  spec: { examples: number; inputs: number; outputs: number; start: number; columns: Uint32Array; panels: InputPanels },
  kernels: Kernels,
): SparseWeights | undefined {
  const { examples, inputs, outputs, start, columns, panels } = spec;
  if (!kernels.sparseTimes || !kernels.panelProducts || examples * outputs * inputs < leastWork) return undefined;
  const { pattern, start: first, looked } = keptPattern({ rows: outputs, cols: inputs, start, columns });
  const entries = pattern.columns.length;
  if (entries > mostKept * outputs * looked) return undefined;
  return { pattern, places: columns.subarray(first, first + entries), panels };
}

/**
 * Which of some places are weights of a layer.
 *
 * @param spec.start - where its weights [rows, cols] begin; below 0 none are
 * @param spec.columns - places in the flat vector, ascending
 * @returns as a pattern; where the first of them stands among the columns; how many inputs they look at
 */
export function keptPattern(spec: { rows: number; cols: number; start: number; columns: Uint32Array }): {
  pattern: SparsePattern;
  start: number;
  looked: number;
} {
  const { rows, cols, start, columns } = spec;
  const first = start < 0 ? 0 : firstFrom(columns, start);
  const end = start < 0 ? 0 : firstFrom(columns, start + rows * cols);
  const looked = new Uint8Array(cols);
  const own = new Uint32Array(end - first);
  const starts = new Uint32Array(rows + 1);
  let [row, rowStart] = [0, start];
  for (let e = first; e < end; e++) {
    while (columns[e]! >= rowStart + cols) {
      starts[++row] = e - first;
      rowStart += cols;
    }
    own[e - first] = columns[e]! - rowStart;
    looked[columns[e]! - rowStart] = 1;
  }
  starts.fill(end - first, row + 1);
  return { pattern: { rows, cols, starts, columns: own }, start: first, looked: sumOf(looked) };
}

/** The place of the first of ascending numbers that is not below a bound. */
function firstFrom(ascending: Uint32Array, bound: number): number {
  let [from, to] = [0, ascending.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (ascending[middle]! < bound) from = middle + 1;
    else to = middle;
  }
  return from;
}

function sumOf(values: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum;
}

/** y [examples, outputs] = x V', or added to it; V has the entries of the flat vector x at the layer's places. */
export function sparseForward(
  { pattern, places, panels }: SparseWeights,
  { x, y, adds }: { x: Vec; y: Mat; adds: boolean },
  pool: Pool,
): void {
  const { kernels } = pool;
  const { count } = panels;
  const values = zeros(places.length, dtypeOf(panels.data()));
  for (let e = 0; e < places.length; e++) values[e] = x[places[e]!]!;
  const product = pool.take(count * pattern.rows * panelWidth);
  kernels.sparseTimes!({ pattern, values, count, b: panels.data(), out: product });
  if (adds) {
    const rows = pool.take(y.data.length);
    panelsToRows(product, { ...y, data: rows }, pool);
    kernels.axpy(1, rows, y.data);
    pool.give(rows);
  } else panelsToRows(product, y, pool);
  pool.give(product);
}

/** The entries of delta'x at the layer's places, written there into the flat vector; the others stay as they are. */
export function sparseGradients(
  { pattern, places, panels }: SparseWeights,
  { delta, out }: { delta: Mat; out: Vec },
  pool: Pool,
): void {
  const { kernels } = pool;
  const { count } = panels;
  const slopes = pool.take(count * pattern.rows * panelWidth);
  rowsToPanels(delta, slopes, kernels);
  const values = zeros(places.length, dtypeOf(panels.data()));
  kernels.panelProducts!({ pattern, count, a: slopes, b: panels.data(), out: values });
  for (let e = 0; e < places.length; e++) out[places[e]!] = values[e]!;
  pool.give(slopes);
}

/** Rows [examples, cols] as panels [count, cols, 32]; the last one is filled up with zeros. */
export function rowsToPanels({ rows, cols, data }: Mat, panels: Vec, kernels: Kernels): void {
  const { count, end, tail } = wholePanels(rows, cols);
  if (count > 0) {
    kernels.transposeBlocks(data.subarray(0, end), { count, rows: panelWidth, cols }, panels.subarray(0, end));
  }
  if (tail === 0) return;
  const last = zeros(panelWidth * cols, dtypeOf(data));
  last.set(data.subarray(end));
  kernels.transposeBlocks(last, { count: 1, rows: panelWidth, cols }, panels.subarray(end));
}

/** Back to rows, without what fills up the last panel. */
export function panelsToRows(panels: Vec, { rows, cols, data }: Mat, { kernels }: Pool): void {
  const { count, end, tail } = wholePanels(rows, cols);
  if (count > 0) {
    kernels.transposeBlocks(panels.subarray(0, end), { count, rows: cols, cols: panelWidth }, data.subarray(0, end));
  }
  if (tail === 0) return;
  const last = zeros(panelWidth * cols, dtypeOf(data));
  kernels.transposeBlocks(panels.subarray(end), { count: 1, rows: cols, cols: panelWidth }, last);
  data.set(last.subarray(0, tail), end);
}

/** How many panels rows fill, where the rest begins, and how many numbers it has. */
function wholePanels(rows: number, cols: number): { count: number; end: number; tail: number } {
  const count = Math.floor(rows / panelWidth);
  const end = count * panelWidth * cols;
  return { count, end, tail: rows * cols - end };
}
