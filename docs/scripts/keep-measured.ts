/**
 * Keeps what the pages show of a comparison: `node docs/scripts/keep-measured.ts COMPARE.json` writes
 * docs/measured/mlpnet-mnist.json from what `secateur compare --json` printed about the bundled network.
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import type { Measured } from "./measured.ts";

interface Compared {
  readonly prunable: number;
  readonly seed: number;
  readonly dense: { readonly accuracy: number };
  readonly runs: readonly { readonly solver: string; readonly sparsity: number; readonly accuracy: number }[];
}

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("give the file that 'secateur compare --json' wrote");
const { prunable, seed, dense, runs } = JSON.parse(readFileSync(file, "utf8")) as Compared;
const unique = (values: readonly (string | number)[]) => [...new Set(values)].join(",");
const measured: Measured = {
  what: `The bundled MLPNet (${prunable.toLocaleString("en-US")} weights) on MNIST, seed ${seed}`,
  command: [
    "secateur compare apps/cli/assets/mlpnet-mnist.safetensors --arch mlpnet --data mnist",
    `--solvers ${unique(runs.map(({ solver }) => solver))}`,
    `--sparsities ${unique(runs.map(({ sparsity }) => sparsity))}`,
  ].join(" "),
  dense: Number(dense.accuracy.toFixed(2)),
  runs: runs.map(({ solver, sparsity, accuracy }) => ({ solver, sparsity, accuracy: Number(accuracy.toFixed(2)) })),
};
writeFileSync(new URL("../measured/mlpnet-mnist.json", import.meta.url), `${JSON.stringify(measured, null, 2)}\n`);
