/**
 * A worker: takes jobs from a queue and runs them in threads, while this thread renews locks, watches memory and hears signals. At a call to drain
 * the running jobs stop at their next safe points and go back to the queue.
 */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import process from "node:process";
import { isPruneError } from "@secateur/core";
import type { Job as QueuedJob, Worker } from "bullmq";
import { foreignQueue, memoryExceeded, storeNotShared } from "../errors.ts";
import type { Job } from "../job/job.ts";
import { findRecord, readJob } from "../job/perform-job.ts";
import type { Store } from "../store/store.ts";
import { errorData } from "../threads/error-data.ts";
import { progressText } from "../threads/progress-text.ts";
import { threadPool } from "../threads/thread-pool.ts";
import { isMessage, type Message } from "./message.ts";
import { answerProbe } from "./on-queue.ts";
import { type Answer, openServer, refuseForeign } from "./open-queue.ts";
import type { QueueAddress } from "./queue-address.ts";
import { packagesDiffer, removeWorker, sayMs, type WorkerRecord, writeWorker } from "./worker-record.ts";

/** A worker that is gone is missed after so long, and its job given to another. */
const lockMs = 8000;
/** How often its jobs are looked for. */
const stalledMs = 3000;
/** A job under which so many workers died is given up: it may be what kills them. */
const mostDeaths = 20;
/** What a worker takes beside its threads. */
const ownBytes = 2 ** 28;
const memoryMs = 500;
const cancelMs = 1000;
const foundMs = 1000;
/** Longer than between two tries of a part: all of them are back then. */
const quietMs = 3000;
/** A server that is away cannot take jobs back: its locks run out instead. */
const drainMs = 22_000;
/** A job for other versions, or of another store, is offered again after this. */
const offerMs = 500;
/**
 * Whoever left one takes no more for as long, twice as long after each in a row: leaving takes no time and work does, so that a worker that fits nothing would
 * have every job in its hands before those that fit come to it.
 */
const longestRestMs = 10_000;

/** What a worker tells whoever started it. */
export type WorkerEvent =
  | { readonly type: "ready"; readonly where: string }
  | { readonly type: "started" | "finished" | "back"; readonly label: string }
  | { readonly type: "failed"; readonly label: string; readonly message: string }
  | { readonly type: "left"; readonly label: string; readonly reason: string }
  | { readonly type: "lost"; readonly reason: string }
  | { readonly type: "found" }
  /** There was no store at that place: one was made. */
  | { readonly type: "made"; readonly place: string };

/** What a worker is made of. */
export interface WorkerSpec {
  readonly address: QueueAddress;
  readonly store: Store;
  /** The file that calls `serveJobs`. */
  readonly entry: URL;
  /** Jobs at a time, each in a thread of its own. */
  readonly threads: number;
  /** Bytes that the process may have resident; above, the running jobs are ended. Default: no limit. */
  readonly memoryBytes?: number | undefined;
  /** Name to version of everything that decides a result here. */
  readonly packages: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Drains. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: WorkerEvent) => void;
  /** Ends once the queue has been empty for so long; default: never. */
  readonly idleMs?: number | undefined;
  /** Multiplies all waiting times; default 1. Tests wait less. */
  readonly pace?: number;
}

/**
 * Serves a queue until it is told to drain.
 *
 * @throws ERR_QUEUE; of other programs' jobs, too. A job of another store is left in the queue, and the submitter's probe is told
 */
