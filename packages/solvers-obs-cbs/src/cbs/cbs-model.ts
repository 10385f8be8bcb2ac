/**
 * The combinatorial objective f(P) = w_P' H w_P of a problem, from its gradient rows. P is a set of units: single weights, or groups of them, of which a whole one is
 * what a single weight is elsewhere: with u_g = G_g w_g in the place of G_j w_j, f and the gains of swaps read the same.
 */
import {
  type FactorView,
  type Kernels,
  type Mask,
  type Problem,
  type RunContext,
  type Vec,
  weightMask,
} from "@secateur/core";
import { hasColumnGram } from "@secateur/core/linalg";
import { needsColumns } from "../errors.ts";
import { ownProducts, type UnitProblem } from "./unit-products.ts";

/** A problem as CBS-S sees it. */
export interface CbsModel {
  readonly problem: Problem;
  readonly view: FactorView;
  readonly kernels: Kernels;
  readonly products: UnitProblem;
  /** w_u' H_uu w_u [units.count]; see {@link ownProducts} */
  readonly own: Float64Array;
}

/** Where a mask stands. */
export interface CbsPoint {
  /** [units.count] */
  readonly mask: Mask;
  /** f(P) */
  readonly value: number;
  /** v_u = w_u'(H w_P)_u [units.count] */
  readonly v: Float64Array;
}

/** @throws ERR_INCOMPATIBLE for curvatures that swaps do not fit */
export async function cbsModel(problem: Problem, ctx: RunContext): Promise<CbsModel> {
  const { curvature, units, w } = problem;
  const view = curvature.factor!();
  if (!hasColumnGram(view)) throw needsColumns("cbs");
  const { kernels } = ctx;
  const products = { view, kernels, units, w: w.data };
  return { problem, view, kernels, products, own: await ownProducts(products, ctx) };
}

/** f of a mask. One product. */
export async function cbsValue(model: CbsModel, mask: Mask): Promise<number> {
  return (await imageOf(model, mask)).value;
}

/** f of a mask and v. Two products. */
export async function cbsPoint(model: CbsModel, mask: Mask): Promise<CbsPoint> {
  const { view, problem } = model;
  const { w, units } = problem;
  const { image, pruned, value } = await imageOf(model, mask);
  const back = pruned.slice();
  await view.transposeTimes(image, back);
  const each = Float64Array.from(w.data, (x, j) => x * (view.scale * back[j]! + view.damping * pruned[j]!));
  return { mask, value, v: Float64Array.from(units.reduce(each)) };
}

async function imageOf(
  { view, problem, kernels }: CbsModel,
  mask: Mask,
): Promise<{ image: Vec; pruned: Vec; value: number }> {
  const pruned = view.dtype === "f64" ? Float64Array.from(problem.w.data) : Float32Array.from(problem.w.data);
  const kept = weightMask(problem.units, mask);
  for (let j = 0; j < kept.length; j++) if (kept[j] === 1) pruned[j] = 0;
  const image = view.dtype === "f64" ? new Float64Array(view.rows) : new Float32Array(view.rows);
  await view.times(pruned, image);
  const value = view.scale * kernels.dot(image, image) + view.damping * kernels.dot(pruned, pruned);
  return { image, pruned, value };
}
