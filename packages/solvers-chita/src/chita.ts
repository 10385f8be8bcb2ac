/**
 * The default: min Q(w) over at most k non-zero weights, near-optimal with a certificate.
 *   1. relaxation.ts: the dual of the perspective relaxation gives a lower bound and a support to round to;
 *   2. exchange.ts: exact swaps around it, and the exact ridge minimiser on what they end at;
 *   3. refit.ts: a few conjugate-gradient steps take out the rounding of the n x n systems.
 * Invented here, on CHITA's reformulation (Benbaki et al. 2023, section 3.1): everything happens in the space of the n
 * gradient rows. Feasible sets other than "any k weights", and more rows than an n x n system is worth, are solved by
 * active-set IHT (iht.ts) and the exact re-fit on its support.
 */
import { isPruneError, type Problem, type RunContext, type Solution, type Solver, type Vec } from "@secateur/core";
import { singularRefit } from "./errors.ts";
import { type ExchangeOptions, exchange } from "./exchange.ts";
import { chitaPlan } from "./plan.ts";
import { reduceRows } from "./reduce-rows.ts";
import { type RefitOptions, refit } from "./refit.ts";
import { type RelaxationOptions, solveRelaxation } from "./relaxation.ts";
import { type RowModel, restrict, rowModel, vector } from "./row-model.ts";
import { fullGram, type RowSpace, rowSpace } from "./row-space.ts";
import { shrinkPath } from "./shrink-path.ts";
import { solutionFrom } from "./solution.ts";

/** Settings of {@link chita}. */
export interface ChitaOptions {
  /** Largest number of rows (after reduction to the number of weights) for the row-space method; default 2048. */
  readonly maxRows?: number | undefined;
  /** Iterations on the relaxation, >= 1; default 20. */
  readonly iterations?: number | undefined;
  /** Swap-pool members of each kind; 0 = no swaps. Default 64. */
  readonly pool?: number | undefined;
  /** Rounds of swaps; default 4. */
  readonly rounds?: number | undefined;
}

/** Conjugate-gradient steps after the swaps: their weights are the minimiser but for rounding. */
const polishIterations = 4;

/**
 * The best CHITA this package knows.
 *
 * stats: `lowerBound` (on Q over all supports), `gap` (relative to the objective), `iterations`, `swaps`.
 * Time: n^2 p for the row Gram (n^2 (in + out) a layer with factored rows), some 20 to 50 products with G, n^3 / 3 for up to
 * five Cholesky factorisations. Memory: three n x n matrices in f64.
 *
 * @example
 * const result = await prune({ model, data, curvature: empiricalFisher(), solver: chita(), sparsity: 0.9 });
 */
export function chita(options: ChitaOptions = {}): Solver {
  return {
    needs: { curvature: ["factor"] },
    plan: chitaPlan,
    async solve(problem, ctx) {
      const { units, constraint } = problem;
      const model = rowModel(problem, ctx.kernels);
      const rows = Math.min(model.rows, model.size);
      const meets = model.rowGram && model.gather && rows <= (options.maxRows ?? 2048);
      if (!constraint.count || !units.perWeight || !meets) return shrinkPath(problem, ctx);
      const { keep, eligible } = constraint.count;
      const columns = eligibleColumns(model, eligible);
      if (columns.length === model.size) return solveRows({ problem, model, keep, columns, options }, ctx);
      const { model: inner, release } = await restrict(model, columns);
      try {
        return await solveRows({ problem, model: inner, keep, columns, options }, ctx);
      } finally {
        release();
      }
    },
  };
}

function eligibleColumns(model: RowModel, eligible: Uint8Array | undefined): Uint32Array {
  const all = Uint32Array.from({ length: model.size }, (_, j) => j);
  return eligible ? all.filter((j) => eligible[j] === 1) : all;
}

interface RowsTask {
  readonly problem: Problem;
  /** Over the eligible columns. */
  readonly model: RowModel;
  readonly keep: number;
  /** Places of the model's weights in the problem. */
  readonly columns: Uint32Array;
  readonly options: ChitaOptions;
}

