/**
 * Jobs on a queue that workers of any machine serve. What is finished is in the store, whatever the queue says: an event that got lost, a server that
 * came back without its memory or a lock that ran out costs time and nothing else.
 */
import { randomBytes } from "node:crypto";
import { isPruneError, type PruneError } from "@secateur/core";
import { cancelled, storeNotShared, threadDied, workersDiffer } from "../errors.ts";
import type { Job, JobRecord } from "../job/job.ts";
import { describeJob, findRecord } from "../job/perform-job.ts";
import type { Executor, JobEvent } from "../plan/run-plan.ts";
import type { Store } from "../store/store.ts";
import { errorFrom } from "../threads/error-data.ts";
import type { ErrorData } from "../threads/messages.ts";
import { type Message, messageName } from "./message.ts";
import { type JobQueue, openServer, refuseForeign } from "./open-queue.ts";
import type { QueueAddress } from "./queue-address.ts";
import { listWorkers, packagesDiffer } from "./worker-record.ts";

/** How often the store is asked for results whose event may have got lost. */
const askMs = 1000;
/** A thread that died or a full store is tried again after this. */
const repeatMs = 2000;
/** How often the queue is asked whether it still has a job: costs a message each. */
const askQueueEvery = 5;
/** Without a worker for so long, the user is told. */
const patienceMs = 3000;

/** A job that was handed out. */
interface HandedOut {
  readonly job: Job;
  readonly at: number;
  startedAt: number | undefined;
  readonly onEvent: (event: JobEvent) => void;
  readonly signal: AbortSignal;
  resolve(done: { record: JobRecord; waitedMs: number }): void;
  reject(error: unknown): void;
}

/**
 * Opens the queue and asks the workers to show that they see the same store.
 *
 * @param spec.cwd - where packages of the queue are looked for
 * @throws ERR_QUEUE, ERR_STORE_NOT_SHARED
 */
