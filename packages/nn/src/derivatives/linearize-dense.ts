/**
 * The logits of a chain of dense layers around the present weights, J x and J'u without forming J. Forward (tangents):
 *   dense  t = t_in W' + x V' + b,   relu  t = t .* (activation > 0);      V, b the parts of x that belong to the layer.
 * Backward: delta W. Over a support that leaves input columns unused (pixels no kept weight looks at), products
 * run on the used columns only, and where few weights are left on those alone.
 */
import {
  type Dtype,
  dtypeOf,
  firstNotFinite,
  type GradientRequest,
  inputRows,
  type Kernels,
  type Linearization,
  type Mat,
  matrix,
  notFiniteOutput,
  type PanelChain,
  panelWidth,
  plainView,
  type RunContext,
  throwIfAborted,
  unknownName,
  type Vec,
  zeros,
} from "@secateur/core";
import type { DenseSpec } from "../graph/layer-spec.ts";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { asOutputs } from "../network-tensors.ts";
import type { Weights } from "../ops/op.ts";
import { createPool, type Pool } from "../pool.ts";
import { type ChainedLayer, chainProducts, denseChain } from "./dense-chain.ts";
import { denseForward } from "./dense-forward.ts";
import { onColumns, within } from "./on-columns.ts";
import { namedLinearization, type RowLinearization } from "./row-linearization.ts";
import {
  type InputPanels,
  inputPanels,
  rowsToPanels,
  type SparseWeights,
  sparseForward,
  sparseGradients,
  sparseWeights,
} from "./sparse-weights.ts";

