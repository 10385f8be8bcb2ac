/** Products with the Jacobian of a chain of dense layers, layer after layer for all examples. */
import { dtypeOf, type Kernels, type Mat, matrix, panelWidth, type Vec, zeros } from "@secateur/core";
import type { DenseSpec } from "../graph/layer-spec.ts";
import type { Pool } from "../pool.ts";
import { type ChainedLayer, emptyChain, fitsCache } from "./dense-chain.ts";
import {
  type InputPanels,
  panelsToRows,
  rowsToPanels,
  type SparseWeights,
  sparseForward,
  sparseGradients,
} from "./sparse-weights.ts";

/** A layer of the linearised network and what it keeps. */
export interface LinearLayer {
  readonly kind: "dense" | "relu";
  /** [examples, features], what the layer was given; of a dense layer, its used columns only. */
  readonly input: Mat;
  /** Dense only. */
  readonly dense?: {
    readonly spec: DenseSpec;
    readonly W: Mat;
    /** Where its weight and its bias start in the flat vector; -1 = not asked for. */
    readonly weightStart: number;
    readonly biasStart: number;
    /** Input columns in use; absent = all. */
    readonly used?: Uint32Array;
    /** The same inputs for sparse products, shared by all restrictions. */
    readonly panels: InputPanels;
    /** Where few weights are in use: those. The columns are then all there. */
    readonly sparse?: SparseWeights;
  };
}

/** A linearised network. */
export interface Linearized {
  readonly layers: readonly LinearLayer[];
  readonly chained: readonly ChainedLayer[];
  /** Rows of outputs in panels, by the vectors that hold them. */
  readonly panels: WeakMap<Float64Array, Vec>;
  /** p, length of the flat vectors */
  readonly size: number;
  readonly logits: Mat;
  readonly kernels: Kernels;
  /** Of all restrictions, for what lasts no longer than a product. */
  readonly pool: Pool;
}

/** out = J x */
export function tangents({ layers, kernels, pool }: Linearized, x: Vec, out: Mat): void {
  let t: Mat | undefined;
  for (const { kind, input, dense } of layers) {
    if (kind === "relu") {
      if (t) kernels.reluBackward(input.data, t.data, t.data);
      continue;
    }
    const { spec, W, weightStart, biasStart, used, sparse } = dense!;
    const y = matrix(input.rows, spec.out, pool.take(input.rows * spec.out));
    if (t) {
      kernels.gemm({ a: t, b: W, transposeB: true, out: y });
      pool.give(t.data);
    }
    if (sparse) sparseForward(sparse, { x, y, adds: t !== undefined }, pool);
    else if (weightStart < 0 && !t) y.data.fill(0);
    else if (weightStart >= 0) {
      const V = matrix(spec.out, spec.in, x.subarray(weightStart, weightStart + spec.out * spec.in));
      kernels.gemm({ a: input, b: used ? pickColumns(V, used) : V, transposeB: true, out: y, beta: t ? 1 : 0 });
    }
    if (biasStart >= 0) kernels.addRow(y, x.subarray(biasStart, biasStart + spec.out));
    t = y;
  }
  out.data.set(t!.data);
  pool.give(t!.data);
}

/** Hands every dense layer its delta [examples, out], last layer first. `u` is overwritten. */
export function deltas(
  { layers, kernels, pool }: Linearized,
  u: Mat,
  visit: (layer: LinearLayer, delta: Mat) => void,
): void {
  let delta = u;
  const first = layers.findIndex(({ dense }) => dense);
  for (let l = layers.length - 1; l >= first; l--) {
    const layer = layers[l]!;
    if (layer.kind === "relu") {
      kernels.reluBackward(layer.input.data, delta.data, delta.data);
      continue;
    }
    visit(layer, delta);
    if (l === first) break;
    const { spec, W } = layer.dense!;
    const previous = matrix(delta.rows, spec.in, pool.take(delta.rows * spec.in));
    kernels.gemm({ a: delta, b: W, out: previous });
    if (delta !== u) pool.give(delta.data);
    delta = previous;
  }
  if (delta !== u) pool.give(delta.data);
}

/** Writes delta'input and the column sums of delta to the layer's places in out. */
export function writeWeightGradients(
  { kernels, pool }: Linearized,
  spec: { layer: LinearLayer; delta: Mat; out: Vec },
): void {
  const { layer, delta, out } = spec;
  const { spec: dense, weightStart, biasStart, used, sparse } = layer.dense!;
  if (sparse) sparseGradients(sparse, { delta, out }, pool);
  else if (weightStart >= 0) {
    const target = matrix(dense.out, dense.in, out.subarray(weightStart, weightStart + dense.out * dense.in));
    const product = used ? matrix(dense.out, used.length, zeros(dense.out * used.length, dtypeOf(out))) : target;
    kernels.gemm({ a: delta, transposeA: true, b: layer.input, out: product });
    if (used) spreadColumns(product, used, target);
  }
  if (biasStart >= 0) kernels.columnSums(delta, out.subarray(biasStart, biasStart + dense.out));
}