export async function onQueue(spec: {
  address: QueueAddress;
  store: Store;
  cwd: string;
  signal: AbortSignal;
  onEvent: (event: JobEvent) => void;
  /** Multiplies all waiting times; default 1. Tests wait less. */
  pace?: number;
}): Promise<Executor> {
  const { address, store, cwd, signal, onEvent, pace = 1 } = spec;
  const handOut = (job: Job): Promise<void> => putIntoQueue({ queue, store, job, repeatMs: pace * repeatMs });
  let lost = false;
  const server = await openServer({
    ...{ address, cwd },
    onLost(reason) {
      if (lost) return;
      lost = true;
      const message = `${address.shown}: the connection to the queue was lost (${reason}); workers go on, and it is tried again`;
      onEvent({ type: "note", level: "warn", code: "queue-lost", message });
    },
  });
  const queue = server.queue();
  const events = server.events();
  const close = async (): Promise<void> => {
    await Promise.allSettled([events.close(), queue.close()]);
  };
  try {
    // Before anything is written.
    await refuseForeign(queue, address);
    await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
    await probe({ queue, store, signal, address, onEvent });
  } catch (error) {
    await close();
    throw error;
  }
  const out = new Map<string, HandedOut>();
  /** Settles a job once, whoever says first that it is over. */
  const settle = async (id: string, from: () => Promise<{ record: JobRecord; waitedMs: number }>): Promise<void> => {
    const one = out.get(id);
    if (!one) return;
    try {
      const done = await from();
      if (out.delete(id)) one.resolve(done);
    } catch (error) {
      if (out.delete(id)) one.reject(error);
    }
  };
  const finish = async (id: string, waited?: number): Promise<boolean> => {
    const one = out.get(id);
    const record = one && (await findRecord(store, id));
    if (!one || !record) return false;
    lost = false;
    const waitedMs = waited ?? (one.startedAt ?? performance.now()) - one.at;
    await settle(id, async () => ({ record, waitedMs }));
    return true;
  };
  const fail = async (id: string, reason: string): Promise<void> => {
    const one = out.get(id);
    if (!one || (await finish(id))) return;
    const error = errorOf(one.job.label, reason);
    // Another submitter of the same job called it off; we did not.
    if (error.code === "ERR_ABORTED" && !one.signal.aborted) return await handOut(one.job);
    await settle(id, () => Promise.reject(error));
  };
  events.on("active", ({ jobId }) => {
    const one = out.get(jobId);
    if (!one || one.startedAt !== undefined) return;
    one.startedAt = performance.now();
    one.onEvent({ type: "started", job: one.job, where: address.shown });
  });
  events.on("stalled", ({ jobId }) => {
    const one = out.get(jobId);
    if (!one) return;
    const message = `${one.job.label}: its worker has not been heard of for some seconds, and another takes it`;
    onEvent({ type: "note", level: "warn", code: "worker-lost", message });
  });
  events.on("progress", ({ jobId, data }) => {
    const one = out.get(jobId);
    const { where, text } = (typeof data === "object" ? data : {}) as { where?: string; text?: string };
    if (one && where && text) one.onEvent({ type: "progress", job: one.job, where, text });
  });
  events.on("completed", ({ jobId, returnvalue }) => {
    void finish(jobId, waitedOf(returnvalue)).catch((error) => settle(jobId, () => Promise.reject(error)));
  });
  events.on("failed", ({ jobId, failedReason }) => {
    void fail(jobId, failedReason).catch((error) => settle(jobId, () => Promise.reject(error)));
  });
  const ask = async (round: number): Promise<void> => {
    for (const [id, one] of [...out]) {
      if ((await finish(id)) || round % askQueueEvery !== 0) continue;
      const state = await queue.getJobState(id);
      if (state === "failed") await fail(id, (await queue.getJob(id))?.failedReason ?? "");
      else if ((state === "unknown" || state === "completed") && !(await finish(id)) && out.has(id)) {
        const message = `${one.job.label}: the queue lost it, and it was handed out again`;
        onEvent({ type: "note", level: "info", code: "queue-refilled", message });
        await handOut(one.job);
      }
    }
    if (round % askQueueEvery === 0 && out.size > 0) await refuseUnfit({ queue, store, out, settle });
  };
  let round = 0;
  let asking = false;
  const timer = setInterval(() => {
    if (asking) return; // a server that is away answers late
    asking = true;
    round += 1;
    void ask(round)
      .catch(() => {}) // asked again in a second
      .finally(() => {
        asking = false;
      });
  }, pace * askMs);
  return {
    async submit(job, around) {
      const done = new Promise<{ record: JobRecord; waitedMs: number }>((resolve, reject) => {
        out.set(job.id, { job, at: performance.now(), startedAt: undefined, ...around, resolve, reject });
      });
      done.catch(() => {}); // awaited below, or given up where handing out failed
      const stop = (): void => {
        void callOff(queue, job.id)
          .catch(() => {})
          .finally(() => settle(job.id, () => Promise.reject(cancelled())));
      };
      around.signal.addEventListener("abort", stop, { once: true });
      try {
        await handOut(job);
        if (around.signal.aborted) stop();
        return await done;
      } finally {
        out.delete(job.id);
        around.signal.removeEventListener("abort", stop);
      }
    },
    async close() {
      clearInterval(timer);
      await close();
    },
  };
}

/** Puts a job into the queue, also one that ended there before: a queue ignores in silence what has the name of an old one. */
async function putIntoQueue(spec: { queue: JobQueue; store: Store; job: Job; repeatMs: number }): Promise<void> {
  const { queue, store, job, repeatMs: delay } = spec;
  await describeJob(store, job);
  const state = await queue.getJobState(job.id);
  if (state === "failed" || state === "completed") await queue.remove(job.id);
  const message: Message = { format: 1, store: store.id, job: job.id, label: job.label.slice(0, 200) };
  await queue.add(messageName, message, {
    jobId: job.id,
    // What a job itself throws is final; a worker says so.
    attempts: 3,
    backoff: { type: "fixed", delay },
    removeOnComplete: true,
    removeOnFail: { age: 3600, count: 1000 },
  });
}

