/** One pruning problem from files: of gradient rows and weights, or of a layer's H and its weights. */
import {
  assertFinite,
  assertNeeds,
  countZeros,
  createRunContext,
  type Dtype,
  dtypeOf,
  type Kernels,
  keepCount,
  keepOutOfRange,
  keptCount,
  matrix,
  objective,
  type Problem,
  type Solution,
  type Solver,
  type Vec,
  weightUnits,
  zeros,
} from "@secateur/core";
import { denseFactor, storedCurvature } from "@secateur/fisher";
import { encodeNpy, writeFileAtomic } from "@secateur/formats";
import { keepsNothing, overflowed } from "../../errors.ts";
import type { Session } from "../../session.ts";
import type { ColumnPlace } from "../columns/column-places.ts";
import { gramProblem, readLayer } from "./gram-problem.ts";
import { type ProblemArrays, readArrays } from "./read-arrays.ts";

/** What `secateur solve --json` prints. */
export interface SolveDocument {
  readonly objective: number;
  readonly nonzeros: number;
  readonly size: number;
  readonly status: Solution["status"];
  readonly iterations: number;
  /** The solver's own numbers. */
  readonly stats: Readonly<Record<string, number>>;
  readonly solveMs: number;
  readonly solver: string;
  readonly seed: number;
  /** tr((W - R) H (W - R)') / tr(W H W') with --gram. */
  readonly relativeError?: number;
  /** "columns" where chita ran over columns in shards. */
  readonly method?: string;
  /** Who held the columns then, and the most memory that its process had. */
  readonly places?: readonly ColumnPlace[];
  /** Absolute path of the new weights, where they were written. */
  readonly out?: string;
}

/** Of problems of gradient rows. */
export const defaultRidge = 1e-4;

/** What to solve. */
export interface SolveSpec {
  /** Absolute paths of .npy files: G [n, p], or H [in, in] of weights [out, in]. */
  readonly source: { readonly gradients: string } | { readonly gram: string };
  readonly weights: string;
  readonly solver: Solver;
  /** Of the solver, for messages and the document. */
  readonly name: string;
  readonly settings: SolveSettings;
  /** Absolute path of the new weights; absent: they are not written. */
  readonly out?: string | undefined;
  readonly overwrite: boolean;
  readonly session: Session;
}

/** The problem's own settings: `sparsity` or `keep` says how many weights are kept. */
export interface SolveSettings {
  readonly sparsity?: number;
  readonly keep?: number;
  /** Damping; default 1e-4 with gradients, 0 with H. */
  readonly ridge?: number;
  /** Of every `of` inputs of a row `keep` stay; with H only, instead of sparsity and keep. */
  readonly pattern?: { readonly keep: number; readonly of: number };
  /** Whether the mean gradient row is the first-order term. */
  readonly firstOrder?: boolean;
}

/** Solves, and writes the weights where asked to. @throws the file errors of formats, ERR_SHAPE, ERR_NOT_FINITE, ERR_IMPOSSIBLE, ERR_OVERFLOW, ERR_ABORTED */
export async function runSolve(spec: SolveSpec): Promise<SolveDocument> {
  const opened = await openProblem(spec);
  try {
    return await solveOpened(opened, spec);
  } finally {
    opened.release();
  }
}

async function solveOpened(
  { problem, shape, dtype, judge }: OpenedProblem,
  { name, solver, out, overwrite, session }: SolveSpec,
): Promise<SolveDocument> {
  assertNeeds(name, solver.needs, problem);
  const ctx = createRunContext(session);
  const started = ctx.now();
  const solution = await solver.solve(problem, ctx);
  const solveMs = ctx.now() - started;
  // Judged as written: a solver may compute in f64 what an f32 file will hold.
  const w = inDtype(solution.w.data, dtype);
  const value = await judge(w);
  if (!Number.isFinite(value.objective) || !w.every(Number.isFinite)) throw overflowed(name);
  if (out !== undefined) await writeFileAtomic(out, encodeNpy({ shape, data: w }), { overwrite });
  return {
    ...value,
    nonzeros: w.length - countZeros(w),
    size: w.length,
    status: solution.status,
    iterations: solution.stats["iterations"] ?? 0,
    stats: solution.stats,
    solveMs,
    solver: name,
    seed: session.seed,
    ...(out === undefined ? {} : { out }),
  };
}

