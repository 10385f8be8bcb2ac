/** Peak memory, of processes that do one thing each. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { HugeSolve } from "./huge-solve.ts";
import { decimals, percent, printLine, printTable } from "./print.ts";

/** One stage of 1000 factored rows, as in the section "objective". */
const factoredSolve = [
  "--stages=1",
  "--curvature=empirical-fisher",
  "--examples=1000",
  "--ridge=1e-4",
  "--ridge-factors=1",
  "--no-first-order",
  "--no-line-search",
];

/** The command line on MLPNet: the data alone, a solve with factored rows, and everything by default. */
export async function runMemory(spec: { model: string; sparsities: readonly number[] }): Promise<void> {
  const main = bench("../dist/main.js");
  const shared = [spec.model, "--arch=mlpnet", "--data=mnist", "--quiet"];
  const rows: string[][] = [];
  const measure = async (what: string, args: readonly string[]): Promise<void> => {
    const { peak } = await nodeRun([main, ...args], { quiet: true });
    rows.push([what, (peak / 1e6).toFixed(0)]);
  };
  const folder = mkdtempSync(join(tmpdir(), "secateur-bench-"));
  try {
    await measure("eval: Node, the network, all of MNIST", ["eval", ...shared]);
    for (const sparsity of spec.sparsities) {
      const prune = ["prune", ...shared, `--sparsity=${sparsity}`, `--out=${join(folder, "pruned.safetensors")}`];
      await measure(`prune ${sparsity}, 1000 factored rows`, [...prune, "--force", ...factoredSolve]);
      await measure(`prune ${sparsity}, defaults`, [...prune, "--force"]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  printLine("peak resident memory of a whole process of the command line");
  printTable(["process", "MB"], rows);
}

/** A problem with 100 dense rows that fill most of the machine. */
export async function runHuge(spec: { weights: number; sparsities: readonly number[] }): Promise<void> {
  const rows: (string | undefined)[][] = [];
  for (const sparsity of spec.sparsities) {
    const { output, peak } = await nodeRun([bench("./huge-solve.ts"), `${spec.weights}`, `${sparsity}`]);
    const run = JSON.parse(output) as HugeSolve;
    const { objective, lowerBound } = run;
    rows.push([
      `${sparsity}`,
      `${run.kept}`,
      objective.toPrecision(8),
      lowerBound?.toPrecision(8),
      lowerBound === null ? undefined : percent((objective - lowerBound) / objective, 5),
      decimals(run.makeSeconds, 1),
      decimals(run.viewSeconds, 1),
      decimals(run.solveSeconds, 1),
      `${run.iterations}`,
      `${run.swaps}`,
      decimals(run.rowBytes / 1e9, 3),
      decimals(peak / 1e9, 3),
      decimals(peak / run.rowBytes, 3),
    ]);
  }
  printLine(`${spec.weights} weights, 100 dense rows in f32; peak: resident memory of the whole process`);
  printTable(
    [
      ...["sparsity", "kept", "objective", "lower bound", "gap", "make s", "check s", "solve s"],
      ...["iterations", "swaps", "rows GB", "peak GB", "peak/rows"],
    ],
    rows,
  );
}

function bench(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

/** Runs Node to its end; returns what it printed and its peak memory in bytes. What it says on standard error is shown. */
export async function nodeRun(
  args: readonly string[],
  { quiet = false }: { quiet?: boolean } = {},
): Promise<{ output: string; peak: number }> {
  const preload = new URL("./peak-at-exit.mjs", import.meta.url).href;
  const child = spawn(process.execPath, ["--import", preload, ...args], {
    stdio: ["ignore", "pipe", quiet ? "ignore" : "inherit", "pipe"],
  });
  const closed = once(child, "close");
  const [output, peak] = await Promise.all([text(child.stdout!), text(child.stdio[3] as Readable)]);
  const [code, signal] = (await closed) as [number | null, string | null];
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${signal ?? `code ${code}`}`);
  return { output, peak: Number(peak) };
}
