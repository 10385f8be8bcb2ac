/**
 * The curvature of layer-wise pruning: H = X'X / n + damping I, X [n, inputs] what a layer sees, the Hessian of the mean squared change of
 * one of its outputs over 2 (OBC, Frantar and Alistarh 2022, section 3). X is never held: pieces of it are multiplied in its own dtype,
 * their products added up in f64.
 */
import {
  type Curvature,
  dtypeOf,
  type LayerCurvature,
  type LayerCurvatureEstimator,
  type LayerInputs,
  type Mat,
  matrix,
  type RunContext,
} from "@secateur/core";
import { withScratch } from "@secateur/core/linalg";
import { badShare, noInputs, noLayerInputs } from "./errors.ts";

/** Settings of {@link activations}. */
export interface ActivationsOptions {
  /** Added to the diagonal of H, as a fraction of its mean, >= 0. Default 0. */
  readonly damping?: number | undefined;
}

/** Rows whose products are added up in the dtype of the inputs: f32 loses some digits in longer sums. */
const mostRows = 8192;

/**
 * Second moments of the inputs of layers. Time: inputs^2 / 2 multiply-adds a row of X. Memory: 24 inputs^2 bytes, of one layer at a time.
 *
 * @throws ERR_OPTION; when it is read ERR_INCOMPATIBLE (a model without layerInputs), ERR_IMPOSSIBLE (a layer that no example reaches),
 * ERR_NOT_FINITE
 * @example
 * for await (const { targets, curvature } of activations().estimate(request, ctx)) console.log(targets, curvature.diagonal());
 */
export function activations({ damping = 0 }: ActivationsOptions = {}): LayerCurvatureEstimator {
  if (!(damping >= 0 && damping < Number.POSITIVE_INFINITY)) throw badShare(damping);
  return {
    name: "activations",
    async *estimate({ model, ...request }, ctx) {
      if (!model.layerInputs) throw noLayerInputs("activations", model.name);
      for await (const entry of model.layerInputs(request, ctx)) {
        yield curvatureOf(entry, { damping, model: model.name }, ctx, await secondMoment(entry, ctx));
      }
    },
  };
}

async function secondMoment(
  { chunks, cols }: LayerInputs,
  { kernels }: RunContext,
): Promise<{ H: Mat; count: number }> {
  const H = matrix(cols, cols, new Float64Array(cols * cols));
  let count = 0;
  for await (const chunk of chunks) {
    const { data } = chunk;
    await withScratch(kernels, (alloc) => {
      const sum = matrix(cols, cols, alloc(cols * cols, dtypeOf(data)));
      for (let from = 0; from < chunk.rows; from += mostRows) {
        const rows = Math.min(mostRows, chunk.rows - from);
        kernels.gram({
          a: matrix(rows, cols, data.subarray(from * cols, (from + rows) * cols)),
          transpose: true,
          out: sum,
        });
        for (let i = 0; i < H.data.length; i++) H.data[i]! += sum.data[i]!;
      }
    });
    count += chunk.rows;
  }
  return { H, count };
}

function curvatureOf(
  { targets, cols }: LayerInputs,
  { damping, model }: { damping: number; model: string },
  ctx: RunContext,
  { H, count }: { H: Mat; count: number },
): LayerCurvature {
  const names = targets.map(({ param }) => param);
  if (count === 0) throw noInputs(model, names);
  let [trace, dead] = [0, 0];
  for (let i = 0; i < H.data.length; i++) H.data[i]! /= count;
  for (let j = 0; j < cols; j++) {
    const value = H.data[j * (cols + 1)]!;
    trace += value;
    if (value === 0) dead++;
  }
  const added = (damping * trace) / cols;
  for (let j = 0; j < cols; j++) H.data[j * (cols + 1)]! += added;
  const name = names.join(", ");
  if (count < cols) {
    const message = `${name}: ${count} rows of inputs for ${cols} weights a row leave H with rank ${count} at most; more calibration examples, or damping, make up for it`;
    ctx.report({ type: "note", level: "warn", code: "calibration-rank", message });
  }
  if (dead > 0) {
    const message = `${name}: ${dead} of ${cols} inputs are 0 in all calibration examples; their weights go first`;
    ctx.report({ type: "note", level: "info", code: "dead-inputs", message });
  }
  return { targets, cols, count, dead, damping: added, curvature: gramCurvature(H, ctx) };
}

/** A curvature written out. @param H - [cols, cols] f64, symmetric; kept, not copied */
function gramCurvature(H: Mat, { kernels }: RunContext): Curvature {
  const { cols } = H;
  const diagonal = Float64Array.from({ length: cols }, (_, j) => H.data[j * (cols + 1)]!);
  return {
    dim: cols,
    diagonal: () => diagonal,
    gram: () => H,
    apply(x, out) {
      const image = new Float64Array(cols);
      kernels.gemv({ a: H, x: Float64Array.from(x), out: image });
      out.set(image);
    },
  };
}
