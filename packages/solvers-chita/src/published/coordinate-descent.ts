/**
 * Cyclic coordinate descent on a fixed support (CHITA's "CD", Benbaki et al. 2023): with S_j = scale ||G_j||^2 + damping,
 *   d_j -= (scale G_j'(G d + offset) + damping d_j + g_j) / S_j
 * for j in ascending order, sweep after sweep; converges to the exact re-fit (refit.ts). The public code computes its
 * residual from the dense weights, which leaves every weight where it is when there is no first-order term;
 * `residual: "published"` repeats that, to reproduce tables. Departure: after a sweep Q is minimised exactly over the plane of its step and the step before, as
 * conjugate gradients do; the images of both are differences of residuals, so it costs no product, and where sweeps alone creep hundreds of them are saved.
 */

import { type Mat, matrix, type RunContext, type Vec, zeros } from "@secateur/core";
import { hasColumns, type QuadraticModel, valueAt } from "@secateur/core/linalg";
import { needsColumns } from "../errors.ts";
import { publishedDefaults } from "./published-defaults.ts";

/** Limits of coordinate descent. */
export interface CoordinateDescentOptions {
  /** Sweeps over the support, >= 0; default 80. */
  readonly maxSweeps?: number | undefined;
  /** Stop when a sweep lowers Q by less than this fraction of it; default 1e-7. */
  readonly tolerance?: number | undefined;
  /** Default "exact". */
  readonly residual?: "exact" | "published" | undefined;
}

/** Minimises a row model restricted to the support, from d = 0 (kept weights as they were). n * k multiply-adds a sweep, twice. */
export async function coordinateDescent(
  model: QuadraticModel,
  options: CoordinateDescentOptions,
  ctx: RunContext,
): Promise<{ d: Vec; sweeps: number; converged: boolean; trace: readonly number[] }> {
  const usual = publishedDefaults.cd;
  const { maxSweeps = usual.maxSweeps, tolerance = usual.tolerance, residual: which = usual.residual } = options;
  const { rows, dim: size, scale, damping } = model;
  if (!hasColumns(model)) throw needsColumns("coordinate descent");
  const G = matrix(rows, size, zeros(rows * size, model.dtype));
  await model.columns(
    Uint32Array.from({ length: size }, (_, j) => j),
    G,
  );
  const columns = transposed(G);
  const norms = new Float64Array(size);
  for (let j = 0; j < size; j++) {
    const column = columnOf(columns, j);
    norms[j] = inner(column, column);
  }
  const residual = new Float64Array(rows);
  if (model.offset && which === "exact") residual.set(model.offset);
  const d = zeros(size, model.dtype);
  const trace = [valueAt(model, { d, residual })];
  let sweeps = 0;
  const momentum = which === "exact" ? planeSearch(model) : undefined;
  while (sweeps < maxSweeps) {
    momentum?.before(d, residual);
    for (let j = 0; j < size; j++) {
      const bend = scale * norms[j]! + damping;
      if (bend === 0) continue;
      const column = columnOf(columns, j);
      const slope = inner(column, residual);
      const before = d[j]!;
      d[j] = before - (scale * slope + damping * before + (model.gradient?.[j] ?? 0)) / bend;
      const step = d[j]! - before;
      for (let i = 0; i < rows; i++) residual[i]! += step * column[i]!;
    }
    sweeps++;
    momentum?.after(d, residual);
    const value = valueAt(model, { d, residual });
    const gain = trace[trace.length - 1]! - value;
    trace.push(value);
    await ctx.tick({ task: "solve", done: sweeps, total: maxSweeps, values: { objective: value } });
    if (gain <= tolerance * Math.abs(value)) return { d, sweeps, converged: true, trace };
  }
  return { d, sweeps, converged: false, trace };
}

/** A step of the weights and of the residual. */
interface Step {
  readonly d: Float64Array;
  readonly residual: Float64Array;
}

/** Of the residual's length. */
const leastStep = 1e-8;

/** Lengthens each step by the least of Q over it and the step before. */
function planeSearch({ scale, damping, gradient }: QuadraticModel): {
  before(d: Vec, residual: Float64Array): void;
  after(d: Vec, residual: Float64Array): void;
} {
  let last: Step | undefined;
  let from: Step | undefined;
  const bend = (a: Step, b: Step): number => scale * inner(a.residual, b.residual) + damping * inner(a.d, b.d);
  return {
    before(d, residual) {
      from = { d: Float64Array.from(d), residual: residual.slice() };
    },
    after(d, residual) {
      const { d: d0, residual: r0 } = from!;
      const step: Step = { d: d0.map((old, j) => d[j]! - old), residual: r0.map((old, i) => residual[i]! - old) };
      const slope = (a: Step): number =>
        -(scale * inner(a.residual, residual) + damping * inner(a.d, d) + (gradient ? inner(a.d, gradient) : 0));
      const [ss, s] = [bend(step, step), slope(step)];
      // Differences of residuals this close are rounding, not images of a step.
      if (ss <= leastStep ** 2 * (scale * inner(residual, residual) + damping * inner(d, d))) {
        last = undefined;
        return;
      }
      const [sl, ll, l] = last ? [bend(step, last), bend(last, last), slope(last)] : [0, 0, 0];
      const area = ss * ll - sl * sl;
      // Steps that are nearly parallel span no plane.
      const isPlane = area > 1e-8 * ss * ll;
      const along = isPlane ? (s * ll - l * sl) / area : ss > 0 ? s / ss : 0;
      const back = isPlane ? (l * ss - s * sl) / area : 0;
      for (let j = 0; j < d.length; j++) d[j]! += along * step.d[j]! + back * (last?.d[j] ?? 0);
      for (let i = 0; i < residual.length; i++) {
        residual[i]! += along * step.residual[i]! + back * (last?.residual[i] ?? 0);
      }
      const total = (a: number, b: number | undefined): number => (1 + along) * a + back * (b ?? 0);
      last = {
        d: step.d.map((value, j) => total(value, last?.d[j])),
        residual: step.residual.map((value, i) => total(value, last?.residual[i])),
      };
    },
  };
}

function columnOf({ cols, data }: Mat, j: number): Vec {
  return data.subarray(j * cols, (j + 1) * cols);
}

/** In four sums, which do not wait for each other. */
function inner(a: Vec, b: Vec): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 3 < a.length; i += 4) {
    s0 += a[i]! * b[i]!;
    s1 += a[i + 1]! * b[i + 1]!;
    s2 += a[i + 2]! * b[i + 2]!;
    s3 += a[i + 3]! * b[i + 3]!;
  }
  for (; i < a.length; i++) s0 += a[i]! * b[i]!;
  return s0 + s1 + (s2 + s3);
}

/** Columns made contiguous: [size, rows]. */
function transposed({ rows, cols, data }: Mat): Mat {
  const out = matrix(cols, rows, data.slice());
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) out.data[j * rows + i] = data[i * cols + j]!;
  return out;
}
