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
  data(): Vec;
  release(): void;
}

/** Panels in kernel memory, of inputs that stay as they are. */
export function inputPanels(input: Mat, kernels: Kernels): InputPanels {
  const { rows: examples, cols } = input;
  const count = Math.ceil(examples / panelWidth);
  const dtype = dtypeOf(input.data);
  let panels: Vec | undefined;
  const make = (): Vec => {
    const size = count * panelWidth * cols;
    const whole = examples === count * panelWidth ? input.data : kernels.alloc(size, dtype);
    if (whole !== input.data) whole.set(input.data);
    const made = kernels.alloc(size, dtype);
    kernels.transposeBlocks(whole, { count, rows: panelWidth, cols }, made);
    if (whole !== input.data) kernels.free(whole);
    return made;
  };
  return {
    count,
    data() {
      panels ??= make();
      return panels;
    },
    release() {
      if (panels) kernels.free(panels);
      panels = undefined;
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
 * @param spec.columns - places in the flat vector, ascending; those of other layers are left out
 * @param spec.start - where the layer's weights [outputs, inputs] begin there
 */
export function sparseWeights(
  spec: { examples: number; inputs: number; outputs: number; start: number; columns: Uint32Array; panels: InputPanels },
  kernels: Kernels,
): SparseWeights | undefined {
  const { examples, inputs, outputs, start, columns, panels } = spec;
  if (!kernels.sparseTimes || !kernels.panelProducts || examples * outputs * inputs < leastWork) return undefined;
  const places = columns.filter((j) => j >= start && j < start + outputs * inputs);
  const used = new Set(places.map((j) => (j - start) % inputs)).size;
  if (places.length > mostKept * outputs * used) return undefined;
  const starts = new Uint32Array(outputs + 1);
  for (const j of places) starts[Math.floor((j - start) / inputs) + 1]! += 1;
  for (let o = 0; o < outputs; o++) starts[o + 1]! += starts[o]!;
  return {
    pattern: { rows: outputs, cols: inputs, starts, columns: places.map((j) => (j - start) % inputs) },
    places,
    panels,
  };
}

/** y [examples, outputs] = x V', or added to it; V has the entries of the flat vector x at the layer's places. */
export function sparseForward(
  { pattern, places, panels }: SparseWeights,
  { x, y, adds }: { x: Vec; y: Mat; adds: boolean },
  pool: Pool,
): void {
  const { kernels } = pool;
  const { count } = panels;
  const dtype = dtypeOf(panels.data());
  const size = count * pattern.rows * panelWidth;
  const values = zeros(places.length, dtype);
  for (let e = 0; e < places.length; e++) values[e] = x[places[e]!]!;
  const [product, rows] = [pool.take(size), pool.take(size)];
  kernels.sparseTimes!({ pattern, values, count, b: panels.data(), out: product });
  kernels.transposeBlocks(product, { count, rows: pattern.rows, cols: panelWidth }, rows);
  const own = rows.subarray(0, y.data.length);
  if (adds) kernels.axpy(1, own, y.data);
  else y.data.set(own);
  pool.give(product);
  pool.give(rows);
}

/** The entries of delta'x at the layer's places, written there into the flat vector; the others stay as they are. */
export function sparseGradients(
  { pattern, places, panels }: SparseWeights,
  { delta, out }: { delta: Mat; out: Vec },
  pool: Pool,
): void {
  const { kernels } = pool;
  const { count } = panels;
  const dtype = dtypeOf(panels.data());
  const size = count * pattern.rows * panelWidth;
  const [rows, slopes] = [pool.take(size), pool.take(size)];
  rows.set(delta.data);
  // The panel of the last example is filled up.
  rows.fill(0, delta.data.length);
  kernels.transposeBlocks(rows, { count, rows: panelWidth, cols: pattern.rows }, slopes);
  const values = zeros(places.length, dtype);
  kernels.panelProducts!({ pattern, count, a: slopes, b: panels.data(), out: values });
  for (let e = 0; e < places.length; e++) out[places[e]!] = values[e]!;
  pool.give(rows);
  pool.give(slopes);
}
