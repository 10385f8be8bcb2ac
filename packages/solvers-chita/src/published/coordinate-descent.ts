/**
 * Cyclic coordinate descent on a fixed support (CHITA's "CD", Benbaki et al. 2023): with S_j = scale ||G_j||^2 + damping,
 *   d_j -= (scale G_j'(G d + offset) + damping d_j + g_j) / S_j
 * for j in ascending order, sweep after sweep; converges to the exact re-fit (refit.ts). The public code computes its
 * residual from the dense weights, which leaves every weight where it is when there is no first-order term;
 * `residual: "published"` repeats that, to reproduce tables.
 */

import { type Mat, matrix, type RunContext, type Vec, zeros } from "@secateur/core";
import { hasColumns, type QuadraticModel, valueAt } from "@secateur/core/linalg";
import { needsColumns } from "../errors.ts";
import { publishedDefaults } from "./published-defaults.ts";

/** Limits of coordinate descent. */
export interface CoordinateDescentOptions {
  /** Sweeps over the support, >= 0; default 1000. */
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
  const residual = new Float64Array(rows);
  if (model.offset && which === "exact") residual.set(model.offset);
  const d = zeros(size, model.dtype);
  const trace = [valueAt(model, { d, residual })];
  let sweeps = 0;
  while (sweeps < maxSweeps) {
    for (let j = 0; j < size; j++) {
      const column = columns.data.subarray(j * rows, (j + 1) * rows);
      const { slope, norm } = along(column, residual);
      const bend = scale * norm + damping;
      if (bend === 0) continue;
      const before = d[j]!;
      d[j] = before - (scale * slope + damping * before + (model.gradient?.[j] ?? 0)) / bend;
      const step = d[j]! - before;
      for (let i = 0; i < rows; i++) residual[i]! += step * column[i]!;
    }
    sweeps++;
    const value = valueAt(model, { d, residual });
    const gain = trace[trace.length - 1]! - value;
    trace.push(value);
    await ctx.tick({ task: "solve", done: sweeps, total: maxSweeps, values: { objective: value } });
    if (gain <= tolerance * Math.abs(value)) return { d, sweeps, converged: true, trace };
  }
  return { d, sweeps, converged: false, trace };
}

function along(column: Vec, residual: Float64Array): { slope: number; norm: number } {
  let [slope, norm] = [0, 0];
  for (let i = 0; i < column.length; i++) {
    slope += column[i]! * residual[i]!;
    norm += column[i]! ** 2;
  }
  return { slope, norm };
}

/** Columns made contiguous: [size, rows]. */
function transposed({ rows, cols, data }: Mat): Mat {
  const out = matrix(cols, rows, data.slice());
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) out.data[j * rows + i] = data[i * cols + j]!;
  return out;
}