export async function serveQueue(spec: WorkerSpec): Promise<{ done: number; failed: number }> {
  const { address, store, threads, packages, signal, onEvent, memoryBytes, pace = 1 } = spec;
  const id = randomUUID();
  const where = `${hostname()}:${process.pid}`;
  // Every part of the connection tells it, each time that it tries.
  let [isLost, isAsking, lostAt] = [false, false, 0];
  const server = await openServer({
    ...{ address, cwd: spec.cwd },
    onLost(reason) {
      if (!isLost) onEvent({ type: "lost", reason });
      isLost = true;
      lostAt = performance.now();
    },
  });
  /** Once it was lost: whether the server answers again. */
  const findAgain = async (): Promise<void> => {
    if (!isLost || isAsking || performance.now() - lostAt < pace * quietMs) return;
    isAsking = true;
    await queue.getJobCounts("active").finally(() => {
      isAsking = false;
    });
    isLost = false;
    onEvent({ type: "found" });
  };
  const { WaitingError, DelayedError, UnrecoverableError } = server.bullmq;
  const queue = server.queue();
  const pool = threadPool({
    ...{ entry: spec.entry, size: threads, store: store.place, cwd: spec.cwd },
    shareBytes: memoryBytes === undefined ? undefined : (memoryBytes - ownBytes) / threads,
  });
  const draining = new AbortController();
  /** Labels by id: two jobs may have one label. */
  const running = new Map<string, string>();
  /** Jobs that were left to others. */
  const left = new Set<string>();
  let leftInRow = 0;
  let worker: Worker<Message, Answer> | undefined;
  const counts = { done: 0, failed: 0 };
  let fatal: unknown;
  let idleSince = performance.now();

  /** Leaves a job to other workers for a while; says why once. */
  const leave = async (
    queued: QueuedJob,
    { label, reason, token }: { label: string; reason: string; token: string },
  ) => {
    if (!left.has(queued.id!)) onEvent({ type: "left", label, reason });
    left.add(queued.id!);
    const rest = pace * Math.min(longestRestMs, offerMs * 2 ** leftInRow++);
    await worker?.pause(true);
    setTimeout(() => draining.signal.aborted || worker?.resume(), rest).unref();
    await queued.moveToDelayed(performance.timeOrigin + performance.now() + pace * offerMs, token);
    throw new DelayedError();
  };
  /** Gives a job back as if it had not been taken. */
  const giveBack = async (job: QueuedJob, token: string): Promise<never> => {
    await job.moveToWait(token);
    throw new WaitingError();
  };
  const run = async (queued: QueuedJob<Message, Answer>, token = ""): Promise<Answer> => {
    const { name, data } = queued;
    if (!isMessage(name, data)) {
      fatal ??= foreignQueue(address.shown, name);
      draining.abort();
      return await giveBack(queued, token);
    }
    if (data.probe) {
      try {
        await answerProbe(store, data);
        return { waitedMs: 0 };
      } catch (error) {
        // Whoever asked is told; those who share this store are served all the same.
        onEvent({ type: "left", label: data.label, reason: error instanceof Error ? error.message : String(error) });
        throw new UnrecoverableError(JSON.stringify(errorData(error)));
      }
    }
    if (data.store !== store.id) {
      const { message: reason } = storeNotShared({ own: store.id, other: data.store, place: store.place });
      return await leave(queued, { label: data.label, reason, token });
    }
    const waitedMs = Math.max(0, (queued.processedOn ?? 0) - queued.timestamp);
    const read = readJob(store, data.job, data.label);
    read.catch(() => {}); // awaited where it is wanted
    if (await findRecord(store, data.job)) return { waitedMs };
    return await compute(queued, { token, waitedMs, read });
  };
  const compute = async (
    queued: QueuedJob<Message, Answer>,
    { token, waitedMs, read }: { token: string; waitedMs: number; read: Promise<Job> },
  ): Promise<Answer> => {
    const { label, job: jobId } = queued.data;
    const stop = new AbortController();
    const drain = (): void => stop.abort();
    let isCancelled = false;
    const watch = setInterval(() => {
      void queue.getJob(queued.id!).then(
        (now) => {
          if (!now?.data.cancelled) return;
          isCancelled = true;
          stop.abort();
        },
        () => {},
      );
    }, pace * cancelMs);
    draining.signal.addEventListener("abort", drain);
    running.set(jobId, label);
    try {
      if (draining.signal.aborted) stop.abort();
      const job = await read;
      const reason = packagesDiffer(job.content.packages, packages);
      if (reason !== undefined) {
        return await leave(queued, { label, reason: `this worker ${reason}`, token });
      }
      leftInRow = 0;
      await pool.run(job, {
        where: (thread) => (threads === 1 ? where : `${where}/${thread + 1}`),
        signal: stop.signal,
        onStart: () => onEvent({ type: "started", label }),
        onEvent(event) {
          const text = progressText(event);
          if (text !== undefined) void queued.updateProgress({ where, text }).catch(() => {});
        },
      });
      counts.done += 1;
      onEvent({ type: "finished", label });
      return { waitedMs };
    } catch (error) {
      if (error instanceof DelayedError) throw error;
      const isAbort = isPruneError(error) && error.code === "ERR_ABORTED";
      if (isAbort && !isCancelled) {
        onEvent({ type: "back", label });
        return await giveBack(queued, token);
      }
      const data = errorData(error);
      if (!isAbort) {
        counts.failed += 1;
        onEvent({ type: "failed", label, message: data.message });
      }
      // Another machine, or a moment later, may see what this one does not: disks of many machines show new files late.
      const passing = [
        "ERR_STORE",
        "ERR_STORE_FULL",
        "ERR_BLOB_MISSING",
        "ERR_JOB_THREAD",
        "ERR_JOB_MEMORY",
        "ERR_MEETING_LOST",
      ];
      const mayRepeat = passing.includes(data.code);
      throw mayRepeat ? new Error(JSON.stringify(data)) : new UnrecoverableError(JSON.stringify(data));
    } finally {
      running.delete(jobId);
      idleSince = performance.now();
      clearInterval(watch);
      draining.signal.removeEventListener("abort", drain);
    }
  };

  const say = async (): Promise<void> => {
    const { shown } = address;
    const record: WorkerRecord = {
      ...{ where, queue: shown, threads, running: [...running.values()], ...counts },
      ...{ memoryBytes: process.memoryUsage.rss(), packages },
    };
    await writeWorker(store, id, record);
  };
  try {
    await refuseForeign(queue, address);
    await say();
    worker = server.worker(run, {
      ...{
        concurrency: threads,
        lockDuration: pace * lockMs,
        stalledInterval: pace * stalledMs,
        maxStalledCount: mostDeaths,
      },
      removeOnComplete: { count: 0 },
    });
    await worker.waitUntilReady();
    onEvent({ type: "ready", where });
    const timers = [
      setInterval(() => void say().catch(() => {}), pace * sayMs),
      setInterval(() => void findAgain().catch(() => {}), pace * foundMs),
      setInterval(() => {
        const bytes = process.memoryUsage.rss();
        if (memoryBytes === undefined || bytes <= memoryBytes || running.size === 0) return;
        void pool.kill((label) => memoryExceeded({ label, bytes, limit: memoryBytes }));
      }, pace * memoryMs),
      setInterval(() => {
        const { idleMs } = spec;
        if (idleMs !== undefined && running.size === 0 && performance.now() - idleSince > idleMs) draining.abort();
      }, 100),
    ];
    await new Promise<void>((resolve) => {
      const end = (): void => {
        draining.abort();
        resolve();
      };
      draining.signal.addEventListener("abort", () => resolve(), { once: true });
      if (signal.aborted || draining.signal.aborted) end();
      else signal.addEventListener("abort", end, { once: true });
    });
    // Takes no more jobs, and waits for those that are on their way back.
    let isLate = false;
    let late: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      late = setTimeout(() => {
        isLate = true;
        resolve();
      }, drainMs);
    });
    await Promise.race([worker.close(), deadline]);
    clearTimeout(late);
    if (isLate) await worker.close(true).catch(() => {});
    for (const timer of timers) clearInterval(timer);
  } finally {
    await Promise.allSettled([pool.close(), queue.close(), removeWorker(store, id)]);
  }
  if (fatal !== undefined) throw fatal;
  return counts;
}
