/** `secateur solve --column-shards N`: chita on gradient rows beyond the memory of one process. */
import { assertFinite, countZeros, keepOutOfRange, keptCount, shapeMismatch } from "@secateur/core";
import { encodeNpy, toFloat32, writeFileAtomic } from "@secateur/formats";
import { assertSolvedByColumns, type ChitaOptions, chitaByColumns } from "@secateur/solvers-chita";
import { keepsNothing, overflowed } from "../../errors.ts";
import { readFinite } from "../solve/read-arrays.ts";
import { defaultRidge, type SolveDocument, type SolveSpec } from "../solve/run-solve.ts";
import { type ColumnSettings, withColumns } from "./column-places.ts";
import { columnFiles, openNpyColumns } from "./npy-columns.ts";

/** What is solved, and where. */
export interface SolveByColumnsSpec extends Pick<SolveSpec, "weights" | "settings" | "out" | "overwrite" | "session"> {
  /** Absolute path of the rows [n, p]: an .npy file, or a folder of files whose columns stand side by side. */
  readonly gradients: string;
  /** Of chita. */
  readonly options: ChitaOptions;
  readonly columns: ColumnSettings;
}

/** Solves, and writes the weights where asked to. @throws what `runSolve` throws; ERR_INCOMPATIBLE, ERR_QUEUE, ERR_STORE, ERR_MEETING */
export async function solveByColumns(spec: SolveByColumnsSpec): Promise<SolveDocument> {
  const { settings, session, out, overwrite, options, columns } = spec;
  const tensor = await readFinite(spec.weights, "training diverged: take an earlier checkpoint");
  const weights = toFloat32(tensor);
  // What f32 does not hold is infinite there.
  assertFinite(spec.weights, weights, "solving by columns computes in f32, which these weights are too large for");
  const size = weights.length;
  const paths = await columnFiles(spec.gradients);
  const source = await openNpyColumns(paths);
  source.close();
  if (source.size !== size || size === 0) {
    throw shapeMismatch({
      where: spec.gradients,
      found: `shape [${source.rows}, ${source.size}]`,
      expected: `[n, ${size}]: one column for each of the ${size} weights in ${spec.weights}`,
    });
  }
  const damping = settings.ridge ?? defaultRidge;
  assertSolvedByColumns({ where: spec.gradients, rows: source.rows, damping, maxRows: options.maxRows });
  const keep = settings.keep ?? keptCount(size, settings.sparsity ?? 0);
  if (keep === 0 && settings.sparsity !== undefined) {
    throw keepsNothing({ where: "--sparsity", sparsity: settings.sparsity, size });
  }
  if (keep > size) throw keepOutOfRange("--keep", keep, size);
  if (source.dtype === "f64" || tensor.dtype === "f64") {
    const message = "solving by columns computes in f32 with sums in f64: numbers of f64 files are rounded";
    session.onEvent({ type: "note", level: "info", code: "columns-f32", message });
  }
  const ctx = session.context();
  // Without the time in which workers come.
  let started = 0;
  const { solved, places } = await withColumns({ ...columns, paths, session }, (shards) => {
    started = ctx.now();
    return chitaByColumns(
      {
        ...{ shards, weights, keep, rows: source.rows, scale: 1 / source.rows, kernels: session.kernels, ...options },
        ...{ damping, firstOrder: settings.firstOrder === true, where: spec.gradients },
      },
      ctx,
    );
  });
  const solveMs = ctx.now() - started;
  const { stats, status, objective } = solved;
  if (!Number.isFinite(objective) || !solved.weights.every(Number.isFinite)) throw overflowed("chita");
  const data = tensor.dtype === "f64" ? Float64Array.from(solved.weights) : solved.weights;
  if (out !== undefined) await writeFileAtomic(out, encodeNpy({ shape: tensor.shape, data }), { overwrite });
  return {
    ...{ objective, nonzeros: size - countZeros(solved.weights), size, status, iterations: stats["iterations"] ?? 0 },
    ...{ stats, solveMs, solver: "chita", seed: session.seed, method: "columns", places },
    ...(out === undefined ? {} : { out }),
  };
}
