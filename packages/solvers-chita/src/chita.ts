/**
 * The default: min Q(w) over at most k non-zero weights, near-optimal with a certificate.
 *   1. relaxation.ts: the dual of the perspective relaxation gives a lower bound and a support to round to;
 *   2. exchange.ts: exact swaps around it, and the exact ridge minimiser on what they end at;
 *   3. refit.ts: conjugate-gradient steps take out the rounding of the n x n systems.
 * Invented here, on CHITA's reformulation (Benbaki et al. 2023, section 3.1): everything happens in the space of the n
 * gradient rows. Feasible sets other than "any k weights", and more rows than an n x n system is worth, are solved along a
 * path of products (shrink-path.ts), which gives no bound.
 */
import {
  checkNumber,
  factorCurvature,
  type Problem,
  type RunContext,
  type Selector,
  type Solution,
  type Solver,
  type Vec,
  zeros,
} from "@secateur/core";
import { overRows, type QuadraticModel, refit, withPrunedModel, withResidentRows } from "@secateur/core/linalg";
import { chitaDefaults, effortFor } from "./chita-defaults.ts";
import { overflow } from "./errors.ts";
import { shrinkPath } from "./path/shrink-path.ts";
import { chitaPlan } from "./plan.ts";
import { bestSupport, squares } from "./refit/project.ts";
import { solutionFrom } from "./refit/solution.ts";
import { reduceRows } from "./relaxation/reduce-rows.ts";
import { rowModel } from "./relaxation/row-model.ts";
import { hasRowGram, type RowSpaceModel } from "./relaxation/row-space.ts";
import { type Found, searchSupport } from "./relaxation/search.ts";
import { chitaWork } from "./work.ts";

/** Settings of {@link chita}; what is left out stands in `chitaDefaults`, and in `secateur explain chita`. */
export interface ChitaOptions {
  /** Largest number of rows (after reduction to the number of weights) for the row-space method. */
  readonly maxRows?: number | undefined;
  /** Iterations on the relaxation, >= 1; default: `effortFor` the rows. */
  readonly iterations?: number | undefined;
  /** Swap-pool members of each kind; 0 = no swaps; default: `effortFor` the rows. */
  readonly pool?: number | undefined;
  /** Rounds of swaps. */
  readonly rounds?: number | undefined;
}

/**
 * The best CHITA this package knows.
 *
 * stats: `lowerBound` on Q over all supports (up to the rounding of the weights' dtype), `gap` (relative to the larger of
 * bound and objective), `iterations`, `swaps`.
 * Time: n^2 / 2 for each of max(k, 2 n) columns of dense rows (n^2 (in + out) a layer with factored rows), some ten products with G and
 * 20 to 50 with about 2 k of its columns, n^3 / 6 for each of two Cholesky factorisations. Memory: two n x n matrices in f64 and two in the dtype of the rows.
 *
 * @throws ERR_OPTION; on solve: ERR_INCOMPATIBLE, ERR_SHAPE, ERR_OVERFLOW, ERR_ABORTED
 * @example
 * const result = await prune({ model, data, curvature: empiricalFisher(), solver: chita(), sparsity: 0.9 });
 */
export function chita(options: ChitaOptions = {}): Solver {
  for (const [name, least] of [
    ["maxRows", 1],
    ["iterations", 1],
    ["pool", 0],
    ["rounds", 0],
  ] as const) {
    checkNumber("chita", name, options[name] ?? least, { least, whole: true });
  }
  return overRows({
    name: "chita",
    needs: { curvature: ["factor"] },
    plan: chitaPlan,
    work: chitaWork,
    solve: (problem, ctx) =>
      withResidentRows(rowModel(problem, ctx.kernels), (model) => solveModel({ problem, model, options }, ctx)),
  });
}

async function solveModel(
  { problem, model, options }: { problem: Problem; model: QuadraticModel; options: ChitaOptions },
  ctx: RunContext,
): Promise<Solution> {
  const { units, constraint } = problem;
  const rows = Math.min(model.rows, model.dim);
  const isSmall = rows <= (options.maxRows ?? chitaDefaults.maxRows);
  if (!constraint.count || !units.perWeight || !isSmall || !hasRowGram(model)) {
    return { ...(await shrinkPath(problem, model, ctx)), method: "path" };
  }
  const { keep, eligible } = constraint.count;
  if (isOptimal(problem, keep)) return keepAsIs(problem);
  if (!gramFits(model)) throw overflow(problem.id);
  const columns = eligibleColumns(model, eligible);
  if (columns.length === model.dim) return solveRows({ problem, resident: model, model, keep, columns, options }, ctx);
  return withPrunedModel(model, columns, (inner) =>
    // A model with columns has the row Gram of any of them.
    solveRows({ problem, resident: model, model: inner as RowSpaceModel, keep, columns, options }, ctx),
  );
}

