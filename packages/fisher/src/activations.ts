/**
 * The curvature of layer-wise pruning: H = X'X / n + damping I, X [n, inputs] what a layer sees, the Hessian of the mean squared change of
 * one of its outputs over 2 (OBC, Frantar and Alistarh 2022, section 3). X is never held: pieces of it are multiplied in its own dtype,
 * their products added up in f64. To match the dense model's outputs the moments of x with what it is there come along.
 */
import {
  type DenseMoments,
  dtypeOf,
  type Kernels,
  type LayerCurvature,
  type LayerCurvatureEstimator,
  type LayerInputs,
  type Mat,
  matrix,
  type RunContext,
} from "@secateur/core";
import { gramCurvature, withScratch } from "@secateur/core/linalg";
import { badShare, noInputs, noLayerInputs } from "./errors.ts";

/** Settings of {@link activations}. */
export interface ActivationsOptions {
  /** Added to the diagonal of H, as a fraction of its mean, >= 0. Default: .01 for a layer with fewer than 4 rows of inputs to a weight of a row, else 0. */
  readonly damping?: number | undefined;
}

/**
 * Where rows are few beside inputs, the least directions of X'X / n are too small by chance, and weights that follow them give other outputs on
 * other examples: so much is added to the diagonal there, as in the published code of OBC, SparseGPT and ALPS.
 */
const few = { rowsPerInput: 4, damping: 0.01 };

/** Rows whose products are added up in the dtype of the inputs: f32 loses some digits in longer sums. */
const mostRows = 8192;

/**
 * Second moments of the inputs of layers. Time: inputs^2 / 2 multiply-adds a row of X. Memory: 24 inputs^2 bytes, of one layer at a time.
 *
 * @throws ERR_OPTION; when it is read ERR_INCOMPATIBLE (a model without layerInputs), ERR_IMPOSSIBLE (a layer that no example reaches),
 * ERR_NOT_FINITE
 * @example
 * for await (const { targets, curvature } of activations().estimate(request, ctx)) {
 *   const saliency = curvature.diagonal(); // of the layers in `targets`, one after the other
 * }
 */
export function activations({ damping }: ActivationsOptions = {}): LayerCurvatureEstimator {
  if (damping !== undefined && !(damping >= 0 && damping < Number.POSITIVE_INFINITY)) throw badShare(damping);
  return {
    name: "activations",
    async *estimate({ model, match = "own", dense: given, ...request }, ctx) {
      const source = given ?? model;
      for (const { name, layerInputs } of [model, source]) if (!layerInputs) throw noLayerInputs("activations", name);
      const isPaired = match === "dense" && (request.inputs === "sequential" || given !== undefined);
      // Asked before anything is written: the weights of "parallel" are those of now.
      const dense = isPaired
        ? source.layerInputs!({ ...request, inputs: "parallel" }, ctx)[Symbol.asyncIterator]()
        : undefined;
      try {
        for await (const entry of model.layerInputs!(request, ctx)) {
          const partner = (await dense?.next())?.value as LayerInputs | undefined;
          yield curvatureOf(entry, { damping, model: model.name }, ctx, await secondMoments(entry, partner, ctx));
        }
      } finally {
        await dense?.return?.();
      }
    },
  };
}

/** Moments of the rows of one entry. */
interface SecondMoments {
  /** Sum of x x'. */
  readonly H: Mat;
  readonly count: number;
  /** Sum of x. */
  readonly means: Float64Array;
  /** Sums with the rows that the dense model has in their place. */
  readonly dense?: DenseMoments;
}

