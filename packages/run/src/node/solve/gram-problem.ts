/** A layer's problem from files: H = X'X [in, in], at any scale, and weights [out, in] whose rows share it. */
import {
  type Constraint,
  type Dtype,
  dtypeOf,
  type Kernels,
  keepCount,
  keepOfEvery,
  keepOutOfRange,
  keptCount,
  type Mat,
  matrix,
  type Problem,
  shapeMismatch,
  weightUnits,
} from "@secateur/core";
import { gramCurvature } from "@secateur/core/linalg";
import { toFloat64, toVec } from "@secateur/formats";
import { keepsNothing } from "../../errors.ts";
import { readFinite } from "./read-arrays.ts";
import type { SolveSettings } from "./run-solve.ts";

/** A layer read from files. */
export interface LayerArrays {
  /** H [in, in] f64, with the ridge. */
  readonly gram: Mat;
  /** [out, in] */
  readonly weights: Mat;
  /** What the new weights are written in. */
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** Reads and checks both files. @throws the file errors of formats; ERR_SHAPE; ERR_NOT_FINITE */
export async function readLayer(spec: { gram: string; weights: string; ridge: number }): Promise<LayerArrays> {
  const H = await readFinite(spec.gram, "look for overflow in the layer's inputs");
  const W = await readFinite(spec.weights, "training diverged: take an earlier checkpoint");
  const [out = 0, inputs = 0] = W.shape;
  if (W.shape.length !== 2 || out === 0 || inputs === 0) {
    const found = `shape [${W.shape.join(", ")}]`;
    throw shapeMismatch({ where: spec.weights, found, expected: "[out, in]: one row of weights an output" });
  }
  if (H.shape.length !== 2 || H.shape[0] !== inputs || H.shape[1] !== inputs) {
    throw shapeMismatch({
      where: spec.gram,
      found: `shape [${H.shape.join(", ")}]`,
      expected: `[${inputs}, ${inputs}]: X'X of the ${inputs} inputs of a row in ${spec.weights}`,
    });
  }
  const gram = matrix(inputs, inputs, Float64Array.from(toFloat64(H)));
  for (let j = 0; j < inputs; j++) gram.data[j * (inputs + 1)]! += spec.ridge;
  const weights = toVec(W);
  return { gram, weights: matrix(out, inputs, weights), dtype: dtypeOf(weights), shape: W.shape };
}

/** The problem: minimise 1/2 tr((R - W) H (R - W)'). @throws ERR_IMPOSSIBLE, ERR_KEEP_RANGE, ERR_PATTERN */
export function gramProblem(layer: LayerArrays, settings: SolveSettings, kernels: Kernels): Problem {
  const { gram, weights } = layer;
  const { rows, cols } = weights;
  const count = rows * cols;
  return {
    id: "weights",
    w: weights,
    curvature: gramCurvature(gram, { kernels }),
    units: weightUnits(count),
    constraint: settings.pattern
      ? keepOfEvery({ count, cols, ...settings.pattern })
      : keeping({ count, settings, kernels }),
  };
}

function keeping(spec: { count: number; settings: SolveSettings; kernels: Kernels }): Constraint {
  const { count, settings, kernels } = spec;
  const keep = settings.keep ?? keptCount(count, settings.sparsity ?? 0);
  if (keep === 0 && settings.sparsity !== undefined) {
    throw keepsNothing({ where: "--sparsity", sparsity: settings.sparsity, size: count });
  }
  if (keep > count) throw keepOutOfRange("--keep", keep, count);
  return keepCount({ count, keep, kernels });
}
