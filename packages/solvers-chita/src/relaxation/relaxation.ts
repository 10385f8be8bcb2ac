/**
 * A lower bound on Q over all supports of k weights, and the support it points to. In the notation of row-space.ts,
 *   max over u of  phi(u) = -1/2 ||u||^2 - u'y + lambda/2 ||w0||^2 - lambda/2 (sum of the k largest V_j(u)^2)
 * is the dual of the perspective relaxation of the cardinality constraint (Frangioni and Gentile 2006; Bertsimas and Van
 * Parys 2020): concave, n variables, never above Q + g'w0. The sum of the k largest is smoothed as in capped-selection.ts.
 * Maximised by L-BFGS preconditioned with I + A_B A_B'/lambda over some columns B (all of them: the curvature of phi when everything is kept), with a
 * line search along which V is linear, so that a step costs two products whatever the number of trial lengths.
 */

import { type Kernels, type Mat, type RunContext, type Vec, zeros } from "@secateur/core";
import { solveFactored } from "@secateur/core/linalg";
import { effortFor } from "../chita-defaults.ts";
import { cappedSelection, kthLargest } from "./capped-selection.ts";
import { candidateWeights, type RowSpace, times, transposeTimes } from "./row-space.ts";

/** Where the ascent ended. */
export interface Relaxation {
  /** V [p]: the weight each place would take; the k largest are the support to round to. */
  readonly candidates: Vec;
  /** A lower bound on Q over all supports of k weights, for the space's lambda; -Infinity when none was needed. */
  readonly lowerBound: number;
  readonly iterations: number;
  /** Where to go on from, over other columns. */
  readonly end: DualPoint;
}

/** A point of the dual, and what an ascent that comes from elsewhere brings along. */
export interface DualPoint {
  /** u [n] */
  readonly u: Float64Array;
  /** By how much the smoothed phi has grown so far; default 0. */
  readonly gained?: number;
  /** Of the smoothing; default: `smoothing` times the k-th largest V_j^2 at u. */
  readonly width?: number;
}

/** Limits of {@link solveRelaxation}. */
export interface RelaxationOptions {
  /** Default: `effortFor` the rows. */
  readonly maxIterations?: number;
  /** Stop when a step gains less than this fraction of all that was gained; default: `effortFor` the rows. */
  readonly tolerance?: number;
}

/** Width of the smoothing, relative to the k-th largest V_j^2 where the ascent begins. */
export const smoothing = 0.1;
/** Steps remembered by L-BFGS. */
const memory = 10;
/** A line search ends when the slope has fallen to this fraction of its start. */
const slopeTolerance = 0.1;

/**
 * Solves the relaxation approximately.
 *
 * @param spec.preconditioner - Cholesky factor of (an approximation of) I + A A'/lambda
 * @param spec.from - default: the dense minimiser, for which the preconditioner must be of all columns
 * @param spec.k - 1 <= k < p
 */
export async function solveRelaxation(
  spec: { space: RowSpace; k: number; preconditioner: Mat; from?: DualPoint } & RelaxationOptions,
  ctx: RunContext,
): Promise<Relaxation> {
  const { space, k, preconditioner } = spec;
  const effort = effortFor(space.rows);
  const { maxIterations = effort.iterations, tolerance = effort.leastGain } = spec;
  const { rows, size, lambda, target, model, kernels } = space;
  let u = spec.from?.u ?? (await denseOptimum(space, preconditioner));
  const V = await candidateWeights(space, u);
  const floor = kthLargest(V.map(square), k, kernels);
  // The dense optimum already has no more than k weights: nothing has to be chosen.
  if (floor <= 0) return { candidates: V, lowerBound: Number.NEGATIVE_INFINITY, iterations: 0, end: { u } };
  const width = spec.from?.width ?? smoothing * floor;
  const z = zeros(size, model.dtype);
  const energy = 0.5 * lambda * kernels.dot(model.w0, model.w0);
  const quadratic = (x: Float64Array): number => -0.5 * kernels.dot(x, x) - kernels.dot(x, target) + energy;
  const q = zeros(size, model.dtype);
  let guess = floor;
  const choose = (at: Vec): number => {
    kernels.multiply(at, at, q);
    const { threshold, value } = cappedSelection({ q, k, width, z, guess });
    guess = threshold;
    return value;
  };
  const slopeOf = async (at: Vec, x: Float64Array): Promise<Float64Array> => {
    kernels.multiply(z, at, z);
    const g = new Float64Array(rows);
    await times(space, z, g);
    for (let i = 0; i < rows; i++) g[i]! -= target[i]! + x[i]!;
    return g;
  };
  let value = quadratic(u) - 0.5 * lambda * choose(V);
  let gained = spec.from?.gained ?? 0;
  let g = await slopeOf(V, u);
  let lowerBound = boundAt(space, { V, u, k });
  const pairs: Pair[] = [];
  let iterations = 0;
  while (iterations < maxIterations) {
    const direction = ascentDirection(g, pairs, (x) => solveFactored(preconditioner, x, kernels));
    const initialSlope = kernels.dot(g, direction);
    if (!(initialSlope > 0)) break;
    const dV = zeros(size, model.dtype);
    await transposeTimes(space, direction, dV);
    for (let j = 0; j < size; j++) dV[j] = -dV[j]! / lambda;
    const linear = -kernels.dot(u, direction) - kernels.dot(target, direction);
    const bend = kernels.dot(direction, direction);
    const moved = zeros(size, model.dtype);
    const step = await lineSearch(initialSlope, (t) => {
      for (let j = 0; j < size; j++) moved[j] = V[j]! + t * dV[j]!;
      choose(moved);
      let sum = 0;
      for (let j = 0; j < size; j++) sum += z[j]! * moved[j]! * dV[j]!;
      return linear - t * bend - lambda * sum;
    });
    const next = u.slice();
    kernels.axpy(step, direction, next);
    kernels.axpy(step, dV, V);
    const nextValue = quadratic(next) - 0.5 * lambda * choose(V);
    const nextSlope = await slopeOf(V, next);
    remember(pairs, { from: { u, slope: g }, to: { u: next, slope: nextSlope }, kernels });
    [u, g] = [next, nextSlope];
    lowerBound = Math.max(lowerBound, boundAt(space, { V, u, k }));
    iterations++;
    await ctx.tick({ task: "solve", done: iterations, values: { lowerBound } });
    const gain = nextValue - value;
    value = nextValue;
    gained += gain;
    if (gain <= tolerance * gained) break;
  }
  return { candidates: V, lowerBound, iterations, end: { u, gained, width } };
}

