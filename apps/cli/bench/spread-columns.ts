/**
 * Columns beyond one process: `solve --column-shards 4` on a queue with 1, 2 and 4 workers, each process limited to 4 GiB:
 * `node apps/cli/bench/spread-columns.ts [--size 12000000] [--rows 256] [--shards 4] [--workers 1,2,4] [--gib 4] [--sparsity 0.9] [--limit 300] [--folder DIR] [--alone]`.
 * The rows (by default 11.4 GiB in 4 files) are made once in DIR (default: a temporary folder, removed at the end; files of these sizes in DIR are taken as they are); the store is beside them, so that they are linked and
 * not copied. Says wall time, the solve's own time, the peak resident memory of every process, bytes through the queue, and whether outputs are the same bytes. `--alone` also solves
 * in one process.
 */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createRng } from "@secateur/core";
import { encodeNpy } from "@secateur/formats";
import type { SolveDocument } from "@secateur/run/node";
import { printTable } from "./print.ts";
import { main, runNode, startServer, startWorkers } from "./spread-processes.ts";

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "12000000" },
    rows: { type: "string", default: "256" },
    shards: { type: "string", default: "4" },
    workers: { type: "string", default: "1,2,4" },
    gib: { type: "string", default: "4" },
    sparsity: { type: "string", default: "0.9" },
    limit: { type: "string", default: "300" },
    folder: { type: "string" },
    alone: { type: "boolean", default: false },
  },
});
const [size, rows, shards, gib, limit] = [values.size, values.rows, values.shards, values.gib, values.limit].map(
  Number,
) as [number, number, number, number, number];
const fileCount = 4;
/** Of one process without workers, of whose limit some is for other things than rows. */
const [besideGib, mostGib] = [0.6, 3];

const started = performance.now();
const say = (text: string): void =>
  void process.stderr.write(`${((performance.now() - started) / 1000).toFixed(1)} s: ${text}\n`);
const folder = values.folder ?? (await mkdtemp(join(tmpdir(), "secateur-columns-")));
const gibibytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(2);

/** The rows in files of nearly equal width, each written by a process of its own. */
async function makeRows(): Promise<void> {
  await mkdir(join(folder, "rows"), { recursive: true });
  const script = fileURLToPath(new URL("./spread-rows.ts", import.meta.url));
  const borders = Array.from({ length: fileCount + 1 }, (_, part) => Math.floor((part * size) / fileCount));
  await Promise.all(
    Array.from({ length: fileCount }, async (_, part) => {
      const path = join(folder, "rows", `part-${part}.npy`);
      const cols = borders[part + 1]! - borders[part]!;
      const data = 4 * rows * cols;
      const there = (await stat(path).catch(() => undefined))?.size ?? 0;
      // A header of these numbers takes less than a KiB.
      if (there > data && there < data + 1024) return;
      await runNode([script, path, ...[rows, cols, size, part].map(String)], { limit });
    }),
  );
  const draw = createRng(0).fork("weights");
  const data = Float32Array.from({ length: size }, () => 0.05 * draw.normal());
  await writeFile(join(folder, "w.npy"), encodeNpy({ shape: [size], data }));
}

const out = join(folder, "out.npy");
const argv = ["solve", "--gradients", join(folder, "rows"), "--weights", join(folder, "w.npy")];
const solve = [main, ...argv, "--sparsity", values.sparsity, "--column-shards", `${shards}`, "--out", out];
const table: string[][] = [];
let expected: string | undefined;

async function measure(
  setting: string,
  more: readonly string[],
  around: () => Promise<{ peaks: readonly number[]; traffic: number; server: number }>,
): Promise<void> {
  try {
    const { seconds, stdout, peak } = await runNode(
      [...solve, ...more, "--threads", "1", "--force", "--json", "--quiet"],
      { limit },
    );
    const { peaks, traffic, server } = await around();
    const { solveMs, iterations, objective } = JSON.parse(stdout) as SolveDocument;
    const hash = createHash("sha256")
      .update(await readFile(out))
      .digest("hex");
    expected ??= hash;
    if (hash !== expected) process.exitCode = 1;
    table.push([
      ...[setting, seconds.toFixed(1), (solveMs / 1000).toFixed(1), (seconds - solveMs / 1000).toFixed(1)],
      ...[`${iterations}`, objective.toPrecision(8), gibibytes(peak), peaks.map(gibibytes).join(" ")],
      ...[gibibytes(server), `${traffic}`, hash === expected ? "same" : "OTHER"],
    ]);
  } catch (error) {
    await around().catch(() => {});
    table.push([setting, (error as Error).message]);
    process.exitCode = 1;
  }
  say(table.at(-1)!.join(" | "));
}

try {
  await makeRows();
  say(`${gibibytes(4 * rows * size)} GiB of rows in ${fileCount} files in ${folder}`);
  if (values.alone) {
    const memory = Math.min(mostGib, gib - besideGib).toFixed(2);
    await measure("one process", ["--memory", memory], async () => ({ peaks: [], traffic: 0, server: 0 }));
  }
  for (const count of values.workers.split(",").map(Number)) {
    const slots = Math.ceil(shards / count);
    const server = await startServer();
    const store = join(folder, `store-${count}`);
    const queue = ["--queue", server.url, "--store", store];
    const workers = await startWorkers(count, [...queue, "--jobs", `${slots}`, "--memory", `${gib}`]);
    const before = (await server.taken()).traffic;
    const more = [...queue, "--listen", "127.0.0.1"];
    await measure(`${count} workers of ${slots} shards`, more, async () => {
      const { traffic, peak } = await server.taken();
      return { peaks: await workers.end(), traffic: traffic - before, server: peak };
    });
    server.stop();
    await rm(store, { recursive: true, force: true });
  }
} finally {
  printTable(
    [
      ...["setting", "wall s", "solve s", "beside s", "iterations", "objective"],
      ...["command GiB", "workers GiB", "redis GiB", "queue bytes", "output"],
    ],
    table,
  );
  if (values.folder === undefined) await rm(folder, { recursive: true, force: true });
}