async function secondMoments(
  { chunks, cols }: LayerInputs,
  partner: LayerInputs | undefined,
  { kernels }: RunContext,
): Promise<SecondMoments> {
  const take = (): Mat => matrix(cols, cols, new Float64Array(cols * cols));
  const H = take();
  const dense = partner && { cross: take(), own: take(), means: new Float64Array(cols) };
  const others = partner?.chunks[Symbol.asyncIterator]();
  const means = new Float64Array(cols);
  let count = 0;
  await withScratch(kernels, async (alloc) => {
    let sums: { readonly whole: Mat; readonly part: Mat }[] | undefined;
    let pending = 0;
    const flush = (): void => {
      for (const { whole, part } of sums ?? []) {
        addTo(whole, part);
        part.data.fill(0);
      }
      pending = 0;
    };
    for await (const chunk of chunks) {
      // Taken in step, so that row stands beside row: both come from the same batches.
      const other = (await others?.next())?.value as Mat | undefined;
      sums ??= [H, ...(dense ? [dense.cross, dense.own] : [])].map((whole) => ({
        whole,
        part: matrix(cols, cols, alloc(cols * cols, dtypeOf(chunk.data)).fill(0)),
      }));
      const [own, cross, theirs] = sums.map(({ part }) => part);
      for (let from = 0; from < chunk.rows; from += mostRows) {
        const to = Math.min(from + mostRows, chunk.rows);
        if (pending + to - from > mostRows) flush();
        pending += to - from;
        const a = rowsOf(chunk, from, to);
        kernels.gram({ a, transpose: true, beta: 1, out: own! });
        if (!other) continue;
        const b = rowsOf(other, from, to);
        kernels.gemm({ a, transposeA: true, b, beta: 1, out: cross! });
        kernels.gram({ a: b, transpose: true, beta: 1, out: theirs! });
      }
      addRows(means, chunk, kernels);
      if (dense && other) addRows(dense.means, other, kernels);
      count += chunk.rows;
    }
    flush();
  });
  // The last chunk is given back when another one is asked for.
  await others?.next();
  return { H, count, means, ...(dense ? { dense } : {}) };
}

function rowsOf({ cols, data }: Mat, from: number, to: number): Mat {
  return matrix(to - from, cols, data.subarray(from * cols, to * cols));
}

function addRows(sums: Float64Array, rows: Mat, kernels: Kernels): void {
  const own = new Float64Array(rows.cols);
  kernels.columnSums(rows, own);
  for (let j = 0; j < own.length; j++) sums[j]! += own[j]!;
}

function addTo(total: Mat, sum: Mat): void {
  for (let i = 0; i < total.data.length; i++) total.data[i]! += sum.data[i]!;
}

function curvatureOf(
  { targets, cols }: LayerInputs,
  { damping: asked, model }: { damping: number | undefined; model: string },
  ctx: RunContext,
  { H, count, means, dense }: SecondMoments,
): LayerCurvature {
  const names = targets.map(({ param }) => param);
  if (count === 0) throw noInputs(model, names);
  let [trace, dead] = [0, 0];
  for (const data of [H.data, means, ...(dense ? [dense.cross.data, dense.own.data, dense.means] : [])]) {
    for (let i = 0; i < data.length; i++) data[i]! /= count;
  }
  for (let j = 0; j < cols; j++) {
    const value = H.data[j * (cols + 1)]!;
    trace += value;
    if (value === 0) dead++;
  }
  const damping = asked ?? (count < few.rowsPerInput * cols ? few.damping : 0);
  const added = (damping * trace) / cols;
  for (let j = 0; j < cols; j++) H.data[j * (cols + 1)]! += added;
  const name = names.join(", ");
  if (count < cols) {
    const remedy = `more calibration examples${damping === 0 ? ", or damping," : ""} make up for it`;
    const message = `${name}: ${count} rows of inputs for ${cols} weights a row leave H with rank ${count} at most; ${remedy}`;
    ctx.report({ type: "note", level: "warn", code: "calibration-rank", message });
  }
  if (asked === undefined && damping > 0) {
    const message = `${name}: ${count} rows of inputs for ${cols} weights a row are few; ${damping} of its mean is added to H's diagonal (activations({ damping }) says otherwise)`;
    ctx.report({ type: "note", level: "info", code: "calibration-damped", message });
  }
  if (dead > 0) {
    const message = `${name}: ${dead} of ${cols} inputs are 0 in all calibration examples; their weights go first`;
    ctx.report({ type: "note", level: "info", code: "dead-inputs", message });
  }
  return {
    targets,
    cols,
    count,
    dead,
    damping: added,
    curvature: gramCurvature(H, { kernels: ctx.kernels, means }),
    ...(dense ? { dense } : {}),
  };
}