async function solveRows(task: RowsTask, ctx: RunContext): Promise<Solution> {
  const { problem, columns, keep, options } = task;
  const model = await reduceRows(task.model);
  const everything = columns.length <= keep;
  const found = everything || keep === 0 ? trivial(model, keep) : await search(model, keep, options, ctx);
  const w = vector(problem.w.cols, model.dtype);
  const mask = new Uint8Array(problem.w.cols);
  const polished = await polish(task.model, found);
  found.columns.forEach((j, s) => {
    w[columns[j]!] = polished[s]!;
    mask[columns[j]!] = 1;
  });
  const { iterations, swaps, lowerBound, trace } = found;
  const solution = await solutionFrom(problem, { w, mask, status: "converged", stats: { iterations, swaps }, trace });
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
function trivial(model: RowModel, keep: number): Found {
  const columns = Uint32Array.from({ length: keep === 0 ? 0 : model.size }, (_, j) => j);
  const w = keep === 0 ? vector(model.size, model.dtype) : model.w0;
  return { columns, w, polish: {}, iterations: 0, swaps: 0, lowerBound: Number.NEGATIVE_INFINITY, trace: [] };
}

/** Floors on the damping, see {@link rowSpace}: rounding of an f32 Gram matrix may leave a system with the lowest singular. */
const dampingFloors = [1e-8, 1e-6, 1e-4];

async function search(model: RowModel, keep: number, options: ChitaOptions, ctx: RunContext): Promise<Found> {
  for (const floor of dampingFloors.slice(0, -1)) {
    try {
      return await searchIn(await rowSpace(model, floor), keep, options, ctx);
    } catch (error) {
      if (!isPruneError(error) || error.code !== "ERR_SINGULAR") throw error;
    }
  }
  return searchIn(await rowSpace(model, dampingFloors.at(-1)!), keep, options, ctx);
}

async function searchIn(space: RowSpace, keep: number, options: ChitaOptions, ctx: RunContext): Promise<Found> {
  const { kernels, model } = space;
  const preconditioner = await fullGram(space);
  const pivot = kernels.cholesky(preconditioner);
  if (pivot >= 0) throw singularRefit(pivot, model.damping);
  const limits: RelaxationOptions = { maxIterations: options.iterations ?? 20 };
  const relaxation = await solveRelaxation({ space, k: keep, preconditioner, ...limits }, ctx);
  kernels.free(preconditioner.data);
  const { wanted, iterations } = relaxation;
  // Bound and weights with raised damping are those of another Q.
  const isRaised = space.lambda > model.damping;
  const lowerBound = isRaised ? Number.NEGATIVE_INFINITY : relaxation.lowerBound;
  const columns = kernels.largest(wanted.map(Math.abs), keep);
  const { pool = 64, rounds = 4 } = options;
  const exchanging: ExchangeOptions = { pool, maxRounds: rounds };
  if (pool === 0 || rounds === 0)
    return { ...(await rounded(space, columns, wanted)), iterations, swaps: 0, lowerBound };
  const exchanged = await exchange({ space, columns, wanted, ...exchanging }, ctx);
  const polish: RefitOptions = { form: "cg", ...(isRaised ? {} : { maxIterations: polishIterations }) };
  return { ...exchanged, polish, iterations, lowerBound };
}

/** The support as it is, with its wanted weights: the polish makes them exact. */
async function rounded(
  space: RowSpace,
  columns: Uint32Array,
  wanted: Vec,
): Promise<Pick<Found, "columns" | "w" | "polish" | "trace">> {
  const w = vector(space.size, space.model.dtype);
  for (const j of columns) w[j] = wanted[j]!;
  return { columns, w, polish: {}, trace: [] };
}

/** Exact weights on the support: from the found ones a few steps suffice. Returns [columns.length]. */
async function polish(model: RowModel, { columns, w, polish: options }: Found): Promise<Vec> {
  const { model: inner, release } = await restrict(model, columns);
  const start = inner.w0.map((dense, s) => w[columns[s]!]! - dense);
  const { d } = await refit(inner, { ...options, start });
  release();
  return inner.w0.map((dense, s) => dense + d[s]!);
}
