/** The combinatorial objective f(P) = w_P' H w_P of a problem, from its gradient rows. */
import { type FactorView, type Kernels, type Mask, matrix, type Problem, type Vec } from "@secateur/core";
import { hasColumnGram, writeCurvature } from "@secateur/core/linalg";
import { needsColumns, onlySingleWeights } from "../errors.ts";

/** A problem as CBS-S sees it. */
export interface CbsModel {
  readonly problem: Problem;
  readonly view: FactorView;
  readonly kernels: Kernels;
  /** H_jj w_j^2 [p] */
  readonly own: Float64Array;
}

/** Where a mask stands. */
export interface CbsPoint {
  readonly mask: Mask;
  /** f(P) */
  readonly value: number;
  /** v_j = w_j (H w_P)_j [p] */
  readonly v: Float64Array;
}

/** @throws ERR_INCOMPATIBLE for rows, units or curvatures that single swaps do not fit */
export function cbsModel(problem: Problem, kernels: Kernels): CbsModel {
  if (!problem.units.perWeight) throw onlySingleWeights(problem.id);
  const view = problem.curvature.factor!();
  if (!hasColumnGram(view)) throw needsColumns("cbs");
  const norms = view.columnNormsSquared();
  const own = Float64Array.from(problem.w.data, (value, j) => (view.scale * norms[j]! + view.damping) * value * value);
  return { problem, view, kernels, own };
}

/** f of a mask. One product. */
export async function cbsValue(model: CbsModel, mask: Mask): Promise<number> {
  return (await imageOf(model, mask)).value;
}

/** f of a mask and v. Two products. */
export async function cbsPoint(model: CbsModel, mask: Mask): Promise<CbsPoint> {
  const { view, problem } = model;
  const { image, pruned, value } = await imageOf(model, mask);
  const back = pruned.slice();
  await view.transposeTimes(image, back);
  const v = Float64Array.from(problem.w.data, (w, j) => w * (view.scale * back[j]! + view.damping * pruned[j]!));
  return { mask, value, v };
}

async function imageOf(
  { view, problem, kernels }: CbsModel,
  mask: Mask,
): Promise<{ image: Vec; pruned: Vec; value: number }> {
  const pruned = view.dtype === "f64" ? Float64Array.from(problem.w.data) : Float32Array.from(problem.w.data);
  for (let j = 0; j < mask.length; j++) if (mask[j] === 1) pruned[j] = 0;
  const image = view.dtype === "f64" ? new Float64Array(view.rows) : new Float32Array(view.rows);
  await view.times(pruned, image);
  const value = view.scale * kernels.dot(image, image) + view.damping * kernels.dot(pruned, pruned);
  return { image, pruned, value };
}

/** B over some weights [c, c]: w_i H_ij w_j. n c^2 / 2 multiply-adds in the dtype of the rows. */
export async function weightedBlock({ view, kernels, problem }: CbsModel, members: Uint32Array): Promise<Float64Array> {
  const c = members.length;
  const B = new Float64Array(c * c);
  await writeCurvature({ view, columns: members, out: matrix(c, c, B), kernels });
  const weights = Float64Array.from(members, (j) => problem.w.data[j]!);
  for (let s = 0; s < c; s++) for (let t = 0; t < c; t++) B[s * c + t]! *= weights[s]! * weights[t]!;
  return B;
}
