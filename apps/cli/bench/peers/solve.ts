/**
 * Solvers on the same dense gradient rows of MLPNet (n = 1000 single examples, ridge 1e-4): `secateur solve` by chita, chita.iht and chita.cd as they are by default, and the active-set
 * IHT of CHITA's authors (500 iterations, as their scripts run it). Each solve is a whole process; seconds are those of the solve alone, the best of the runs on either side.
 * Beside chita stands its limit: one read of G, and the Gram matrix of the max(k, 2 n) columns it is preconditioned with at the rate of the product kernel, one thread.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createWasmKernels } from "@secateur/backends-wasm";
import { type Kernels, type Mat, matrix } from "@secateur/core";
import { encodeNpy } from "@secateur/formats";
import { networkPath, openMnist } from "../bench-network.ts";
import { rowCount, takeRows } from "../one-shot-problem.ts";
import { decimals, printLine, printTable, showProgress } from "../print.ts";
import { ourCommand } from "./our-commands.ts";
import type { Python } from "./python.ts";

const sparsities = [0.5, 0.9, 0.98] as const;
const ridge = 1e-4;

interface Solved {
  readonly seconds: number;
  readonly objective: number;
  /** Of the certificate. */
  readonly gap?: number | undefined;
}

/** What the machine takes at least. */
interface Limits {
  readonly weights: number;
  /** Seconds of one product with G. */
  readonly read: number;
  /** Seconds of the row Gram over one column, in a product. */
  readonly column: number;
}

/** Prints seconds and n Q of each, and how many times faster ours is. */
export async function compareSolve(spec: {
  folder: string;
  runs: number;
  python: Python;
  clone: string | undefined;
}): Promise<void> {
  const { folder, runs, python, clone } = spec;
  const place = mkdtempSync(join(tmpdir(), "secateur-bench-"));
  try {
    const [rows, weights] = [join(place, "rows.npy"), join(place, "weights.npy")];
    const { weights: size, read, column } = await writeProblem({ folder, rows, weights });
    const ours = async (solver: string, sparsity: number, threads: number): Promise<Solved> => {
      showProgress(`${solver} at ${sparsity}, ${threads} threads`);
      let best: Solved | undefined;
      for (let r = 0; r < runs; r++) {
        const args = [
          "solve",
          `--gradients=${rows}`,
          `--weights=${weights}`,
          `--sparsity=${sparsity}`,
          `--ridge=${ridge}`,
        ];
        const { document } = await ourCommand([...args, `--solver=${solver}`, `--threads=${threads}`]);
        const { solveMs, objective, stats } = document as {
          solveMs: number;
          objective: number;
          stats: { gap?: number };
        };
        const found = { seconds: solveMs / 1000, objective: rowCount * objective, gap: stats.gap };
        if (!best || found.seconds < best.seconds) best = found;
      }
      return best!;
    };
    const theirs = await authors({ python, clone, rows, weights, runs });
    const table: (string | undefined)[][] = [];
    for (const sparsity of sparsities) {
      const public_ = theirs.get(sparsity);
      const [one, two] = [await ours("chita", sparsity, 1), await ours("chita", sparsity, 2)];
      const named = { "chita, 1 thread": one, "chita, 2 threads": two } as Record<string, Solved>;
      for (const solver of ["chita.iht", "chita.cd"]) named[`${solver}, 1 thread`] = await ours(solver, sparsity, 1);
      if (public_) named["the authors' active-set IHT, 1 thread"] = public_;
      const limit = read + column * Math.max(Math.floor((1 - sparsity) * size), 2 * rowCount);
      for (const [name, { seconds, objective, gap }] of Object.entries(named)) {
        const ratio = public_ && decimals(public_.seconds / seconds, 1);
        const isOurs = name.startsWith("chita,");
        table.push([
          ...[name, `${sparsity}`, decimals(seconds, 2), isOurs ? decimals(limit, 2) : undefined],
          ...[decimals(objective, 4), decimals(gap, 4), ratio],
        ]);
      }
    }
    printTable(["solver", "sparsity", "s", "limit, s", "n Q", "gap", "times faster than the authors'"], table);
    printLine(`one read of G takes ${decimals(read, 3)} s, its row Gram in products ${decimals(column * size, 2)} s`);
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** Writes the files, and measures the limits on the same rows. */
async function writeProblem(spec: { folder: string; rows: string; weights: string }): Promise<Limits> {
  const kernels = await createWasmKernels({ threads: 1 });
  try {
    const { train } = await openMnist();
    const { view, weights } = await takeRows({ model: networkPath(spec.folder), train, seed: 0, kernels });
    const dense = matrix(view.rows, view.dim, new Float32Array(view.rows * view.dim));
    await view.columns!(
      Uint32Array.from({ length: view.dim }, (_, j) => j),
      dense,
    );
    writeFileSync(spec.rows, encodeNpy({ shape: [view.rows, view.dim], data: dense.data }));
    writeFileSync(spec.weights, encodeNpy({ shape: [weights.length], data: weights }));
    return limitsOf(dense, kernels);
  } finally {
    await kernels.close();
  }
}

/** The best of five turns each. */
function limitsOf({ rows, cols, data }: Mat, kernels: Kernels): Limits {
  const G = matrix(rows, cols, kernels.alloc(data.length, "f32"));
  G.data.set(data);
  const [x, out] = [kernels.alloc(cols, "f32").fill(1), kernels.alloc(rows, "f32")];
  const few = matrix(rows, tile, kernels.alloc(rows * tile, "f32"));
  kernels.gatherColumns(
    G,
    Uint32Array.from({ length: tile }, (_, j) => j),
    few,
  );
  const gram = matrix(rows, rows, kernels.alloc(rows * rows, "f32"));
  const best = (work: () => void): number => {
    const turns = Array.from({ length: 5 }, () => {
      const started = performance.now();
      work();
      return (performance.now() - started) / 1000;
    });
    return Math.min(...turns);
  };
  const read = best(() => kernels.gemv({ a: G, x, out }));
  const column = best(() => kernels.gram({ a: few, out: gram })) / tile;
  return { weights: cols, read, column };
}

/** Columns of a product that are timed. */
const tile = 2048;

async function authors(spec: {
  python: Python;
  clone: string | undefined;
  rows: string;
  weights: string;
  runs: number;
}): Promise<ReadonlyMap<number, Solved>> {
  const { python, clone, rows, weights, runs } = spec;
  if (clone === undefined || !python.has("numpy", "numba", "sklearn")) {
    printLine("left out: the authors' solver (give --chita CLONE, and install numpy, numba and scikit-learn)");
    return new Map();
  }
  showProgress("the authors' active-set IHT");
  const lines = await python.call(["solve", clone, rows, weights, `${ridge}`, `${runs}`, ...sparsities.map(String)], 1);
  return new Map((lines as unknown as readonly (Solved & { sparsity: number })[]).map((line) => [line.sparsity, line]));
}