/** A layer of the linearised network and what it keeps. */
interface LinearLayer {
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

/** Compacting pays when no more than this share of the input columns is in use. */
const compactShare = 0.75;

/**
 * Linearises over some examples. Memory: examples * (features of all layers) numbers, in kernel memory.
 *
 * @throws ERR_NOT_FINITE, ERR_ABORTED
 */
export async function linearizeDense(
  model: { spec: NetworkSpec; weights: Weights },
  request: Omit<GradientRequest, "batch" | "task">,
  ctx: RunContext,
): Promise<Linearization> {
  throwIfAborted(ctx.signal);
  const { kernels } = ctx;
  /** Vectors of the kernels by their views. */
  const owned = new Map<Vec, Vec>();
  const free = (view: Vec): void => {
    kernels.free(owned.get(view)!);
    owned.delete(view);
  };
  const releases = [
    () => {
      for (const view of [...owned.keys()]) free(view);
    },
  ];
  const release = (): void => {
    for (const one of releases) one();
  };
  try {
    return await linearizeWith(model, request, {
      ctx,
      own(length, dtype) {
        const vector = kernels.alloc(length, dtype);
        const view = plainView(vector);
        owned.set(view, vector);
        return view;
      },
      free,
      onRelease: (one) => releases.push(one),
      release,
    });
  } catch (error) {
    // The garbage collector does not see how full that memory is.
    release();
    throw error;
  }
}

/** Kernel memory of a linearisation. */
interface Held {
  readonly ctx: RunContext;
  /** A vector of a plain class. */
  own(length: number, dtype: Dtype): Vec;
  /** Gives one back early. */
  free(view: Vec): void;
  onRelease(release: () => void): void;
  release(): void;
}

async function linearizeWith(
  { spec, weights }: { spec: NetworkSpec; weights: Weights },
  { data, examples, params }: Omit<GradientRequest, "batch" | "task">,
  { ctx, own, free, onRelease, release }: Held,
): Promise<Linearization> {
  const { kernels } = ctx;
  const rooms: Vec[] = [];
  const batch = await data.batch(examples, (length) => {
    rooms.push(own(length, "f32"));
    return rooms.at(-1) as Float32Array;
  });
  const given = inputRows(batch);
  const inputs = rooms.includes(given.data) ? given : copied(given, own);
  // What the dataset did without: of what it hands out nothing lies there, not even a view of its own.
  const handed = Object.values(batch.inputs).map(({ data: numbers }) => numbers);
  for (const room of rooms) if (!handed.some((numbers) => overlaps(numbers, room))) free(room);
  const activations = denseForward(spec, weights, inputs, kernels);
  onRelease(() => activations.release());
  const { logits } = activations;
  if (!logits.data.every((value: number) => Number.isFinite(value))) {
    throw notFiniteOutput(spec.name, examples[firstNotFinite(asOutputs(logits))]!);
  }
  const { starts, size } = flatStarts(weights, params);
  // Fresh memory is zeroed, which takes as long as a product over few weights.
  const pool = createPool(kernels, dtypeOf(logits.data));
  onRelease(() => pool.close());
  const layers = spec.layers.flatMap((layer, l): LinearLayer[] => {
    const input = activations.inputs[l]!;
    if (layer.kind === "relu") return [{ kind: "relu", input }];
    if (layer.kind !== "dense") return [];
    // A copy: trial weights may be written into the network while products with J go on.
    const W = copied(weights.get(`${layer.name}.weight`)!, own);
    const weightStart = starts.get(`${layer.name}.weight`) ?? -1;
    const biasStart = starts.get(`${layer.name}.bias`) ?? -1;
    const panels = inputPanels(input, pool);
    return [{ kind: "dense", input, dense: { spec: layer, W, weightStart, biasStart, panels } }];
  });
  const chained = chainedLayers(layers, pool);
  const state = { layers, chained, size, logits, kernels, pool, panels: new WeakMap<Float64Array, Vec>() };
  return namedLinearization(linearization(state, release), { data, batch });
}

/** The dense layers as a chain, each with what a ReLU behind it was given, or gave to the next one. */
function chainedLayers(layers: readonly LinearLayer[], pool: Pool): ChainedLayer[] {
  return layers.flatMap(({ dense }, l): ChainedLayer[] => {
    if (!dense) return [];
    const { W, weightStart, panels } = dense;
    const behind = layers.slice(l + 1);
    const next = behind.findIndex((layer) => layer.dense);
    const relu = (next < 0 ? behind : behind.slice(0, next))[0];
    if (!relu) return [{ W, weightStart, panels }];
    return [{ W, weightStart, panels, gate: behind[next]?.dense?.panels ?? inputPanels(relu.input, pool) }];
  });
}

/** Whether two views have bytes of one buffer in common. */
function overlaps(a: ArrayBufferView, b: ArrayBufferView): boolean {
  return (
    a.buffer === b.buffer && a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength
  );
}

function flatStarts(weights: Weights, params: readonly string[]): { starts: Map<string, number>; size: number } {
  const starts = new Map<string, number>();
  let size = 0;
  for (const name of params) {
    const w = weights.get(name);
    if (!w) throw unknownName({ where: "linearize", what: "parameter", found: name, known: [...weights.keys()] });
    starts.set(name, size);
    size += w.data.length;
  }
  return { starts, size };
}

interface Linearized {
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

function linearization(state: Linearized, release: () => void): RowLinearization {
  const { layers, size, logits } = state;
  return {
    dim: size,
    logits,
    cost: layers.reduce((sum, { input, dense }) => {
      const weights = dense?.sparse ? dense.sparse.places.length : input.cols * (dense?.spec.out ?? 0);
      return sum + input.rows * weights;
    }, 0),
    forward: (x, out) => tangents(state, x, out),
    backward(u, out) {
      deltas(state, u, (layer, delta) => writeWeightGradients(state, { layer, delta, out }));
    },
    sumOfSquares: (us, out) => writeSumOfSquares(state, us, out),
    columnGram: (us, columns, out) => writeColumnGram(state, { us, columns, out }),
    restricted: (columns) => overColumns(state, columns),
    release,
  };
}

/** The linearisation whose flat vectors hold the given weights only. */
function overColumns(state: Linearized, columns: Uint32Array): RowLinearization {
  const chain = denseChain({ layers: state.chained, columns, examples: state.logits.rows }, state.pool);
  if (chain) return overChain(state, { chain, columns });
  const { inner, free } = compacted(state, columns);
  const whole = linearization(inner, free);
  return {
    ...whole,
    ...onColumns(whole, columns),
    columnGram: (us, inside, out) => writeColumnGram(state, { us, columns: within(columns, inside), out }),
    restricted: (inside) => overColumns(state, within(columns, inside)),
  };
}

/** Products of a chain; what else there is of all weights. */
function overChain(
  state: Linearized,
  { chain, columns }: { chain: PanelChain; columns: Uint32Array },
): RowLinearization {
  const { logits, pool, panels } = state;
  const whole = linearization(state, () => {});
  const { forward, backward, gram } = chainProducts(chain, pool);
  return {
    ...whole,
    ...onColumns(whole, columns),
    cost: logits.rows * chain.layers.reduce((sum, { pattern }) => sum + pattern.columns.length, 0),
    forward,
    backward,
    softmaxGram(p, x, out) {
      let own = panels.get(p);
      if (!own) {
        own = pool.take(chain.count * logits.cols * panelWidth);
        rowsToPanels({ ...logits, data: inDtype(p, pool.dtype) }, own, pool.kernels);
        panels.set(p, own);
      }
      gram(own, x, out);
    },
    columnGram: (us, inside, out) => writeColumnGram(state, { us, columns: within(columns, inside), out }),
    restricted: (inside) => overColumns(state, within(columns, inside)),
  };
}

/** Keeps only the input columns that some of the given weights look at. */
function compacted(state: Linearized, columns: Uint32Array): { inner: Linearized; free: () => void } {
  const { kernels } = state;
  const owned: Vec[] = [];
  const layers = state.layers.map((layer): LinearLayer => {
    if (!layer.dense || layer.dense.weightStart < 0) return layer;
    const { spec, weightStart, panels } = layer.dense;
    const size = { examples: layer.input.rows, inputs: spec.in, outputs: spec.out };
    const sparse = sparseWeights({ ...size, start: weightStart, columns, panels }, kernels);
    if (sparse) return { ...layer, dense: { ...layer.dense, sparse } };
    const looked = new Uint8Array(spec.in);
    for (let s = 0; s < columns.length; s++) {
      const j = columns[s]!;
      if (j >= weightStart && j < weightStart + spec.in * spec.out) looked[(j - weightStart) % spec.in] = 1;
    }
    const used = Uint32Array.from({ length: spec.in }, (_, i) => i).filter((i) => looked[i] === 1);
    if (used.length > compactShare * spec.in) return layer;
    const { rows, data } = layer.input;
    const input = matrix(rows, used.length, kernels.alloc(rows * used.length, dtypeOf(data)));
    kernels.gatherColumns(layer.input, used, input);
    owned.push(input.data);
    return { ...layer, input, dense: { ...layer.dense, used } };
  });
  return {
    inner: { ...state, layers },
    free() {
      for (const data of owned) kernels.free(data);
    },
  };
}

/** out = J x */
function tangents({ layers, kernels, pool }: Linearized, x: Vec, out: Mat): void {
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
function deltas({ layers, kernels, pool }: Linearized, u: Mat, visit: (layer: LinearLayer, delta: Mat) => void): void {
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
function writeWeightGradients({ kernels, pool }: Linearized, spec: { layer: LinearLayer; delta: Mat; out: Vec }): void {
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

function writeSumOfSquares(state: Linearized, us: Iterable<Mat>, out: Vec): void {
  const { kernels, pool } = state;
  const sums = new Map<LinearLayer, Mat>();
  for (const u of us) {
    deltas(state, u, (layer, delta) => {
      const sum = sums.get(layer) ?? { ...delta, data: pool.take(delta.data.length).fill(0) };
      sums.set(layer, sum);
      addSquares(sum.data, delta.data);
    });
  }
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
function writeColumnGram(state: Linearized, spec: { us: Iterable<Mat>; columns: Uint32Array; out: Mat }): void {
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

function inDtype(p: Float64Array, dtype: Dtype): Vec {
  return dtype === "f64" ? p : Float32Array.from(p);
}

/** A copy in a new vector. */
function copied(a: Mat, room: (length: number, dtype: Dtype) => Vec): Mat {
  const data = room(a.data.length, dtypeOf(a.data));
  data.set(a.data);
  return { ...a, data };
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
