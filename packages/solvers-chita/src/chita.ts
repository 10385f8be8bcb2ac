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
  isPruneError,
  matrix,
  type Problem,
  type RunContext,
  type Selector,
  type Solution,
  type Solver,
  type Vec,
  zeros,
} from "@secateur/core";
import {
  overRows,
  type QuadraticModel,
  type RefitOptions,
  refit,
  withPrunedModel,
  withResidentRows,
  withScratch,
} from "@secateur/core/linalg";
import { chitaDefaults } from "./chita-defaults.ts";
import { overflow } from "./errors.ts";
import { shrinkPath } from "./path/shrink-path.ts";
import { chitaPlan } from "./plan.ts";
import { bestSupport, squares } from "./refit/project.ts";
import { solutionFrom } from "./refit/solution.ts";
import { exchange } from "./relaxation/exchange.ts";
import { reduceRows } from "./relaxation/reduce-rows.ts";
import { type Relaxation, solveRelaxation } from "./relaxation/relaxation.ts";
import { rowModel } from "./relaxation/row-model.ts";
import {
  factorizeRows,
  hasRowGram,
  type RowSpace,
  type RowSpaceModel,
  rowSpace,
  writeFullGram,
} from "./relaxation/row-space.ts";
import { chitaWork } from "./work.ts";

/** Settings of {@link chita}; what is left out stands in `chitaDefaults`, and in `secateur explain chita`. */
export interface ChitaOptions {
  /** Largest number of rows (after reduction to the number of weights) for the row-space method. */
  readonly maxRows?: number | undefined;
  /** Iterations on the relaxation, >= 1. */
  readonly iterations?: number | undefined;
  /** Swap-pool members of each kind; 0 = no swaps. */
  readonly pool?: number | undefined;
  /** Rounds of swaps. */
  readonly rounds?: number | undefined;
}

/** Conjugate-gradient steps after the swaps: their weights are the minimiser but for rounding. */
const polishIterations = 4;

/**
 * The best CHITA this package knows.
 *
 * stats: `lowerBound` on Q over all supports (up to the rounding of the weights' dtype), `gap` (relative to the larger of
 * bound and objective), `iterations`, `swaps`.
 * Time: n^2 p for the row Gram (n^2 (in + out) a layer with factored rows), some 20 to 50 products with G, n^3 / 3 for up to
 * five Cholesky factorisations. Memory: three n x n matrices in f64.
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
  if (columns.length === model.dim) return solveRows({ problem, model, keep, columns, options }, ctx);
  return withPrunedModel(model, columns, (inner) =>
    // A model with columns has the row Gram of any of them.
    solveRows({ problem, model: inner as RowSpaceModel, keep, columns, options }, ctx),
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
  /** Over the eligible columns. */
  readonly model: RowSpaceModel;
  readonly keep: number;
  /** Places of the model's weights in the problem. */
  readonly columns: Uint32Array;
  readonly options: ChitaOptions;
}

async function solveRows(task: RowsTask, ctx: RunContext): Promise<Solution> {
  const { problem, columns, keep, options } = task;
  const model = await reduceRows(task.model);
  const everything = columns.length <= keep;
  const found = everything || keep === 0 ? trivial(model, keep) : await search({ model, keep, options }, ctx);
  const w = zeros(problem.w.cols, model.dtype);
  const mask = new Uint8Array(problem.w.cols);
  const polished = await polish(task.model, found, ctx);
  found.columns.forEach((j, s) => {
    w[columns[j]!] = polished[s]!;
    mask[columns[j]!] = 1;
  });
  const { iterations, swaps, lowerBound, trace } = found;
  const parts = { w, mask, status: "converged", stats: { iterations, swaps }, trace } as const;
  const solution = { ...(await solutionFrom(problem, parts)), method: "row space" };
  if (!Number.isFinite(lowerBound)) return solution;
  const largest = Math.max(Math.abs(solution.objective), Math.abs(lowerBound));
  const gap = largest === 0 ? 0 : (solution.objective - lowerBound) / largest;
  return { ...solution, stats: { ...solution.stats, lowerBound, gap } };
}