/** The bound on Q that a u gives, with its V. */
export function boundAt(space: RowSpace, { V, u, k }: { V: Vec; u: Float64Array; k: number }): number {
  const { model, kernels, target, lambda } = space;
  const toQ = model.constant - (model.gradient ? kernels.dot(model.gradient, model.w0) : 0);
  const energy = 0.5 * lambda * kernels.dot(model.w0, model.w0);
  const value = -0.5 * kernels.dot(u, u) - kernels.dot(u, target) + energy;
  return value - 0.5 * lambda * sumOfLargest(V, k, kernels) + toQ;
}

/**
 * The u of the minimiser on some columns S, by default all: (I + A_S A_S'/lambda) u = A_S v_S - y.
 *
 * @param factor - Cholesky factor of I + A_S A_S'/lambda
 */
export async function denseOptimum(space: RowSpace, factor: Mat, columns?: Uint32Array): Promise<Float64Array> {
  const u = new Float64Array(space.rows);
  const v = columns ? zeros(space.size, space.model.dtype) : space.centre;
  for (const j of columns ?? []) v[j] = space.centre[j]!;
  await times(space, v, u);
  for (let i = 0; i < u.length; i++) u[i]! -= space.target[i]!;
  solveFactored(factor, u, space.kernels);
  return u;
}

const square = (value: number): number => value * value;

function sumOfLargest(V: Vec, k: number, kernels: Kernels): number {
  let sum = 0;
  for (const j of kernels.largest(V.map(square), k)) sum += V[j]! ** 2;
  return sum;
}

/** Where an ascent stands. */
interface Ascent {
  readonly u: Float64Array;
  /** Of phi at u. */
  readonly slope: Float64Array;
}

/** A step and what it changed. */
export interface Pair {
  readonly step: Float64Array;
  readonly change: Float64Array;
  readonly rho: number;
}

/** Keeps what the step from u to `next` did to the slope, which falls; the oldest of many is forgotten. */
export function remember(pairs: Pair[], { from, to, kernels }: { from: Ascent; to: Ascent; kernels: Kernels }): void {
  const step = to.u.map((value, i) => value - from.u[i]!);
  const change = from.slope.map((value, i) => value - to.slope[i]!);
  const curvature = kernels.dot(step, change);
  if (!(curvature > 0)) return;
  pairs.push({ step, change, rho: 1 / curvature });
  if (pairs.length > memory) pairs.shift();
}

/** L-BFGS two-loop recursion (Nocedal 1980) with the preconditioner as initial inverse Hessian. */
export function ascentDirection(
  g: Float64Array,
  pairs: readonly Pair[],
  precondition: (x: Float64Array) => void,
): Float64Array {
  const d = g.slice();
  const weights: number[] = [];
  for (const { step, change, rho } of [...pairs].reverse()) {
    const weight = rho * inner(step, d);
    weights.push(weight);
    add(d, -weight, change);
  }
  precondition(d);
  for (const { step, change, rho } of pairs) add(d, weights.pop()! - rho * inner(change, d), step);
  return d;
}

function inner(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function add(y: Float64Array, alpha: number, x: Float64Array): void {
  for (let i = 0; i < y.length; i++) y[i]! += alpha * x[i]!;
}

/** A step at which the slope has almost vanished: expansion, then the secant rule kept inside its bracket. */
export async function lineSearch(
  initialSlope: number,
  slopeAt: (t: number) => number | Promise<number>,
): Promise<number> {
  let [low, lowSlope] = [0, initialSlope];
  let high: number | undefined;
  let highSlope = 0;
  let t = 1;
  for (let trial = 0; trial < 10; trial++) {
    const slope = await slopeAt(t);
    if (Math.abs(slope) <= slopeTolerance * initialSlope) break;
    if (slope > 0) [low, lowSlope] = [t, slope];
    else [high, highSlope] = [t, slope];
    if (high === undefined) t = 2 * low;
    else {
      const margin = 0.1 * (high - low);
      const secant = low + ((high - low) * lowSlope) / (lowSlope - highSlope);
      t = Math.min(Math.max(secant, low + margin), high - margin);
    }
  }
  return t;
}