/** A problem from files, and what weights of it are worth. */
interface OpenedProblem extends Pick<ProblemArrays, "shape" | "dtype"> {
  readonly problem: Problem;
  judge(w: Vec): Promise<{ objective: number; relativeError?: number }>;
  /** Gives kernel memory back. */
  release(): void;
}

async function openProblem(spec: SolveSpec): Promise<OpenedProblem> {
  const { source, weights, settings, session } = spec;
  if ("gradients" in source) {
    const { room, release } = kernelRoom(session.kernels);
    try {
      const arrays = await readArrays({ ...source, weights, room });
      const problem = makeProblem({ ...spec, arrays, where: source.gradients });
      return {
        ...{ problem, shape: arrays.shape, dtype: arrays.dtype, release },
        judge: async (w) => ({ objective: await objective(problem, matrix(1, w.length, w)) }),
      };
    } catch (error) {
      release();
      throw error;
    }
  }
  const { kernels } = session;
  const layer = await readLayer({ ...source, weights, ridge: settings.ridge ?? 0 });
  const problem = gramProblem(layer, settings, kernels);
  const { rows, cols, data } = layer.weights;
  const energy = await objective(problem, matrix(rows, cols, data.slice().fill(0)));
  return {
    ...{ problem, shape: layer.shape, dtype: layer.dtype },
    release: () => {},
    async judge(w) {
      const value = await objective(problem, matrix(rows, cols, w));
      return { objective: value, relativeError: energy > 0 ? value / energy : 0 };
    },
  };
}

function makeProblem(spec: SolveSpec & { arrays: ProblemArrays; where: string }): Problem {
  const { arrays, settings, session, where } = spec;
  const { kernels } = session;
  const { gradients, weights } = arrays;
  const size = weights.length;
  const keep = settings.keep ?? keptCount(size, settings.sparsity ?? 0);
  if (keep === 0 && settings.sparsity !== undefined) {
    throw keepsNothing({ where: "--sparsity", sparsity: settings.sparsity, size });
  }
  if (keep > size) throw keepOutOfRange("--keep", keep, size);
  const view = denseFactor({
    rows: gradients,
    scale: 1 / gradients.rows,
    damping: settings.ridge ?? defaultRidge,
    kernels,
    named: { where, remedy: "the backward pass overflowed or divided by 0: leave such rows out" },
  });
  return {
    id: "weights",
    w: matrix(1, size, weights),
    curvature: storedCurvature(view, kernels),
    ...(settings.firstOrder ? { gradient: matrix(1, size, meanRow(arrays)) } : {}),
    units: weightUnits(size),
    constraint: keepCount({ count: size, keep, kernels }),
  };
}

/** Rows are read to where products are taken of them, so that solvers need no copy of their own. Too many stay outside. */
function kernelRoom(kernels: Kernels): { room(length: number, dtype: Dtype): Vec; release(): void } {
  const taken: Vec[] = [];
  return {
    room(length, dtype) {
      if (length > mostMoved) return zeros(length, dtype);
      const own = kernels.alloc(length, dtype);
      taken.push(own);
      return own;
    },
    release: () => {
      for (const own of taken) kernels.free(own);
    },
  };
}

/** Entries of G: 256 MB in f32, 512 in f64. */
const mostMoved = 2 ** 26;

/** The mean of the gradient rows, summed in f64. */
function meanRow({ gradients: { rows, cols, data } }: ProblemArrays): Float64Array {
  const mean = new Float64Array(cols);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) mean[j] = mean[j]! + data[i * cols + j]!;
  const scaled = mean.map((sum) => sum / rows);
  assertFinite("mean gradient row", scaled, "the rows are too large to be added up");
  return scaled;
}

function inDtype(data: Vec, dtype: Dtype): Vec {
  if (dtypeOf(data) === dtype) return data;
  return dtype === "f64" ? Float64Array.from(data) : Float32Array.from(data);
}
