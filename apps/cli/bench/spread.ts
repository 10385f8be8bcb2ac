/**
 * A comparison of 12 runs and a layer-wise run of 40 layers on a queue with 1, 2 and 4 workers, beside the same commands in one process:
 * `node apps/cli/bench/spread.ts [--what compare,layers] [--workers 1,2,4] [--size 160] [--solver layerwise] [--limit 120]`. The layers are of `size` times `size` weights, but for the last, and see random data. Prints wall time, what
 * computing the jobs took and the longest of them, what is over, bytes through the queue, the peak memory of every process, and whether the outputs are the same bytes. Over is what is left of the wall time without
 * computing (over the processors that it had) and without what the command does beside jobs, which is measured in one process, where jobs are made one after the other: workers that load the program and open
 * model and data, jobs handed out and answered, and workers that have none at the end.
 */
import { createHash } from "node:crypto";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { createRng } from "@secateur/core";
import { encodeNpy, encodeSafetensors } from "@secateur/formats";
import { decodeJson, type JobRecord, openStore } from "@secateur/jobs";
import { createNetwork } from "@secateur/nn";
import { namedArchitecture } from "@secateur/run/node";
import { networkPath } from "./bench-network.ts";
import { printTable } from "./print.ts";
import { main, runNode, startServer, startWorkers, type Taken } from "./spread-processes.ts";

const { values } = parseArgs({
  options: {
    what: { type: "string", default: "compare,layers" },
    workers: { type: "string", default: "1,2,4" },
    size: { type: "string", default: "160" },
    solver: { type: "string", default: "layerwise" },
    limit: { type: "string", default: "120" },
  },
});
const folder = await mkdtemp(join(tmpdir(), "secateur-spread-"));
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);

/** Runs a command to its end, on one thread of kernels. */
async function run(argv: readonly string[]): Promise<Taken> {
  return await runNode([main, ...argv, "--threads", "1"], { limit: Number(values.limit) });
}

/** Seconds that the jobs of a store took together, and the longest. */
async function computing(place: string): Promise<{ sum: number; most: number }> {
  const store = await openStore(place, { make: false });
  let [sum, most] = [0, 0];
  for (const { name } of await store.list("results")) {
    const { ms } = decodeJson((await store.read(name))!) as unknown as JobRecord;
    sum += ms / 1000;
    most = Math.max(most, ms / 1000);
  }
  return { sum, most };
}

/** A network of 40 layers, as it is initialised, and random data: what is measured does not depend on what it knows. */
async function fortyLayers(): Promise<{ model: string; data: string }> {
  const size = Number(values.size);
  const arch = `mlp:${Array.from({ length: 40 }, () => size).join("-")}-10`;
  const tensors = createNetwork(namedArchitecture(arch), { seed: 3 })
    .tensors()
    .map(({ name, shape, data }) => ({ name, shape, dtype: "f32" as const, data: Float32Array.from(data) }));
  const model = join(folder, "forty.safetensors");
  await writeFile(model, encodeSafetensors({ tensors, metadata: { "secateur.architecture": arch } }));
  const [X, Y] = [join(folder, "X.npy"), join(folder, "Y.npy")];
  const draw = createRng(1);
  const inputs = Float32Array.from({ length: 2048 * size }, () => draw.normal());
  const labels = Float32Array.from({ length: 2048 }, () => draw.integer(10));
  await writeFile(X, encodeNpy({ shape: [2048, size], data: inputs }));
  await writeFile(Y, encodeNpy({ shape: [2048], data: labels }));
  return { model, data: `npy:${X},${Y}` };
}

const table: (string | undefined)[][] = [];

async function measure(spec: {
  name: string;
  jobs: number;
  argv: readonly string[];
  hash: (stdout: string) => Promise<string>;
}): Promise<void> {
  const { name, jobs, argv, hash } = spec;
  const place = (setting: string): string => join(folder, `${name} ${setting}`.replaceAll(" ", "-"), "store");
  const alone = await run(argv);
  const expected = await hash(alone.stdout);
  const same = async ({ stdout }: Taken): Promise<string> => ((await hash(stdout)) === expected ? "same" : "OTHER");
  table.push([`${name}, one process`, alone.seconds.toFixed(1)]);
  const apart = await run([...argv, "--workers", "1", "--store", place("alone")]);
  const { sum: computed, most: longest } = await computing(place("alone"));
  const beside = apart.seconds - computed;
  table.push([
    ...[`${name}, jobs of one process`, apart.seconds.toFixed(1), computed.toFixed(1), longest.toFixed(1)],
    ...[undefined, undefined],
    ...[mebibytes(apart.peak), undefined, await same(apart)],
  ]);
  for (const count of values.workers.split(",").map(Number)) {
    const setting = `${name}, ${count} workers`;
    const server = await startServer();
    const queue = ["--queue", server.url, "--store", place(setting)];
    const workers = await startWorkers(count, [...queue, "--jobs", "1"]);
    const before = (await server.taken()).traffic;
    try {
      const taken = await run([...argv, ...queue]);
      const bytes = ((await server.taken()).traffic - before) / jobs;
      const { sum, most } = await computing(place(setting));
      const over = taken.seconds - beside - sum / Math.min(count, availableParallelism());
      table.push([
        ...[setting, taken.seconds.toFixed(1), sum.toFixed(1), most.toFixed(1), over.toFixed(1), bytes.toFixed(0)],
        ...[mebibytes(taken.peak), (await workers.end()).map(mebibytes).join(" "), await same(taken)],
      ]);
    } catch (error) {
      await workers.end();
      table.push([setting, (error as Error).message]);
    }
    server.stop();
    say(table.at(-1)!.join(" | "));
  }
}

try {
  if (values.what.includes("layers")) {
    const out = join(folder, "out.safetensors");
    const { model, data } = await fortyLayers();
    const argv = ["prune", model, "--data", data, "--solver", values.solver, "--inputs", "parallel"];
    await measure({
      ...{ name: "layers of 40", jobs: 40 },
      argv: [
        ...[...argv, "--layer-allocation", "uniform", "--sparsity", "0.7"],
        ...["--calibration", "1024", "--out", out, "--force", "--quiet"],
      ],
      hash: async () =>
        createHash("sha256")
          .update(await readFile(out))
          .digest("hex"),
    });
  }
  if (values.what.includes("compare")) {
    // A comparison keeps its state beside the model.
    const model = join(folder, "mlpnet.safetensors");
    await copyFile(networkPath(undefined), model);
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
      // Times differ, results do not.
      hash: async (stdout) =>
        createHash("sha256")
          .update(JSON.stringify(withoutTimes(JSON.parse(stdout))))
          .digest("hex"),
    });
  }
} finally {
  printTable(
    [
      ...["setting", "wall s", "computing s", "longest s", "over s", "queue bytes a job"],
      ...["command MiB", "workers MiB", "output"],
    ],
    table,
  );
  await rm(folder, { recursive: true, force: true });
}

function withoutTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTimes);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !/Ms$|^(work|peakMemoryBytes|sharesGradients)$/.test(key));
  return Object.fromEntries(kept.map(([key, one]) => [key, withoutTimes(one)]));
}
