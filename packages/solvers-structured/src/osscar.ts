/**
 * OSSCAR as a solver (Meng et al., ICML 2024): of a layer's inputs x, with H the mean of x x', the groups of columns to keep and the weights on them
 * that change the layer's outputs least,
 *   minimise Q(W) = sum over rows of 1/2 (w - w0)'H (w - w0) + g'(w - w0) over W whose pruned groups are 0.
 * The search is local-search.ts's; the weights are then re-fitted from H itself, as rounding grows with the number of sweeps.
 * Departure: where H is singular at working precision the smallest of a few ridges that makes it factorable is added, and not a fixed one; Q is reported without it.
 */
import {
  isPruneError,
  type Kernels,
  type Mat,
  matrix,
  objective,
  type Problem,
  type RunContext,
  type Solver,
  throwIfAborted,
  weightMask,
} from "@secateur/core";
import { addToDiagonal, diagonalOf, invertSpd, refitRows } from "@secateur/core/linalg";
import { columnGroups } from "./column-groups.ts";
import { defaults } from "./defaults.ts";
import { notFiniteCurvature, tooManyInputs } from "./errors.ts";
import { searchGroups } from "./local-search.ts";

/** Settings of {@link osscar}. */
export interface OsscarOptions {
  /** How often costs are taken again while groups go, >= 1; each time as many go as that leaves. Default 128. */
  readonly looks?: number | undefined;
  /** Exchanges of a kept group for a pruned one at most, >= 0. Default 100. */
  readonly swaps?: number | undefined;
  /** Groups of each kind that are tried in an exchange, >= 1. Default 64. */
  readonly pool?: number | undefined;
}

/** The most inputs of a layer: three matrices of 2 GiB. */
const mostInputs = 16384;
/** Ridges tried, in means of the diagonal; sums of f32 products are off by about 1e-6 of it. */
const ridges = [0, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2];

/**
 * OSSCAR, for units that own whole columns of a layer's matrix (`--units inputs` or `columns`), and for any units of one row. stats: `swaps`,
 * `relativeError` = Q / (1/2 sum over rows of w0'H w0) where there is no slope, `gained` (by the exchanges, as a share of the same), and `ridge` where one was added.
 * Time: c^3 for the inverse, c^2 + rows c for every column that goes or comes back, and pool^2 (m^3 + rows m) an exchange of groups of m columns.
 * Memory: 24 c^2 bytes.
 *
 * @throws ERR_INCOMPATIBLE for units that own parts of columns, ERR_IMPOSSIBLE (too many inputs), ERR_SINGULAR, ERR_NOT_FINITE
 * @example
 * await prune({ model, data, solver: osscar(), budget, layers: { loop: layerLoop(), curvature: activations() } });
 */
