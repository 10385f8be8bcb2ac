/**
 * Q(w) = sum over rows of 1/2 d'Hd + g'd, d = w - w0, in f64 from the products on: optima are often a thousandth of the
 * terms they are made of. With a factor view 1/2 d'Hd = scale/2 ||G d||^2 + damping/2 ||d||^2, a sum of squares that
 * cannot cancel.
 */
import { keptPlaces } from "../budget/units.ts";
import type { FactorView } from "./curvature.ts";
import { type Mat, matrix } from "./matrix.ts";
import type { Problem } from "./problem.ts";

/** The objective of weights `w` [rows, cols] for a problem. One product with G (or with H) per row, or the curvature's `energy` of all rows. */
export async function objective(problem: Problem, w: Mat): Promise<number> {
  const { rows, cols } = problem.w;
  const { energy, factor } = problem.curvature;
  if (energy && !factor) {
    const D = matrix(rows, cols, new Float64Array(rows * cols));
    let linear = 0;
    for (let i = 0; i < D.data.length; i++) {
      const change = w.data[i]! - problem.w.data[i]!;
      D.data[i] = change;
      if (problem.gradient) linear += problem.gradient.data[i]! * change;
    }
    return (await energy(D)) + linear;
  }
  const displacement = new Float64Array(cols);
  let total = 0;
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < cols; j++) displacement[j] = w.data[r * cols + j]! - problem.w.data[r * cols + j]!;
    total += await quadratic(problem, displacement);
    if (problem.gradient) {
      for (let j = 0; j < cols; j++) total += problem.gradient.data[r * cols + j]! * displacement[j]!;
    }
  }
  return total;
}

/** 1/2 d'Hd for one row. */
async function quadratic(problem: Problem, d: Float64Array): Promise<number> {
  const view = problem.curvature.factor?.();
  if (view) {
    const product = new Float64Array(view.rows);
    await timesWhereMoved(view, d, product);
    return 0.5 * (view.scale * sumSquares(product) + view.damping * sumSquares(d));
  }
  const product = new Float64Array(d.length);
  await problem.curvature.apply(d, product);
  let sum = 0;
  for (let j = 0; j < d.length; j++) sum += d[j]! * product[j]!;
  return 0.5 * sum;
}

/** Below this share of weights that moved, a view over those alone is worth setting up. */
const fewMoved = 0.3;

/** out = G d */
async function timesWhereMoved(view: FactorView, d: Float64Array, out: Float64Array): Promise<void> {
  const moved = keptPlaces(d);
  if (!view.restricted || moved.length > fewMoved * d.length) return view.times(d, out);
  const inner = view.restricted(moved);
  try {
    await inner.times(
      Float64Array.from(moved, (j) => d[j]!),
      out,
    );
  } finally {
    inner.release();
  }
}

function sumSquares(x: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * x[i]!;
  return sum;
}
