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
  type Linearization,
  type Mat,
  matrix,
  notFiniteOutput,
  type PanelChain,
  plainView,
  type RunContext,
  throwIfAborted,
  unknownName,
  type Vec,
} from "@secateur/core";
import type { NetworkSpec } from "../graph/network-spec.ts";
import { asOutputs } from "../network-tensors.ts";
import type { Weights } from "../ops/op.ts";
import { createPool, type Pool } from "../pool.ts";
import { type ChainedLayer, chainProducts, denseChain } from "./dense-chain.ts";
import { denseForward } from "./dense-forward.ts";
import {
  canSquare,
  deltas,
  inPanels,
  type Linearized,
  type LinearLayer,
  tangents,
  writeColumnGram,
  writeSoftmaxSquares,
  writeSumOfSquares,
  writeWeightGradients,
} from "./dense-products.ts";
import { onColumns, within } from "./on-columns.ts";
import { namedLinearization, type RowLinearization } from "./row-linearization.ts";
import { inputPanels, sparseWeights } from "./sparse-weights.ts";

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
    ...(canSquare(state) && { softmaxSquares: (p: Float64Array, out: Vec) => writeSoftmaxSquares(state, p, out) }),
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
  const { logits, pool } = state;
  const whole = linearization(state, () => {});
  const { forward, backward, gram } = chainProducts(chain, pool);
  return {
    ...whole,
    ...onColumns(whole, columns),
    cost: logits.rows * chain.layers.reduce((sum, { pattern }) => sum + pattern.columns.length, 0),
    forward,
    backward,
    softmaxGram: (p, x, out) => gram(inPanels(state, p), x, out),
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

/** A copy in a new vector. */
function copied(a: Mat, room: (length: number, dtype: Dtype) => Vec): Mat {
  const data = room(a.data.length, dtypeOf(a.data));
  data.set(a.data);
  return { ...a, data };
}
