/**
 * The curvature of layer-wise pruning: H = X'X / n + damping I, X [n, inputs] what a layer sees, the Hessian of the mean squared change of
 * one of its outputs over 2 (OBC, Frantar and Alistarh 2022, section 3). X is never held: pieces of it are multiplied in its own dtype,
 * their products added up in f64. To match the dense model's outputs the moments of x with what it is there come along. Inputs far from 0 beside their spread are
 * multiplied less a shift s (input-moments.ts), so that H less the product of their means still has the digits of their variances.
 */
import type {
  LayerCurvature,
  LayerCurvatureEstimator,
  LayerInputs,
  LayerInputsRequest,
  Model,
  RunContext,
} from "@secateur/core";
import { gramCurvature } from "@secateur/core/linalg";
import { badRowsPerInput, badShare, noInputs, noLayerInputs } from "./errors.ts";
import { type InputMoments, inputMoments, shareMoments } from "./input-moments.ts";
import { momentShare } from "./input-shares.ts";

/** Settings of {@link activations}. */
export interface ActivationsOptions {
  /** Added to the diagonal of H, as a fraction of its mean, >= 0. Default: .01 for a layer with fewer than 4 rows of inputs to a weight of a row, else 0. */
  readonly damping?: number | undefined;
  /**
   * Rows of inputs to a weight of a row that are enough, >= 4: a convolution that sees at least twice as many windows takes so many, spread over all examples, with the note
   * "inputs-sampled". Infinity takes all. Default 128, of which the error of a layer grows by about a hundredth of itself at most.
   */
  readonly rowsPerInput?: number | undefined;
  /** What takes the sums elsewhere, where layers do not wait for each other; default: here. What it gives has to be the same. */
  readonly sums?: InputSums | undefined;
}

/** What one layer sees, or several that see the same, summed up. */
export interface SummedInputs extends Omit<LayerInputs, "chunks"> {
  readonly moments: InputMoments;
}

/** Sums over the inputs of layers of a model as it is; undefined where it cannot take them. */
export type InputSums = (
  request: Omit<LayerInputsRequest, "inputs"> & { readonly model: Model; readonly rowsPerInput: number },
  ctx: RunContext,
) => Promise<AsyncIterable<SummedInputs> | undefined>;

/**
 * The sums over one share of the examples, entry after entry; what `activations` takes them from share by share, and `addMoments` adds up.
 *
 * @param request.examples - of the share, which begins at example `first` of `of`
 */
export async function* shareOfInputs(
  request: Omit<LayerInputsRequest, "inputs"> & {
    readonly model: Model;
    readonly rowsPerInput: number;
    readonly first: number;
    readonly of: number;
  },
  ctx: RunContext,
): AsyncGenerator<SummedInputs> {
  const { model, rowsPerInput, first, of, ...asked } = request;
  if (!model.layerInputs) throw noLayerInputs("activations", model.name);
  for await (const { chunks, ...entry } of model.layerInputs({ ...asked, inputs: "parallel" }, ctx)) {
    const perExample = (entry.rows ?? 0) / asked.examples.length;
    const choice = { rows: perExample * of, most: rowsPerInput * entry.cols, before: perExample * first };
    const moments = await shareMoments({ cols: entry.cols, chunks, other: undefined, choice }, ctx);
    yield { ...entry, ...(entry.rows === undefined ? {} : { rows: choice.rows }), moments };
  }
}

/**
 * Where rows are few beside inputs, the least directions of X'X / n are too small by chance, and weights that follow them give other outputs on
 * other examples: so much is added to the diagonal there, as in the published code of OBC, SparseGPT and ALPS.
 */
const few = { rowsPerInput: 4, damping: 0.01 };

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
export function activations({ damping, rowsPerInput = 128, sums }: ActivationsOptions = {}): LayerCurvatureEstimator {
  if (!(rowsPerInput >= few.rowsPerInput)) throw badRowsPerInput(rowsPerInput, few.rowsPerInput);
  if (damping !== undefined && !(damping >= 0 && damping < Number.POSITIVE_INFINITY)) throw badShare(damping);
  return {
    name: "activations",
    async *estimate({ model, match = "own", dense: given, ...request }, ctx) {
      const source = given ?? model;
      for (const { name, layerInputs } of [model, source]) if (!layerInputs) throw noLayerInputs("activations", name);
      const isPaired = match === "dense" && (request.inputs === "sequential" || given !== undefined);
      const settings = { damping, model: model.name };
      const isApart = !isPaired && request.inputs === "parallel";
      const apart = isApart ? await sums?.({ ...request, model, rowsPerInput }, ctx) : undefined;
      if (apart) {
        for await (const { moments, ...entry } of apart) yield curvatureOf(entry, settings, ctx, moments);
        return;
      }
      const share = await momentShare({ model, data: request.data }, request.examples.length);
      // Asked before anything is written: the weights of "parallel" are those of now.
      const dense = isPaired
        ? source.layerInputs!({ ...request, inputs: "parallel" }, ctx)[Symbol.asyncIterator]()
        : undefined;
      try {
        for await (const entry of model.layerInputs!(request, ctx)) {
          const partner = (await dense?.next())?.value as LayerInputs | undefined;
          const most = rowsPerInput * entry.cols;
          const moments = await inputMoments({ entry, partner, most, examples: request.examples.length, share }, ctx);
          yield curvatureOf(entry, settings, ctx, moments);
        }
      } finally {
        await dense?.return?.();
      }
    },
  };
}

function curvatureOf(
  { targets, cols, rows: all = 0 }: Omit<LayerInputs, "chunks">,
  { damping: asked, model }: { damping: number | undefined; model: string },
  ctx: RunContext,
  { H, count, means, dense }: InputMoments,
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
  if (count < all) {
    const message = `${name}: ${count} of its ${all} windows, spread over all examples, stand for all`;
    ctx.report({ type: "note", level: "info", code: "inputs-sampled", message });
  }
  if (count < cols) {
    const remedy = `more calibration examples${damping === 0 ? ", or damping," : ""} make up for it`;
    const message = `${name}: ${count} rows of inputs for ${cols} weights a row leave H with rank ${count} at most; ${remedy}`;
    ctx.report({ type: "note", level: "warn", code: "calibration-rank", message });
  }
  if (asked === undefined && damping > 0) {
    const message = `${name}: ${count} rows of inputs for ${cols} weights a row are few; ${damping} of its mean is added to H's diagonal (--layer-damping says otherwise)`;
    ctx.report({ type: "note", level: "info", code: "calibration-damped", message });
  }
  if (dead > 0) {
    const isAll = dead === cols;
    const message = isAll
      ? `${name}: all ${cols} inputs are 0 in all calibration examples, which tell nothing of its weights; give examples that reach it, or leave it dense`
      : `${name}: ${dead} of ${cols} inputs are 0 in all calibration examples; their weights go first`;
    ctx.report({ type: "note", level: isAll ? "warn" : "info", code: "dead-inputs", message });
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