/** Takes a job out of the queue, or tells whoever runs it. */
async function callOff(queue: JobQueue, id: string): Promise<void> {
  const job = await queue.getJob(id);
  if (!job) return;
  try {
    await job.remove();
  } catch {
    await job.updateData({ ...job.data, cancelled: true });
  }
}

function errorOf(label: string, reason: string): PruneError {
  try {
    const data = JSON.parse(reason) as Partial<ErrorData>;
    if (typeof data.code === "string" && typeof data.message === "string") return errorFrom(data as ErrorData);
  } catch {
    // The queue's own words.
  }
  return threadDied(label, reason || "the queue does not say why");
}

/** Fails the jobs that none of the workers there can run, so that nobody waits for them for ever. */
async function refuseUnfit(spec: {
  queue: JobQueue;
  store: Store;
  out: ReadonlyMap<string, HandedOut>;
  settle: (id: string, from: () => Promise<never>) => Promise<void>;
}): Promise<void> {
  const { queue, store, out, settle } = spec;
  const workers = await listWorkers(store);
  if (workers.length === 0) return;
  for (const [id, { job }] of [...out]) {
    const reasons = workers.map(({ packages }) => packagesDiffer(job.content.packages, packages));
    const place = reasons.indexOf(undefined);
    if (place >= 0) continue;
    const error = workersDiffer({ label: job.label, worker: workers[0]!.where, reason: reasons[0]! });
    // Else workers would be offered it for ever.
    await callOff(queue, id).catch(() => {});
    await settle(id, () => Promise.reject(error));
  }
}

/** How long a job waited, as its worker says; undefined where it does not. */
function waitedOf(returned: unknown): number | undefined {
  try {
    const { waitedMs } = (typeof returned === "string" ? JSON.parse(returned) : returned) as { waitedMs?: unknown };
    return typeof waitedMs === "number" ? waitedMs : undefined;
  } catch {
    return undefined;
  }
}

/** Has a worker show that it reads what is written here. @throws ERR_STORE_NOT_SHARED, ERR_ABORTED */
async function probe(spec: {
  queue: JobQueue;
  store: Store;
  signal: AbortSignal;
  address: QueueAddress;
  onEvent: (event: JobEvent) => void;
}): Promise<void> {
  const { queue, store, signal, address, onEvent } = spec;
  const job = await store.put(randomBytes(32));
  const message: Message = { format: 1, store: store.id, job, label: "probe of the store", probe: true };
  const sent = await queue.add(messageName, message, {
    ...{ jobId: `probe-${job.slice(0, 32)}`, attempts: 1 },
    ...{ priority: 0, lifo: true, removeOnComplete: { age: 60 }, removeOnFail: { age: 60 } },
  });
  const begun = performance.now();
  let told = false;
  for (let pause = 5; ; pause = Math.min(200, 2 * pause)) {
    if (signal.aborted) {
      await queue.remove(sent.id!).catch(() => {});
      throw cancelled();
    }
    const state = await sent.getState();
    if (state === "completed") return;
    if (state === "failed") {
      const { failedReason = "" } = (await queue.getJob(sent.id!)) ?? {};
      throw errorOf(message.label, failedReason);
    }
    if (!told && performance.now() - begun > patienceMs) {
      told = true;
      const text = `${address.shown}: waiting for a worker: start one with secateur worker --queue ${address.shown} --store ${store.place}`;
      onEvent({ type: "note", level: "info", code: "no-worker", message: text });
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** What a worker answers to a probe. @throws ERR_STORE_NOT_SHARED */
export async function answerProbe(store: Store, message: Message): Promise<void> {
  try {
    if (message.store === store.id) {
      await store.get(message.job);
      return;
    }
  } catch (error) {
    if (!isPruneError(error)) throw error;
  }
  throw storeNotShared({ own: store.id, other: message.store, place: store.place });
}