/** Whether the weights meet the budget as they are and no slope leads away from them: then Q = 0 cannot be beaten. */
function isOptimal({ w, gradient, constraint }: Problem, keep: number): boolean {
  if (gradient) return false;
  let kept = 0;
  for (let j = 0; j < w.cols; j++) {
    if (w.data[j] === 0) continue;
    if (constraint.count?.eligible?.[j] === 0) return false;
    kept++;
  }
  return kept <= keep;
}

/** Whether no entry of the row Gram matrix, none of which is larger than its trace, overflows the model's dtype. */
function gramFits({ columnNormsSquared, dtype }: QuadraticModel): boolean {
  const trace = columnNormsSquared().reduce((sum, norm) => sum + norm, 0);
  return Number.isFinite(dtype === "f32" ? Math.fround(trace) : trace);
}

function keepAsIs(problem: Problem): Promise<Solution> {
  const { mask } = bestSupport(problem, squares(problem.w.data));
  const stats = { iterations: 0, swaps: 0, lowerBound: 0, gap: 0 };
  return solutionFrom(problem, { w: problem.w.data.slice(), mask, status: "exact", stats });
}

/** The mask of {@link chita} alone, for any updater; one stage unless a plan says otherwise. */
export function chitaSelector(options: ChitaOptions = {}): Selector {
  const { needs, solve } = chita(options);
  return { needs, select: async (problem, ctx) => (await solve(problem, ctx)).mask };
}

function eligibleColumns(model: QuadraticModel, eligible: Uint8Array | undefined): Uint32Array {
  const all = Uint32Array.from({ length: model.dim }, (_, j) => j);
  return eligible ? all.filter((j) => eligible[j] === 1) : all;
}

interface RowsTask {
  readonly problem: Problem;
  /** Over all columns. */
  readonly resident: QuadraticModel;
  /** Over the eligible columns. */
  readonly model: RowSpaceModel;
  readonly keep: number;
  /** Places of the model's weights in the problem. */
  readonly columns: Uint32Array;
  readonly options: ChitaOptions;
}

async function solveRows(task: RowsTask, ctx: RunContext): Promise<Solution> {
  const { problem, columns, keep, options } = task;
  const { rounds = chitaDefaults.rounds } = options;
  const model = await reduceRows(task.model);
  const effort = effortFor(model.rows);
  const { pool = effort.pool, iterations: most = effort.iterations } = options;
  const everything = columns.length <= keep;
  const found =
    everything || keep === 0
      ? trivial(model, keep)
      : await searchSupport({ model, keep, pool, rounds, iterations: most }, ctx);
  const w = zeros(problem.w.cols, model.dtype);
  const mask = new Uint8Array(problem.w.cols);
  const polished = await polish(task.model, found, ctx);
  found.columns.forEach((j, s) => {
    w[columns[j]!] = polished[s]!;
    mask[columns[j]!] = 1;
  });
  const { iterations, swaps, lowerBound, trace } = found;
  const parts = { w, mask, status: "converged", stats: { iterations, swaps }, trace } as const;
  // The same rows, where products are cheap.
  const posed = { ...problem, curvature: factorCurvature(task.resident) };
  const solution = { ...(await solutionFrom(posed, parts)), method: "row space" };
  if (!Number.isFinite(lowerBound)) return solution;
  const largest = Math.max(Math.abs(solution.objective), Math.abs(lowerBound));
  const gap = largest === 0 ? 0 : (solution.objective - lowerBound) / largest;
  return { ...solution, stats: { ...solution.stats, lowerBound, gap } };
}

/** k = 0, or all weights kept: nothing to choose. */
function trivial(model: QuadraticModel, keep: number): Found {
  const columns = Uint32Array.from({ length: keep === 0 ? 0 : model.dim }, (_, j) => j);
  const w = keep === 0 ? zeros(model.dim, model.dtype) : model.w0;
  return { columns, w, polish: {}, iterations: 0, swaps: 0, lowerBound: Number.NEGATIVE_INFINITY, trace: [] };
}

/** Exact weights on the support, [columns.length]. */
function polish(model: QuadraticModel, { columns, w, polish: options }: Found, ctx: RunContext): Promise<Vec> {
  return withPrunedModel(model, columns, async (inner) => {
    const start = inner.w0.map((dense, s) => w[columns[s]!]! - dense);
    const { d } = await refit(inner, { ...options, start }, ctx);
    return inner.w0.map((dense, s) => dense + d[s]!);
  });
}
