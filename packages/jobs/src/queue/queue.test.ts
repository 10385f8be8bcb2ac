/** Workers on a real redis-server. Where there is none, "queue tests skipped: install redis-server" is printed. */
import { setTimeout as sleep } from "node:timers/promises";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { findRecord, readResult } from "../job/perform-job.ts";
import { testKinds } from "../kinds.test-support.ts";
import { inProcess } from "../plan/in-process.ts";
import { type Executor, type JobEvent, runPlan } from "../plan/run-plan.ts";
import type { Store } from "../store/store.ts";
import {
  freePort,
  hasRedis,
  postgresFolder,
  startPostgres,
  startRedis,
  type TestServer,
  testJob,
  testStore,
  threadEntry,
} from "../testing.test-support.ts";
import { type Message, messageName } from "./message.ts";
import { onQueue } from "./on-queue.ts";
import { parseQueueAddress } from "./queue-address.ts";
import { emptyQueue, queueStatus } from "./queue-status.ts";
import { serveQueue, type WorkerEvent, type WorkerSpec } from "./serve-queue.ts";

const signal = new AbortController().signal;
const cwd = process.cwd();
/** Waits a tenth as long as people do. */
const pace = 0.1;

/** A worker in this process, whose jobs run in threads; ends with the test. */
async function startWorker(
  server: Pick<TestServer, "url">,
  store: Store,
  more: Partial<WorkerSpec> = {},
): Promise<{ drain(): Promise<unknown>; store: Store; events: WorkerEvent[] }> {
  const stop = new AbortController();
  const events: WorkerEvent[] = [];
  let ready: () => void;
  const isReady = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const ended = serveQueue({
    ...{ address: parseQueueAddress(server.url), store, entry: threadEntry, threads: 2, cwd },
    ...{ packages: { tests: "1" }, signal: stop.signal, pace },
    onEvent(event) {
      events.push(event);
      if (event.type === "ready") ready();
    },
    ...more,
  });
  ended.catch(() => {});
  const drain = async (): Promise<unknown> => {
    stop.abort();
    return await ended;
  };
  onTestFinished(async () => {
    await drain().catch(() => {});
  });
  await Promise.race([isReady, ended]);
  return { drain, store, events };
}

async function submitter(server: Pick<TestServer, "url">, store: Store, events: JobEvent[] = []): Promise<Executor> {
  const executor = await onQueue({
    ...{ address: parseQueueAddress(server.url), store, cwd, signal, pace },
    onEvent: (event) => events.push(event),
  });
  onTestFinished(() => executor.close());
  return executor;
}

describe.runIf(postgresFolder)("a queue on PostgreSQL", () => {
  test("gives the bytes that one process gives, hands failures over, and calls off", async () => {
    const [server, store, alone] = [{ url: await startPostgres() }, await testStore(), await testStore()];
    await Promise.all([startWorker(server, store), startWorker(server, store)]);
    const leaves = [1, 2, 3].map((value) => testJob("add", { value }));
    const jobs = [...leaves, testJob("add", { value: 0 }, leaves)];
    const executor = await submitter(server, store);
    const outcomes = await runPlan({ jobs: [...jobs, testJob("fail", {})], store, executor, signal });
    expect(outcomes.map(({ state }) => state)).toEqual([...jobs.map(() => "finished"), "failed"]);
    expect(outcomes.at(-1)).toMatchObject({ error: { code: "ERR_TEST", details: { is: 1 } } });
    await runPlan({ jobs, store: alone, executor: inProcess({ store: alone, kinds: testKinds }), signal });
    for (const { id } of jobs) {
      expect((await findRecord(store, id))!.result).toBe((await findRecord(alone, id))!.result);
    }
    const stop = new AbortController();
    const waiting = [1, 2, 3, 4, 5].map((value) => testJob("wait", { ms: 60_000, value }));
    const called = await runPlan({
      ...{ jobs: waiting, store, executor, signal: stop.signal },
      onEvent: ({ type }) => type === "started" && stop.abort(),
    });
    expect(new Set(called.map(({ state }) => state))).toEqual(new Set(["cancelled"]));
    const nobody = `postgres://me@127.0.0.1:${await freePort()}/postgres`;
    await expect(submitter({ url: nobody }, store)).rejects.toMatchObject({ code: "ERR_QUEUE" });
  });
});

