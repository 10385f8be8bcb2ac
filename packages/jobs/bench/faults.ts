/**
 * Workers killed at random moments over a plan, and the server restarted: `node packages/jobs/bench/faults.ts [--kills 100] [--jobs 200] [--ms 300] [--workers 4]
 * [--restarts 2] [--seed 1] [--late 150] [--disk FOLDER]`. Beside them are a worker of another version and one without the package that jobs need, and whoever waits reads the store so many ms late. Where FOLDER is
 * the root of a small disk (mount -t tmpfs -o size=8m tmpfs FOLDER), the store is there, and the disk is full for five seconds in the middle. Says whether every job has the result that it has without faults, and what the faults cost in time.
 */
import type { ChildProcess } from "node:child_process";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createRng } from "@secateur/core";
import { findRecord, onQueue, parseQueueAddress, readResult, runPlan, type Store } from "@secateur/jobs";
import { benchServer, benchStore, benchWorker, busyJobs } from "./bench-server.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "100" },
    jobs: { type: "string", default: "200" },
    ms: { type: "string", default: "300" },
    workers: { type: "string", default: "4" },
    restarts: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
    late: { type: "string", default: "150" },
    disk: { type: "string" },
  },
});
const [kills, count, ms, width, restarts] = [values.kills, values.jobs, values.ms, values.workers, values.restarts].map(
  Number,
) as [number, number, number, number, number];
const signal = new AbortController().signal;
const rng = createRng(Number(values.seed));
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const server = await benchServer("--appendonly", "yes");
const store = await benchStore(values.disk);
const late = async <T>(work: Promise<T>): Promise<T> => {
  await sleep(Number(values.late));
  return await work;
};
const lateStore: Store = { ...store, read: (name) => late(store.read(name)), get: (hash) => late(store.get(hash)) };
const jobs = busyJobs(count, ms);
const workers: (ChildProcess | undefined)[] = await Promise.all(
  Array.from({ length: width }, () => benchWorker(server.url, store)),
);
const strangers = await Promise.all([benchWorker(server.url, store, "2"), benchWorker(server.url, store, "none")]);
let notes = 0;
const executor = await onQueue({
  ...{ address: parseQueueAddress(server.url), store: lateStore, cwd: process.cwd(), signal },
  onEvent: (event) => {
    if (event.type === "note") notes += 1;
  },
});
let isOver = false;
let [killed, restarted] = [0, 0];
const started = performance.now();
const done = runPlan({ jobs, store: lateStore, executor, signal }).finally(() => {
  isOver = true;
});
let filling: Promise<void> | undefined;
// Kills are spread over about as long as the plan takes: each costs a worker its start and a job its lock.
while (!isOver && killed < kills) {
  await sleep(200 + 1000 * rng.next());
  const place = Math.floor(rng.next() * width);
  const victim = workers[place];
  if (!victim) continue; // its successor is on its way
  victim.kill("SIGKILL");
  killed += 1;
  workers[place] = undefined;
  void benchWorker(server.url, store).then((worker) => {
    workers[place] = worker;
  });
  if (values.disk !== undefined && killed >= kills / 2) filling ??= fillDisk(join(values.disk, "ballast"));
  if (restarted < restarts && killed >= ((restarted + 1) * kills) / (restarts + 1)) {
    await server.stop(restarted % 2 === 0 ? "SIGTERM" : "SIGKILL");
    await sleep(500);
    await server.start();
    restarted += 1;
    say(`${((performance.now() - started) / 1000).toFixed(1)} s: the server was restarted after ${killed} kills`);
  }
}
const outcomes = await done;
await filling;
const seconds = (performance.now() - started) / 1000;
let wrong = 0;
for (const { id, content } of jobs) {
  const record = await findRecord(store, id);
  const expected = expectedOf((content.settings as { value: number }).value);
  if (!record || (await readResult(store, id, record)) !== expected) wrong += 1;
}
const states = outcomes.map(({ state }) => state);
const records = (await store.list("results")).length;
say(
  `${count} jobs of ${ms} ms, ${width} workers: ${killed} killed, the server restarted ${restarted} times, ${notes} notes`,
);
say(
  `${states.filter((state) => state === "finished").length} finished, ${states.filter((state) => state !== "finished").length} not; ${records} results, ${wrong} wrong`,
);
say(`${seconds.toFixed(1)} s; computing alone on ${width} workers ${((count * ms) / width / 1000).toFixed(1)} s`);
await executor.close();
while (workers.includes(undefined)) await sleep(50);
for (const one of [...workers, ...strangers]) one!.kill("SIGKILL");
await server.stop("SIGKILL");
process.exit(wrong === 0 && records === count ? 0 : 1);

/** Takes what is left of the disk, for five seconds. */
async function fillDisk(path: string): Promise<void> {
  let wrote = 0;
  const file = await open(path, "w");
  try {
    for (const piece = Buffer.alloc(2 ** 12); ; wrote += piece.length) await file.write(piece);
  } catch {
    say(`${((performance.now() - started) / 1000).toFixed(1)} s: the store's disk is full (${wrote} bytes of ballast)`);
  }
  await file.close();
  await sleep(5000);
  await rm(path);
}

/** What the kind gives, computed here once more. */
function expectedOf(value: number): number {
  let sum = value;
  for (let step = 0; step < ms; step++) sum = (sum * 1103515245 + 12345) % 2147483648;
  return sum;
}
