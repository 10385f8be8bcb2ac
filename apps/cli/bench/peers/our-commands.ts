/** Whole commands as a user calls them: wall time of the process, accuracy, peak memory. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { createRng } from "@secateur/core";
import { encodeSafetensors } from "@secateur/formats";
import { networkPath, onlyCheckpoint } from "../bench-network.ts";
import { decimals, printTable, showProgress } from "../print.ts";

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
/** CIFAR-10's channels as the checkpoint's authors normalise them. */
const normalize = "0.4914,0.4822,0.4465,0.2023,0.1994,0.2010";
const inspectedBytes = 100e6;

/** Runs a command with --json; what it printed and the seconds it took. @throws where it fails, with what it said */
export async function ourCommand(args: readonly string[]): Promise<{ document: unknown; seconds: number }> {
  const started = performance.now();
  const child = spawn(process.execPath, [main, ...args, "--json", "--quiet"], { stdio: ["ignore", "pipe", "pipe"] });
  const closed = once(child, "close");
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  if (code !== 0) throw new Error(`secateur ${args[0]}: ${errors.trim()}`);
  return { document: JSON.parse(output), seconds: (performance.now() - started) / 1000 };
}

/** Prints a row for each command: the fastest of the runs. */
export async function timeCommands({ folder, runs }: { folder: string; runs: number }): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), "secateur-bench-"));
  try {
    const large = join(place, "large.safetensors");
    const data = new Float32Array(inspectedBytes / 4);
    const rng = createRng("peers");
    for (let i = 0; i < data.length; i++) data[i] = rng.next() - 0.5;
    writeFileSync(
      large,
      encodeSafetensors({ tensors: [{ name: "weight", dtype: "f32", shape: [1000, data.length / 1000], data }] }),
    );
    const mlpnet = [networkPath(folder), "--arch=mlpnet", "--data=mnist"];
    const images = [`--data=cifar10:${join(folder, "cifar10-subset")}`, `--normalize=${normalize}`];
    const resnet20 = [onlyCheckpoint(join(folder, "resnet20-cifar10"), "ResNet20"), "--arch=resnet20", ...images];
    const out = ["--force", `--out=${join(place, "pruned.safetensors")}`];
    const commands: readonly (readonly [string, readonly string[]])[] = [
      ["prune MLPNet .9", ["prune", ...mlpnet, "--sparsity=.9", ...out]],
      ["prune MLPNet .9, one stage", ["prune", ...mlpnet, "--sparsity=.9", "--stages=1", ...out]],
      ["prune ResNet20 .9, one stage", ["prune", ...resnet20, "--sparsity=.9", "--stages=1", ...out]],
    ];
    const rows: (string | undefined)[][] = [];
    for (const [name, args] of commands) {
      for (const threads of [1, 2])
        rows.push(await row(`${name}, ${threads} threads`, [...args, `--threads=${threads}`], runs));
    }
    rows.push(await row("inspect 100 MB", ["inspect", large], runs));
    rows.push(await row("inspect 100 MB, exact sizes", ["inspect", large, "--exact-sizes"], 1));
    printTable(["command", "s", "accuracy (%)", "peak MB"], rows);
  } finally {
    rmSync(place, { recursive: true });
  }
}

async function row(name: string, args: readonly string[], runs: number): Promise<(string | undefined)[]> {
  showProgress(name);
  let best = Number.POSITIVE_INFINITY;
  let last: { pruned?: { accuracy?: number }; peakMemoryBytes?: number } = {};
  for (let r = 0; r < runs; r++) {
    const { document, seconds } = await ourCommand(args);
    best = Math.min(best, seconds);
    last = document as typeof last;
  }
  const { pruned, peakMemoryBytes } = last;
  return [
    name,
    decimals(best, 2),
    decimals(pruned?.accuracy, 2),
    decimals(peakMemoryBytes && peakMemoryBytes / 1e6, 0),
  ];
}