/** out = the sum over the given u and all examples of the squares of J_i'u_i. */
export function writeSumOfSquares(state: Linearized, us: Iterable<Mat>, out: Vec): void {
  const { pool } = state;
  const sums = new Map<LinearLayer, Mat>();
  for (const u of us) {
    deltas(state, u, (layer, delta) => {
      const sum = sums.get(layer) ?? { ...delta, data: pool.take(delta.data.length).fill(0) };
      sums.set(layer, sum);
      addSquares(sum.data, delta.data);
    });
  }
  writeSquares(state, sums, out);
}

/** Whether `writeSoftmaxSquares` is faster than the squares for each column of a root. */
export function canSquare({ chained, pool }: Linearized): boolean {
  return pool.kernels.chainSquares !== undefined && fitsCache(chained);
}

/** The diagonal of J'(diag(p) - p p')J, summed over examples. */
export function writeSoftmaxSquares(state: Linearized, p: Float64Array, out: Vec): void {
  const { chained, logits, pool } = state;
  const chain = emptyChain({ layers: chained, examples: logits.rows });
  const panels = chain.layers.map(({ pattern }) => pool.take(chain.count * pattern.rows * panelWidth));
  pool.kernels.chainSquares!({ chain, probabilities: inPanels(state, p), out: panels });
  const sums = new Map<LinearLayer, Mat>();
  for (const [l, layer] of state.layers.filter(({ dense }) => dense).entries()) {
    const { out: cols } = layer.dense!.spec;
    const rows = matrix(logits.rows, cols, pool.take(logits.rows * cols));
    panelsToRows(panels[l]!, rows, pool);
    pool.give(panels[l]!);
    sums.set(layer, rows);
  }
  writeSquares(state, sums, out);
}

/** Probabilities in panels, made once for all restrictions and there until the release. */
export function inPanels({ panels, logits, pool }: Linearized, p: Float64Array): Vec {
  const known = panels.get(p);
  if (known) return known;
  const own = pool.take(Math.ceil(logits.rows / panelWidth) * panelWidth * logits.cols);
  rowsToPanels({ ...logits, data: pool.dtype === "f64" ? p : Float32Array.from(p) }, own, pool.kernels);
  panels.set(p, own);
  return own;
}

/** What sums of squared deltas of each layer make with its squared inputs. Takes the sums, which are of the pool. */
function writeSquares(state: Linearized, sums: ReadonlyMap<LinearLayer, Mat>, out: Vec): void {
  const { kernels, pool } = state;
  for (const [layer, delta] of sums) {
    // Of the size of the panels, which take the same vector later.
    const room = pool.take(layer.dense!.panels.size);
    const input = { ...layer.input, data: room.subarray(0, layer.input.data.length) };
    kernels.multiply(layer.input.data, layer.input.data, input.data);
    const { sparse: _products, ...dense } = layer.dense!;
    writeWeightGradients(state, { layer: { ...layer, input, dense }, delta, out });
    pool.give(room);
    pool.give(delta.data);
  }
}

function addSquares(sum: Vec, x: Vec): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + x[i]! * x[i]!;
}

/** Sums the Gram matrices of the chosen columns of the rows J_i'u_i, written out for one u after the other. */
export function writeColumnGram(state: Linearized, spec: { us: Iterable<Mat>; columns: Uint32Array; out: Mat }): void {
  const { kernels } = state;
  const { us, columns, out } = spec;
  out.data.fill(0);
  for (const u of us) {
    const A = matrix(u.rows, columns.length, kernels.alloc(u.rows * columns.length, dtypeOf(u.data)));
    deltas(state, u, (layer, delta) => writeColumns(A, { layer, delta, columns }));
    kernels.gram({ a: A, transpose: true, out, beta: 1 });
    kernels.free(A.data);
  }
}

/** Writes the entries delta_o x_i of the chosen weights of a layer, and delta_o of its chosen biases, into their columns. */
function writeColumns(A: Mat, spec: { layer: LinearLayer; delta: Mat; columns: Uint32Array }): void {
  const { layer, delta, columns } = spec;
  const { spec: dense, weightStart, biasStart } = layer.dense!;
  const { input } = layer;
  const weights = dense.out * dense.in;
  columns.forEach((j, s) => {
    if (weightStart >= 0 && j >= weightStart && j < weightStart + weights) {
      const [o, i] = [Math.floor((j - weightStart) / dense.in), (j - weightStart) % dense.in];
      for (let r = 0; r < A.rows; r++) {
        A.data[r * A.cols + s] = delta.data[r * delta.cols + o]! * input.data[r * input.cols + i]!;
      }
    } else if (biasStart >= 0 && j >= biasStart && j < biasStart + dense.out) {
      for (let r = 0; r < A.rows; r++) A.data[r * A.cols + s] = delta.data[r * delta.cols + j - biasStart]!;
    }
  });
}

function pickColumns(a: Mat, columns: Uint32Array): Mat {
  const out = matrix(a.rows, columns.length, zeros(a.rows * columns.length, dtypeOf(a.data)));
  for (let i = 0; i < a.rows; i++) {
    for (let s = 0; s < columns.length; s++) out.data[i * columns.length + s] = a.data[i * a.cols + columns[s]!]!;
  }
  return out;
}

function spreadColumns(a: Mat, columns: Uint32Array, out: Mat): void {
  out.data.fill(0);
  for (let i = 0; i < a.rows; i++) {
    for (let s = 0; s < columns.length; s++) out.data[i * out.cols + columns[s]!] = a.data[i * a.cols + s]!;
  }
}