export function osscar(options: OsscarOptions = {}): Solver {
  const search = {
    looks: options.looks ?? defaults.osscar.looks,
    swaps: options.swaps ?? defaults.osscar.swaps,
    pool: options.pool ?? defaults.osscar.pool,
  };
  return {
    name: "osscar",
    needs: {},
    scope: "layers",
    async solve(problem, ctx) {
      throwIfAborted(ctx.signal);
      const { w: w0, id, units, gradient } = problem;
      const { rows, cols } = w0;
      const groups = columnGroups("osscar", problem);
      if (cols > mostInputs) throw tooManyInputs("osscar", { problem: id, found: cols, most: mostInputs });
      const { H, P, ridge } = await inverted(problem, ctx);
      if (ridge > 0) {
        const message = `${id}: H is singular at working precision; ${ridge.toExponential(2)} was added to its diagonal (more calibration examples, or damping, avoid it)`;
        ctx.report({ type: "note", level: "warn", code: "curvature-singular", message });
      }
      const dense = matrix(rows, cols, Float64Array.from(w0.data));
      const B = product(dense, H, ctx.kernels);
      const energy = 0.5 * dot(dense, B);
      if (gradient) for (let i = 0; i < B.data.length; i++) B.data[i] = B.data[i]! - gradient.data[i]!;
      // With every column free the best weights are B H^-1, and P holds minus the inverse.
      const R = gradient ? product(B, P, ctx.kernels, -1) : { ...dense, data: dense.data.slice() };
      const found = await searchGroups({ problem, groups, sweeps: { P, R }, energy, options: search }, ctx);
      const mask = found.mask;
      const what = `H of '${id}'`;
      const { w: refitted } = await refitRows(
        { H, b: B, mask: weightMask(units, mask), start: dense, tolerance: 1e-6, what, damping: ridge },
        ctx,
      );
      const w = { rows, cols, data: w0.data.slice() };
      w.data.set(refitted.data);
      const value = await objective(problem, w);
      const share = (part: number): number => (energy > 0 ? part / energy : 0);
      return {
        w,
        mask,
        objective: value,
        status: found.settled ? "converged" : "max-iterations",
        stats: {
          iterations: found.swaps,
          swaps: found.swaps,
          gained: share(found.gained),
          ...(energy > 0 && !gradient ? { relativeError: value / energy } : {}),
          ...(ridge > 0 ? { ridge } : {}),
        },
      };
    },
  };
}

/** H with the smallest ridge that makes it factorable, and minus its inverse, both f64. @throws ERR_SINGULAR, ERR_NOT_FINITE */
async function inverted(
  { curvature, id }: Problem,
  { kernels }: RunContext,
): Promise<{ readonly H: Mat; readonly P: Mat; readonly ridge: number }> {
  const { dim } = curvature;
  const H = matrix(dim, dim, new Float64Array(dim * dim));
  await writeOut(curvature, H);
  const bad = H.data.findIndex((value: number) => !Number.isFinite(value));
  if (bad >= 0) throw notFiniteCurvature("osscar", { problem: id, index: bad, value: H.data[bad]! });
  const mean = diagonalOf(H).reduce((sum, value) => sum + value, 0) / dim || 1;
  for (let attempt = 0, ridge = 0; ; attempt++) {
    const next = ridges[attempt]! * mean;
    addToDiagonal(H, next - ridge);
    ridge = next;
    const P = matrix(dim, dim, kernels.alloc(dim * dim, "f64"));
    P.data.set(H.data);
    try {
      invertSpd({ H: P, what: `H of '${id}'`, damping: ridge, kernels });
      return {
        H,
        P: matrix(
          dim,
          dim,
          Float64Array.from(P.data, (x) => -x),
        ),
        ridge,
      };
    } catch (error) {
      if (!isPruneError(error) || error.code !== "ERR_SINGULAR" || attempt === ridges.length - 1) throw error;
    } finally {
      kernels.free(P.data);
    }
  }
}

/** H [c, c], exactly symmetric. */
async function writeOut(curvature: Problem["curvature"], H: Mat): Promise<void> {
  const { cols, data } = H;
  const given = curvature.gram?.();
  if (given) data.set(given.data);
  else {
    const unit = new Float64Array(cols);
    const column = new Float64Array(cols);
    for (let j = 0; j < cols; j++) {
      unit[j] = 1;
      await curvature.apply(unit, column);
      unit[j] = 0;
      data.set(column, j * cols);
    }
  }
  for (let i = 0; i < cols; i++) {
    for (let j = 0; j < i; j++) {
      const mean = (data[i * cols + j]! + data[j * cols + i]!) / 2;
      data[i * cols + j] = mean;
      data[j * cols + i] = mean;
    }
  }
}

/** alpha A B for symmetric B, f64. */
function product(a: Mat, b: Mat, kernels: Kernels, alpha = 1): Mat {
  const out = matrix(a.rows, b.cols, new Float64Array(a.rows * b.cols));
  kernels.gemm({ a, b, out, alpha });
  return out;
}

function dot(a: Mat, b: Mat): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += a.data[i]! * b.data[i]!;
  return sum;
}
