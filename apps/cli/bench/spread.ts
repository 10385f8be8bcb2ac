/**
 * A comparison of 12 runs and a layer-wise run of 40 layers on a queue with 1, 2 and 4 workers, beside the same commands in one process:
 * `node apps/cli/bench/spread.ts [--what compare,layers] [--workers 1,2,4] [--size 256]`. Says wall time, overhead a job (wall time less that of one process over the processors
 * that it had), bytes through the queue, and whether the outputs are the same bytes.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { encodeSafetensors } from "@secateur/formats";
import { createNetwork } from "@secateur/nn";
import { namedArchitecture } from "@secateur/run/node";
import { networkPath } from "./bench-network.ts";

const { values } = parseArgs({
  options: {
    what: { type: "string", default: "compare,layers" },
    workers: { type: "string", default: "1,2,4" },
    size: { type: "string", default: "256" },
  },
});
const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const folder = await mkdtemp(join(tmpdir(), "secateur-spread-"));
const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** Runs a command to its end, each on one thread of kernels. @returns seconds of wall time, and what it printed */
async function run(argv: readonly string[]): Promise<{ seconds: number; stdout: string }> {
  const started = performance.now();
  const child = spawn(process.execPath, [main, ...argv, "--threads", "1"], { stdio: ["ignore", "pipe", "inherit"] });
  let stdout = "";
  child.stdout.on("data", (piece) => {
    stdout += String(piece);
  });
  const code = await new Promise((resolve) => child.once("exit", resolve));
  if (code !== 0) throw new Error(`exit code ${code}: ${argv.join(" ")}`);
  return { seconds: (performance.now() - started) / 1000, stdout };
}

/** A redis-server of its own, and the bytes that came into it and went out. */
async function startServer(): Promise<{ url: string; traffic(): number; stop(): void }> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  const child = spawn("redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", "--save", ""], { stdio: "pipe" });
  await new Promise<void>((resolve) =>
    child.stdout.on("data", (text) => String(text).includes("Ready to accept") && resolve()),
  );
  return {
    url: `redis://127.0.0.1:${port}`,
    traffic() {
      const info = execFileSync("redis-cli", ["-p", `${port}`, "info", "stats"], { encoding: "utf8" });
      const field = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
      return field("total_net_input_bytes") + field("total_net_output_bytes");
    },
    stop: () => void child.kill("SIGKILL"),
  };
}

/** A worker that says when it is ready. */
async function worker(queue: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [main, "worker", ...queue, "--jobs", "1"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  await new Promise<void>((resolve) => {
    child.stderr.on("data", (text) => String(text).includes("ready") && resolve());
    child.once("exit", () => resolve());
  });
  return child;
}

/** A network of 40 layers, as it is initialised: what is measured does not depend on what it knows. */
async function fortyLayers(): Promise<string> {
  const arch = `mlp:784-${Array.from({ length: 39 }, () => values.size).join("-")}-10`;
  const tensors = createNetwork(namedArchitecture(arch), { seed: 3 })
    .tensors()
    .map(({ name, shape, data }) => ({ name, shape, dtype: "f32" as const, data: Float32Array.from(data) }));
  const path = join(folder, "forty.safetensors");
  await writeFile(path, encodeSafetensors({ tensors, metadata: { "secateur.architecture": arch } }));
  return path;
}

async function measure(spec: {
  name: string;
  jobs: number;
  argv: readonly string[];
  hash: (stdout: string) => Promise<string>;
}) {
  const { name, jobs, argv, hash } = spec;
  const alone = await run(argv);
  const expected = await hash(alone.stdout);
  say(`${name}: in one process ${alone.seconds.toFixed(1)} s`);
  for (const count of values.workers.split(",").map(Number)) {
    const server = await startServer();
    const store = await mkdtemp(join(folder, "store-"));
    const queue = ["--queue", server.url, "--store", join(store, "store")];
    const workers = await Promise.all(Array.from({ length: count }, () => worker(queue)));
    const before = server.traffic();
    const { seconds, stdout } = await run([...argv, ...queue]);
    const bytes = (server.traffic() - before) / jobs;
    const same = (await hash(stdout)) === expected ? "the same bytes" : "OTHER BYTES";
    const over = seconds - alone.seconds / Math.min(count, availableParallelism());
    say(
      `  ${count} workers: ${seconds.toFixed(1)} s, ${((1000 * over) / jobs).toFixed(0)} ms a job beside the work, ${bytes.toFixed(0)} bytes a job through the queue, ${same}`,
    );
    for (const one of workers) one.kill("SIGTERM");
    await Promise.all(workers.map((one) => new Promise((resolve) => one.once("exit", resolve))));
    server.stop();
  }
}

if (values.what.includes("layers")) {
  const out = join(folder, "out.safetensors");
  await measure({
    ...{ name: "layers of 40", jobs: 40 },
    argv: [
      "prune",
      await fortyLayers(),
      "--data",
      "mnist",
      "--solver",
      "layerwise",
      "--inputs",
      "parallel",
      "--layer-allocation",
      "uniform",
      ...["--sparsity", "0.7", "--calibration", "1024", "--out", out, "--force", "--quiet"],
    ],
    hash: async () =>
      createHash("sha256")
        .update(await readFile(out))
        .digest("hex"),
  });
}
if (values.what.includes("compare")) {
  const model = networkPath(undefined);
  await measure({
    ...{ name: "compare of 12 runs", jobs: 12 },
    argv: [
      "compare",
      model,
      "--data",
      "mnist",
      "--solvers",
      "magnitude,woodfisher,cbs,chita",
      "--sparsities",
      "0.5,0.8,0.9",
      "--examples",
      "500",
      "--json",
    ],
    // Times and the order of keys differ, results do not.
    hash: async (stdout) =>
      createHash("sha256")
        .update(JSON.stringify(withoutTimes(JSON.parse(stdout))))
        .digest("hex"),
  });
}

function withoutTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTimes);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !/Ms$|^(work|peakMemoryBytes|sharesGradients)$/.test(key));
  // Results of jobs have their keys in order.
  return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, withoutTimes(one)]));
}
