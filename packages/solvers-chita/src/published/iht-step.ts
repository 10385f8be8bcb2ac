/**
 * One step of iterative hard thresholding with exact line search (CHITA, Benbaki et al. 2023, section 3.2).
 * On the support S with slope h = dQ/dd restricted to S, the best step that keeps S is
 *   tau* = ||h||^2 / (scale ||G h||^2 + damping ||h||^2).
 * The support of w - tau dQ/dd changes first at tau_c = min over i in S of |w_i| / (|h_i| + m) where the step shrinks
 * w_i, |w_i| / (m - |h_i|) where it grows w_i slower than m, m = max outside S of |dQ/dd|. If tau* < tau_c take tau* (the
 * product G h is known already: no further one); else try tau_c, 2 tau_c, 4 tau_c, ... while Q falls.
 * Departures: trials start just above tau_c, where the support really changes; the support-keeping step, which costs
 * nothing more, is always a candidate, so Q never rises.
 */
import { type Vec, zeros } from "@secateur/core";
import { gradientAt, type Point, pointAt, type QuadraticModel, valueAt } from "@secateur/core/linalg";
import type { Support } from "../refit/project.ts";

/** Weights that satisfy the constraint, with where they stand. */
export interface Iterate {
  readonly w: Vec;
  readonly point: Point;
  readonly value: number;
  readonly support: Support;
}

/** The feasible support on which weights [p] keep most of their squared norm. */
export type Projection = (w: Vec) => Support;

/** An iterate at weights that are zero outside the support. One product. */
export async function iterateAt(model: QuadraticModel, w: Vec, support: Support): Promise<Iterate> {
  const point = await pointAt(model, w);
  return { w, point, value: valueAt(model, point), support };
}

/** Doublings of the step beyond the first support change. */
const doublings = 6;

/** One step from `current`; two products when the support stays, one more per trial else. Never increases Q. */
export async function ihtStep(model: QuadraticModel, current: Iterate, project: Projection): Promise<Iterate> {
  const { dim: size, rows, dtype, scale, damping, kernels } = model;
  const slope = zeros(size, dtype);
  await gradientAt(model, current.point, slope);
  const h = zeros(size, dtype);
  for (const j of current.support.columns) h[j] = slope[j]!;
  const image = zeros(rows, dtype);
  await model.times(h, image);
  const steepness = kernels.dot(h, h);
  const bend = scale * kernels.dot(image, image) + damping * steepness;
  const best = bend > 0 ? steepness / bend : 0;
  const change = supportChangeStep(current, slope);
  const kept = keepSupport(model, current, { h, image, step: best });
  // Where nothing is to be gained on the support, only a swap is worth a trial.
  if (steepness > 0 && best < change) return kept;
  let winner = kept.value < current.value ? kept : current;
  let step = change * (1 + 1e-4);
  // A kept weight of 0 is swapped by any step; its natural length is the inverse curvature.
  if (!(step > 0)) step = best > 0 ? best / 2 ** (doublings - 1) : inverseCurvature(model, slope);
  let before = Number.POSITIVE_INFINITY;
  for (let trial = 0; trial < doublings && Number.isFinite(step); trial++, step *= 2) {
    const moved = zeros(size, dtype);
    for (let j = 0; j < size; j++) moved[j] = current.w[j]! - step * slope[j]!;
    const support = project(moved);
    const w = zeros(size, dtype);
    for (const j of support.columns) w[j] = moved[j]!;
    const candidate = await iterateAt(model, w, support);
    if (candidate.value >= before) break;
    before = candidate.value;
    if (candidate.value < winner.value) winner = candidate;
  }
  return winner;
}

/** w - step h, whose residual needs no product. */
function keepSupport(model: QuadraticModel, current: Iterate, move: { h: Vec; image: Vec; step: number }): Iterate {
  const { kernels } = model;
  const [w, d, residual] = [current.w.slice(), current.point.d.slice(), current.point.residual.slice()];
  kernels.axpy(-move.step, move.h, w);
  kernels.axpy(-move.step, move.h, d);
  kernels.axpy(-move.step, move.image, residual);
  const point = { d, residual };
  return { w, point, value: valueAt(model, point), support: current.support };
}

/** tau_c: the smallest step at which some kept weight falls below some pruned one. */
function supportChangeStep({ w, support }: Pick<Iterate, "w" | "support">, slope: Vec): number {
  const kept = new Uint8Array(w.length);
  for (const j of support.columns) kept[j] = 1;
  let most = 0;
  for (let j = 0; j < w.length; j++) if (kept[j] === 0) most = Math.max(most, Math.abs(slope[j]!));
  let change = Number.POSITIVE_INFINITY;
  for (const i of support.columns) {
    const size = Math.abs(w[i]!);
    const rate = Math.abs(slope[i]!);
    const shrinks = w[i]! * slope[i]! > 0;
    if (shrinks) change = Math.min(change, size / (rate + most));
    else if (rate < most) change = Math.min(change, size / (most - rate));
  }
  return change;
}

function inverseCurvature(model: QuadraticModel, slope: Vec): number {
  const norms = model.columnNormsSquared();
  let [square, bend] = [0, 0];
  for (let j = 0; j < slope.length; j++) {
    square += slope[j]! ** 2;
    bend += slope[j]! ** 2 * (model.scale * norms[j]! + model.damping);
  }
  return bend > 0 ? square / bend : Number.POSITIVE_INFINITY;
}
