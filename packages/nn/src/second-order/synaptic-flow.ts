/**
 * Synaptic flow (Tanaka et al. 2020, equation 2): with |w| in place of every parameter and statistic and an input of ones,
 *   R = sum of the outputs,   dR/d|w|.
 * In eval mode, as the authors' code does it, and in f64: R is a product over the layers.
 */
import { type HessianRequest, type Mat, matrix, notFiniteOutput, type RunContext } from "@secateur/core";
import type { Model } from "../derivatives/gradient-passes.ts";
import { sumSink, zeroGradients } from "../derivatives/gradients.ts";
import { record } from "../derivatives/tape.ts";
import { findParam } from "../graph/param-specs.ts";
import { withPool } from "../pool.ts";
import { weightsAt } from "./hessian.ts";

/** dR/d|w|, flat in the order of `params`. @throws ERR_NOT_FINITE where R leaves the range of f64 */
export async function synapticFlow(
  model: Model,
  request: Pick<HessianRequest, "params" | "at">,
  ctx: RunContext,
): Promise<Float64Array> {
  const { spec } = model;
  const { params } = request;
  const weights = new Map(
    [...weightsAt(model, request).weights].map(([name, w]) => [
      name,
      matrix(w.rows, w.cols, Float64Array.from(w.data, Math.abs)),
    ]),
  );
  const sums = zeroGradients(new Map(params.map((name) => [name, findParam({ spec, weights }, name)])));
  const size = spec.inputShape.reduce((product, extent) => product * extent, 1);
  await withPool(ctx.kernels, "f64", async (pool) => {
    const input: Mat = matrix(1, size, new Float64Array(size).fill(1));
    const tape = record({ network: spec, weights, input, pool });
    if (!tape.logits.data.every(Number.isFinite)) throw notFiniteOutput(spec.name, 0);
    tape.backward({ ...tape.logits, data: tape.logits.data.slice().fill(1) }, sumSink(sums, 1));
    tape.release();
  });
  const flow = new Float64Array([...sums.values()].reduce((sum, { data }) => sum + data.length, 0));
  let start = 0;
  for (const { data } of sums.values()) {
    flow.set(data, start);
    start += data.length;
  }
  return flow;
}
