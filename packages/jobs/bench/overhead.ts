/**
 * What a job costs beside its work: `node packages/jobs/bench/overhead.ts [--jobs 100] [--ms 0,250] [--what process,threads,queue] [--workers 1,2,4]`. In this process, in a thread, and on a redis-server with 1, 2
 * and 4 workers; with the bytes through the queue. Times of one job are wall times over the number of jobs, less what the work takes on so many
 * processors.
 */
import { availableParallelism } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Executor, inProcess, inThreads, onQueue, parseQueueAddress, runPlan, type Store } from "@secateur/jobs";
import { benchKinds } from "./bench-kinds.ts";
import { benchServer, benchStore, benchWorker, busyJobs } from "./bench-server.ts";

const { values } = parseArgs({
  options: {
    jobs: { type: "string", default: "100" },
    ms: { type: "string", default: "0,250" },
    what: { type: "string", default: "process,threads,queue" },
    workers: { type: "string", default: "1,2,4" },
  },
});
const count = Number(values.jobs);
const signal = new AbortController().signal;
const cwd = process.cwd();

async function measure(
  name: string,
  spec: { executor: Executor; store: Store; ms: number; workers: number },
): Promise<string> {
  const { executor, store, ms, workers } = spec;
  // Threads and connections are started before the clock is.
  await runPlan({ jobs: busyJobs(4 * workers, 1), store, executor, signal });
  const jobs = busyJobs(count, ms);
  const started = performance.now();
  const outcomes = await runPlan({ jobs, store, executor, signal });
  const wall = performance.now() - started;
  if (outcomes.some(({ state }) => state !== "finished")) throw new Error("a job did not finish");
  const computing = outcomes.reduce((sum, one) => sum + ("record" in one ? one.record.ms : 0), 0);
  const waits = outcomes.map((one) => ("record" in one ? one.waitedMs : 0)).sort((a, b) => a - b);
  const alone = computing / Math.min(workers, availableParallelism());
  const line = `${name}: ${ms} ms of work: wall ${wall.toFixed(0)} ms, computing ${computing.toFixed(0)} ms, overhead ${((wall - alone) / count).toFixed(2)} ms a job, median wait ${waits[count >> 1]!.toFixed(0)} ms`;
  process.stdout.write(`${line}\n`);
  return line;
}

for (const ms of values.ms.split(",").map(Number)) {
  let store = await benchStore();
  const what = values.what.split(",");
  if (what.includes("process")) {
    await measure("in process", { executor: inProcess({ store, kinds: benchKinds }), store, ms, workers: 1 });
  }
  for (const threads of what.includes("threads") ? [1, 2] : []) {
    store = await benchStore();
    const executor = inThreads({ store, entry: new URL("./bench-thread.ts", import.meta.url), threads, cwd });
    await measure(`${threads} threads`, { executor, store, ms, workers: threads });
    await executor.close();
  }
  for (const workers of what.includes("queue") ? values.workers.split(",").map(Number) : []) {
    store = await benchStore();
    const server = await benchServer();
    const processes = await Promise.all(Array.from({ length: workers }, () => benchWorker(server.url, store)));
    const executor = await onQueue({ address: parseQueueAddress(server.url), store, cwd, signal, onEvent: () => {} });
    const before = await server.traffic();
    await measure(`queue, ${workers} workers`, { executor, store, ms, workers });
    const bytes = (await server.traffic()) - before;
    process.stdout.write(`  ${(bytes / (count + 4 * workers)).toFixed(0)} bytes a job through the queue, in and out\n`);
    await executor.close();
    for (const one of processes) one.kill("SIGTERM");
    await Promise.all(processes.map((one) => new Promise((resolve) => one.once("exit", resolve))));
    await server.stop("SIGKILL");
  }
}
process.exit();