interface Found {
  /** In the model, ascending. */
  readonly columns: Uint32Array;
  /** [p] */
  readonly w: Vec;
  /** How to get from w to the exact minimiser on the columns. */
  readonly polish: RefitOptions;
  readonly iterations: number;
  readonly swaps: number;
  readonly lowerBound: number;
  readonly trace: readonly number[];
}

/** k = 0, or all weights kept: nothing to choose. */
function trivial(model: QuadraticModel, keep: number): Found {
  const columns = Uint32Array.from({ length: keep === 0 ? 0 : model.dim }, (_, j) => j);
  const w = keep === 0 ? zeros(model.dim, model.dtype) : model.w0;
  return { columns, w, polish: {}, iterations: 0, swaps: 0, lowerBound: Number.NEGATIVE_INFINITY, trace: [] };
}

/** Floors on the damping, see {@link rowSpace}: rounding of an f32 Gram matrix may leave a system with the lowest singular. */
const dampingFloors = [1e-8, 1e-6, 1e-4];

async function search(task: SearchTask, ctx: RunContext): Promise<Found> {
  for (const floor of dampingFloors.slice(0, -1)) {
    try {
      return await searchIn(await rowSpace(task.model, floor), task, ctx);
    } catch (error) {
      if (!isPruneError(error) || error.code !== "ERR_SINGULAR") throw error;
    }
  }
  return searchIn(await rowSpace(task.model, dampingFloors.at(-1)!), task, ctx);
}

interface SearchTask {
  readonly model: RowSpaceModel;
  readonly keep: number;
  readonly options: ChitaOptions;
}

async function searchIn(space: RowSpace, { model, keep, options }: SearchTask, ctx: RunContext): Promise<Found> {
  const { pool = chitaDefaults.pool, rounds = chitaDefaults.rounds } = options;
  const { candidates, iterations, lowerBound: bound } = await relax(space, { model, keep, options }, ctx);
  // Bound and weights with raised damping are those of another Q.
  const isRaised = space.lambda > model.damping;
  const lowerBound = isRaised ? Number.NEGATIVE_INFINITY : bound;
  const columns = model.kernels.largest(candidates.map(Math.abs), keep);
  if (pool === 0 || rounds === 0) {
    const w = zeros(model.dim, model.dtype);
    for (const j of columns) w[j] = candidates[j]!;
    return { columns, w, polish: {}, trace: [], iterations, swaps: 0, lowerBound };
  }
  const exchanged = await exchange({ space, columns, candidates, pool, maxRounds: rounds }, ctx);
  // g / lambda cancels where the damping is small: with a slope the weights need more than a polish.
  const isClose = !isRaised && !model.gradient;
  const polish: RefitOptions = { form: "cg", ...(isClose ? { maxIterations: polishIterations } : {}) };
  return { ...exchanged, polish, iterations, lowerBound };
}

function relax(space: RowSpace, { keep, options }: SearchTask, ctx: RunContext): Promise<Relaxation> {
  const { rows, kernels } = space;
  return withScratch(kernels, async (alloc) => {
    const preconditioner = matrix(rows, rows, alloc(rows * rows, "f64"));
    await writeFullGram(space, preconditioner);
    factorizeRows(space, preconditioner);
    return solveRelaxation(
      { space, k: keep, preconditioner, maxIterations: options.iterations ?? chitaDefaults.iterations },
      ctx,
    );
  });
}

/** Exact weights on the support, [columns.length]. */
function polish(model: QuadraticModel, { columns, w, polish: options }: Found, ctx: RunContext): Promise<Vec> {
  return withPrunedModel(model, columns, async (inner) => {
    const start = inner.w0.map((dense, s) => w[columns[s]!]! - dense);
    const { d } = await refit(inner, { ...options, start }, ctx);
    return inner.w0.map((dense, s) => dense + d[s]!);
  });
}