describe.runIf(hasRedis)("a queue", () => {
  test("gives the bytes that one process gives, with two workers", async () => {
    const [server, store, alone] = [await startRedis(), await testStore(), await testStore()];
    await Promise.all([startWorker(server, store), startWorker(server, store)]);
    const leaves = [1, 2, 3, 4, 5].map((value) => testJob("add", { value }));
    const jobs = [...leaves, testJob("add", { value: 0 }, leaves), testJob("add", { value: 9 }, [...leaves].reverse())];
    const events: JobEvent[] = [];
    const executor = await submitter(server, store);
    const outcomes = await runPlan({ jobs, store, executor, signal, onEvent: (event) => events.push(event) });
    expect(outcomes.map(({ state }) => state)).toEqual(jobs.map(() => "finished"));
    await runPlan({ jobs, store: alone, executor: inProcess({ store: alone, kinds: testKinds }), signal });
    for (const { id } of jobs) {
      const [there, here] = [(await findRecord(store, id))!, (await findRecord(alone, id))!];
      expect(there.result).toBe(here.result);
      expect(await readResult(store, id, there)).toEqual(await readResult(alone, id, here));
    }
    // The queue is as empty as before.
    const status = await queueStatus({ address: parseQueueAddress(server.url), store, cwd });
    expect(status).toMatchObject({ waiting: 0, active: 0, delayed: 0, failed: 0 });
    expect(status.workers.length).toBe(2);
  });

  test("hands a failure over with its code, and tries a failed job again when it is asked for again", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    await startWorker(server, store);
    const executor = await submitter(server, store);
    for (let time = 0; time < 2; time++) {
      const [outcome] = await runPlan({ jobs: [testJob("fail", {})], store, executor, signal });
      expect(outcome).toMatchObject({ state: "failed", error: { code: "ERR_TEST", details: { is: 1 } } });
    }
    const { failures } = await queueStatus({ address: parseQueueAddress(server.url), store, cwd });
    expect(failures).toEqual([{ label: "fail {}", reason: "this job always fails" }]);
  });

  test("gives a job back when its worker drains, and another finishes it", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    const first = await startWorker(server, store, { threads: 1 });
    const executor = await submitter(server, store);
    let begin: () => void;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const done = runPlan({
      ...{ jobs: [testJob("wait", { ms: 300, value: 5 })], store, executor, signal },
      onEvent: ({ type }) => type === "started" && begin(),
    });
    await begun;
    expect(await first.drain()).toEqual({ done: 0, failed: 0 });
    expect(first.events.at(-1)).toMatchObject({ type: "back" });
    await startWorker(server, store, { threads: 1 });
    expect((await done)[0]).toMatchObject({ state: "finished" });
  });

  test("calls off what waits and what runs", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    const worker = await startWorker(server, store, { threads: 1 });
    const executor = await submitter(server, store);
    const stop = new AbortController();
    const jobs = [1, 2].map((value) => testJob("wait", { ms: 60_000, value }));
    const outcomes = await runPlan({
      ...{ jobs, store, executor, signal: stop.signal },
      onEvent: ({ type }) => type === "started" && stop.abort(),
    });
    expect(outcomes.map(({ state }) => state)).toEqual(["cancelled", "cancelled"]);
    // The worker is free again: it ends the job that nobody wants within its second.
    const [outcome] = await runPlan({ jobs: [testJob("add", { value: 2 })], store, executor, signal });
    expect(outcome).toMatchObject({ state: "finished" });
    expect(worker.events.filter(({ type }) => type === "finished").length).toBe(1);
  });

  test("loses nothing when the server is killed and comes back without its memory", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    await startWorker(server, store);
    const executor = await submitter(server, store);
    const jobs = Array.from({ length: 6 }, (_, value) => testJob("wait", { ms: 200, value }));
    let restart: Promise<void> | undefined;
    const done = runPlan({
      ...{ jobs, store, executor, signal },
      onEvent({ type }) {
        if (type !== "finished") return;
        restart ??= server.stop("SIGKILL").then(server.start);
      },
    });
    expect((await done).map(({ state }) => state)).toEqual(jobs.map(() => "finished"));
    await restart;
  });

  test("leaves a job to a worker of its versions, and says so where there is none", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    const other = await startWorker(server, store, { packages: { tests: "2" } });
    const executor = await submitter(server, store);
    const [alone] = await runPlan({ jobs: [testJob("add", { value: 1 })], store, executor, signal });
    expect(alone).toMatchObject({ state: "failed", error: { code: "ERR_WORKER_DIFFERS" } });
    expect(String((alone as { error: unknown }).error)).toContain("has tests 2 (1 is needed)");
    await startWorker(server, store);
    const [outcome] = await runPlan({ jobs: [testJob("add", { value: 2 })], store, executor, signal });
    expect(outcome).toMatchObject({ state: "finished" });
    expect(other.events.some(({ type }) => type === "finished")).toBe(false);
  });

  test("a job that lets nothing else run for longer than its lock is run once", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    const worker = await startWorker(server, store, { threads: 1 });
    const other = await startWorker(server, store, { threads: 1 });
    const executor = await submitter(server, store);
    // Locks are of 800 ms at this pace.
    const [outcome] = await runPlan({ jobs: [testJob("busy", { ms: 4000, value: 7 })], store, executor, signal });
    expect(outcome).toMatchObject({ state: "finished" });
    const begun = [worker, other].flatMap(({ events }) => events.filter(({ type }) => type === "started"));
    expect(begun).toHaveLength(1);
  }, 60_000);

  test("tells the submitter of a worker that is gone, and another does its job", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    const notes: JobEvent[] = [];
    const taken = await startWorker(server, store);
    const executor = await submitter(server, store, notes);
    await taken.drain();
    const { name, connection } = parseQueueAddress(server.url);
    let take: () => void;
    const isTaken = new Promise<void>((resolve) => {
      take = resolve;
    });
    // Takes a job, and is never heard of again.
    const dead = new Worker(
      name,
      async () => {
        take();
        await new Promise(() => {});
      },
      { connection: connection as never, lockDuration: 300, skipLockRenewal: true, skipStalledCheck: true },
    );
    const done = runPlan({ jobs: [testJob("add", { value: 3 })], store, executor, signal });
    await isTaken;
    await dead.close(true);
    await startWorker(server, store);
    expect((await done)[0]).toMatchObject({ state: "finished" });
    const said = notes.filter((event) => event.type === "note" && event.code === "worker-lost");
    expect(said).toHaveLength(1);
  }, 60_000);

  test("says once that its server is gone, and once that it is back", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    const worker = await startWorker(server, store);
    await server.stop("SIGKILL");
    await sleep(1500);
    await server.start();
    const said = () => worker.events.filter(({ type }) => type === "lost" || type === "found").map(({ type }) => type);
    await expect.poll(said, { timeout: 20_000 }).toEqual(["lost", "found"]);
    const executor = await submitter(server, store);
    const [outcome] = await runPlan({ jobs: [testJob("add", { value: 1 })], store, executor, signal });
    expect(outcome).toMatchObject({ state: "finished" });
    expect(said()).toEqual(["lost", "found"]);
  }, 60_000);

  test("ends a job that takes more memory than its worker may", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    await startWorker(server, store, { threads: 1, memoryBytes: process.memoryUsage.rss() + 200 * 2 ** 20 });
    const executor = await submitter(server, store);
    const [outcome] = await runPlan({ jobs: [testJob("grow", { mib: 400, ms: 60_000 })], store, executor, signal });
    expect(outcome).toMatchObject({ state: "failed", error: { code: "ERR_JOB_MEMORY" } });
  });

  test("finds out before any work that the stores are two", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    const worker = await startWorker(server, await testStore());
    await expect(submitter(server, store)).rejects.toMatchObject({ code: "ERR_STORE_NOT_SHARED" });
    expect(worker.events.at(-1)).toMatchObject({ type: "left", label: "probe of the store" });
    // Those who share the worker's store are served all the same.
    const right = await submitter(server, worker.store);
    const [outcome] = await runPlan({
      jobs: [testJob("add", { value: 1 })],
      store: worker.store,
      executor: right,
      signal,
    });
    expect(outcome).toMatchObject({ state: "finished" });
  });

  test("of another program is left alone", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    const others = new Queue("secateur", { connection: { host: "127.0.0.1", port: server.port } });
    await others.add("mail", { to: "somebody" });
    const found = { code: "ERR_QUEUE", details: { found: "mail" } };
    await expect(submitter(server, store)).rejects.toMatchObject(found);
    const address = parseQueueAddress(server.url);
    const worker = { address, store, entry: threadEntry, threads: 1, packages: {}, cwd, signal, onEvent: () => {} };
    await expect(serveQueue(worker)).rejects.toMatchObject(found);
    expect(await others.getWaitingCount()).toBe(1);
    await others.close();
  });

  test("whose keys are of another kind is left alone in one message", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    const client = new Redis({ host: "127.0.0.1", port: server.port });
    for (const key of ["meta", "wait"]) {
      const address = parseQueueAddress(`${server.url}?name=${key}`);
      await client.set(`bull:${address.name}:${key}`, "hello");
      const found = { code: "ERR_QUEUE", message: expect.stringContaining("?name=NAME") };
      const worker = { address, store, entry: threadEntry, threads: 1, packages: {}, cwd, signal, onEvent: () => {} };
      await expect(serveQueue(worker)).rejects.toMatchObject(found);
      await expect(queueStatus({ address, store, cwd })).rejects.toMatchObject(found);
      await expect(onQueue({ address, store, cwd, signal, onEvent: () => {} })).rejects.toMatchObject(found);
    }
    await client.quit();
  });

  test("is emptied of what waits and what failed, and of nothing else", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    const address = parseQueueAddress(server.url);
    const others = new Queue("mine", { connection: { host: "127.0.0.1", port: server.port } });
    await others.add("mail", {});
    const queue = new Queue<Message>(address.name, { connection: { host: "127.0.0.1", port: server.port } });
    const message = { format: 1, store: store.id, job: "0".repeat(64), label: "one" } as const;
    for (const delay of [0, 0, 60_000]) await queue.add(messageName, message, { delay });
    expect(await queueStatus({ address, store, cwd })).toMatchObject({ waiting: 2, delayed: 1 });
    expect(await emptyQueue({ address, cwd })).toBe(3);
    expect(await queueStatus({ address, store, cwd })).toMatchObject({ waiting: 0, delayed: 0 });
    expect(await others.getWaitingCount()).toBe(1);
    // More of ours than are looked at before, and one of somebody else, which failed.
    for (let i = 0; i < 25; i++) await queue.add(messageName, message);
    await queue.add("mail", message, { lifo: true });
    const mailer = new Worker(address.name, () => Promise.reject(new Error("no")), {
      connection: { host: "127.0.0.1", port: server.port },
    });
    await new Promise((resolve) => mailer.once("failed", resolve));
    await mailer.close();
    await expect(emptyQueue({ address, cwd })).rejects.toMatchObject({ code: "ERR_QUEUE" });
    expect(await queue.getJobCountByTypes("waiting", "failed")).toBe(26);
    await Promise.all([others.close(), queue.close()]);
  });

  test("is served from a store that answers late, and nothing is lost", async () => {
    const [server, store] = [await startRedis(), await testStore()];
    const late = async <T>(work: Promise<T>): Promise<T> => {
      await sleep(150);
      return await work;
    };
    const slow: Store = { ...store, read: (name) => late(store.read(name)), get: (hash) => late(store.get(hash)) };
    const jobs = [1, 2, 3].map((value) => testJob("add", { value }));
    await startWorker(server, store);
    const executor = await submitter(server, slow);
    const outcomes = await runPlan({ jobs, store: slow, executor, signal });
    expect(outcomes.map(({ state }) => state)).toEqual(["finished", "finished", "finished"]);
    await executor.close();
  });

  test("says what is wrong with its server in one message", async () => {
    const store = await testStore();
    const open = (url: string) => onQueue({ address: parseQueueAddress(url), store, cwd, signal, onEvent: () => {} });
    const refused = async (url: string, words: string): Promise<void> => {
      const error = await open(url).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toMatchObject({ code: "ERR_QUEUE" });
      expect(String(error)).toContain(words);
      expect(String(error)).not.toContain("secret");
    };
    await refused(`redis://127.0.0.1:${await freePort()}`, "ECONNREFUSED");
    const locked = await startRedis("--requirepass", "right-secret");
    await refused(locked.url, "refuses the user or the password");
    await refused(`redis://:wrong-secret@127.0.0.1:${locked.port}`, "refuses the user or the password");
    const forgets = await startRedis("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru");
    await refused(forgets.url, "maxmemory-policy allkeys-lru");
  });
});
