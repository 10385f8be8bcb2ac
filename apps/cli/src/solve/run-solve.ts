/** One run of `secateur solve` from files to a file. */
import {
  assertFinite,
  assertNeeds,
  createRunContext,
  type Dtype,
  dtypeOf,
  keepCount,
  keepOutOfRange,
  keptCount,
  matrix,
  objective,
  type Problem,
  type Solution,
  type Vec,
  weightUnits,
} from "@secateur/core";
import { denseFactor, storedCurvature } from "@secateur/fisher";
import { checkOutput, encodeNpy, writeFileAtomic } from "@secateur/formats";
import { printResult } from "../commands/print-result.ts";
import { badUsage, keepsNothing, missingFlag, overflowed } from "../errors.ts";
import { solverSettings } from "../flags/solver-flags.ts";
import type { FoundEntry, SolverEntry } from "../plugins/find-entry.ts";
import { notePlugin } from "../plugins/note-plugin.ts";
import { resolveOptions } from "../prune/prune-settings.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { assertEnding, assertNotInput } from "../run/check-places.ts";
import { type Session, type SessionFlags, withSession } from "../run/session.ts";
import type { Terminal } from "../terminal.ts";
import { formatCount, formatDuration, formatNumber, formatStats } from "../text/format.ts";
import { type ProblemArrays, readArrays } from "./read-arrays.ts";

/** The flags of `secateur solve` as commander hands them over; options of the solver come on top. */
export interface SolveFlags extends SessionFlags {
  readonly gradients?: string;
  readonly weights?: string;
  readonly sparsity?: number;
  readonly keep?: number;
  readonly ridge?: number;
  readonly firstOrder?: boolean;
  readonly option?: readonly string[];
  readonly out?: string;
  readonly force?: boolean;
}

/** What `secateur solve --json` prints. */
interface SolveDocument {
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
  /** Absolute path of the new weights, where they were written. */
  readonly out?: string;
}

const defaultRidge = 1e-4;

interface SolveCall {
  readonly flags: SolveFlags;
  readonly found: FoundEntry<SolverEntry>;
  /** Long names of the command's own flags, without those of the solver. */
  readonly ownFlags: ReadonlySet<string>;
  readonly terminal: Terminal;
}

/** Solves, writes the weights where asked to, prints the result. @throws whatever is wrong with the input, ERR_ABORTED */
export async function runSolve(call: SolveCall): Promise<void> {
  const { flags, terminal, found, ownFlags } = call;
  const pairs = flags.option ?? [];
  const { options } = solverSettings({ entry: found.entry, flags: { ...flags }, pairs, hasPlan: false, ownFlags });
  const solver = found.entry.create((await resolveOptions(found.entry, options)) as never);
  assertBudget(flags);
  const overwrite = flags.force === true;
  const out = flags.out === undefined ? undefined : absolutePath(terminal, flags.out);
  const inputs = { gradients: path(call, "gradients"), weights: path(call, "weights") };
  assertEnding({ flag: "--out", path: out }, [".npy"]);
  assertNotInput({
    outputs: [
      { flag: "--out", path: out },
      { flag: "--events", path: flags.events === undefined ? undefined : absolutePath(terminal, flags.events) },
    ],
    inputs: Object.values(inputs),
  });
  if (out !== undefined) await checkOutput(out, { overwrite });
  const arrays = await readArrays(inputs);

  const document = await withSession({ flags, terminal, overwrite }, async (session): Promise<SolveDocument> => {
    notePlugin(found, session);
    const problem = makeProblem({ arrays, flags, session });
    assertNeeds(found.entry.name, solver.needs, problem);
    const ctx = createRunContext(session);
    const started = ctx.now();
    const solution = await solver.solve(problem, ctx);
    const solveMs = ctx.now() - started;
    // Judged as written: a solver may compute in f64 what an f32 file will hold.
    const w = inDtype(solution.w.data, arrays.dtype);
    const value = await objective(problem, matrix(1, w.length, w));
    if (!Number.isFinite(value) || !w.every(Number.isFinite)) throw overflowed(found.entry.name);
    if (out !== undefined) await writeFileAtomic(out, encodeNpy({ shape: arrays.shape, data: w }), { overwrite });
    return {
      objective: value,
      nonzeros: countNonzeros(w),
      size: w.length,
      status: solution.status,
      iterations: solution.stats["iterations"] ?? 0,
      stats: solution.stats,
      solveMs,
      solver: found.entry.name,
      seed: session.seed,
      ...(out === undefined ? {} : { out }),
    };
  });
  printResult({ terminal, flags, document, text: () => solveText(document) });
}

function path({ flags, terminal }: SolveCall, flag: "gradients" | "weights"): string {
  const given = flags[flag];
  if (given === undefined)
    throw missingFlag(`--${flag}`, "give an .npy file; both --gradients and --weights are needed");
  return absolutePath(terminal, given);
}

function assertBudget({ sparsity, keep }: SolveFlags): void {
  if (sparsity === undefined && keep === undefined) {
    throw missingFlag("--sparsity", "say how far to prune: --sparsity S (fraction removed) or --keep K (weights kept)");
  }
  if (sparsity !== undefined && keep !== undefined) {
    throw badUsage("--sparsity and --keep say the same thing twice; give one of them");
  }
  if (sparsity !== undefined) keptCount(1, sparsity); // refuses a sparsity outside [0, 1)
}

function makeProblem(spec: { arrays: ProblemArrays; flags: SolveFlags; session: Session }): Problem {
  const { arrays, flags, session } = spec;
  const { kernels } = session;
  const { gradients, weights } = arrays;
  const size = weights.length;
  const keep = flags.keep ?? keptCount(size, flags.sparsity ?? 0);
  if (keep === 0 && flags.sparsity !== undefined) {
    throw keepsNothing({ where: "--sparsity", sparsity: flags.sparsity, size });
  }
  if (keep > size) throw keepOutOfRange("--keep", keep, size);
  const view = denseFactor({
    rows: gradients,
    scale: 1 / gradients.rows,
    damping: flags.ridge ?? defaultRidge,
    kernels,
  });
  return {
    id: "weights",
    w: matrix(1, size, weights),
    curvature: storedCurvature(view, kernels),
    ...(flags.firstOrder ? { gradient: matrix(1, size, meanRow(arrays)) } : {}),
    units: weightUnits(size),
    constraint: keepCount({ count: size, keep, kernels }),
  };
}

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

function countNonzeros(w: Vec): number {
  let count = 0;
  for (let j = 0; j < w.length; j++) if (w[j] !== 0) count++;
  return count;
}

function solveText(document: SolveDocument): string {
  const { solver, objective: value, nonzeros, size, status, stats, solveMs, out } = document;
  return [
    `${solver}: objective ${formatNumber(value)} with ${formatCount(nonzeros)} of ${formatCount(size)} weights\n`,
    `${status} in ${formatDuration(solveMs)}; ${formatStats(stats)}\n`,
    ...(out === undefined ? [] : [`wrote ${out}\n`]),
  ].join("");
}
