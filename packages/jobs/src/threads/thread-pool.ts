/**
 * Threads that run jobs, each with memory and kernels of its own. The thread that hands jobs out stays free: it renews a queue's locks, hears
 * signals and watches memory while others compute.
 */
import { Worker } from "node:worker_threads";
import type { RunEvent } from "@secateur/core";
import { cancelled, threadDied } from "../errors.ts";
import type { Job, JobRecord } from "../job/job.ts";
import { errorFrom } from "./error-data.ts";
import type { FromThread, ThreadData, ToThread } from "./messages.ts";

/** After an abort a job has so long to come to a safe point; then its thread is ended. */
const graceMs = 20_000;

/** Runs jobs in threads. */
export interface ThreadPool {
  /**
   * Runs a job whose content is in the store, as soon as a thread is free.
   *
   * @param job.content - where it was read, and the job not found finished, a moment ago; default: the thread reads it
   * @param around.onStart - called when a thread begins it
   * @throws what the job throws; ERR_JOB_THREAD where its thread ends; ERR_ABORTED
   */
  run(
    job: Pick<Job, "id" | "label"> & Partial<Pick<Job, "content">>,
    around: {
      readonly where: (thread: number) => string;
      readonly signal: AbortSignal;
      readonly onStart: (where: string) => void;
      readonly onEvent: (event: RunEvent) => void;
    },
  ): Promise<JobRecord>;
  /** Ends the thread of every running job, which throws the error; the next job gets a new one. */
  kill(error: (label: string) => Error): Promise<void>;
  close(): Promise<void>;
}

interface Thread {
  readonly worker: Worker;
  /** Of the job that runs, if one does. */
  end: ((outcome: { record: JobRecord } | { error: unknown }) => void) | undefined;
  onEvent: (event: RunEvent) => void;
  label: string;
}

/**
 * Starts no thread until there is a job for it.
 *
 * @param spec.entry - the file that calls `serveJobs`
 * @param spec.store - place of the store that all threads open
 * @param spec.cwd - the folder from which jobs look for plugins
 * @param spec.shareBytes - of the memory that the process may take, for each thread; default: no limit
 */
export function threadPool(spec: {
  entry: URL;
  size: number;
  store: string;
  cwd: string;
  shareBytes?: number | undefined;
}): ThreadPool {
  const { entry, size, store, cwd, shareBytes } = spec;
  const threads: (Thread | undefined)[] = Array.from({ length: size }, () => undefined);
  const waiting: (() => void)[] = [];
  const free = new Set(threads.keys());
  const start = (place: number): Thread => {
    const worker = new Worker(entry, { workerData: { place: store, cwd, shareBytes } satisfies ThreadData });
    const thread: Thread = { worker, end: undefined, onEvent: () => {}, label: "" };
    const lose = (reason: string): void => {
      if (threads[place] === thread) threads[place] = undefined;
      thread.end?.({ error: threadDied(thread.label, reason) });
    };
    worker.on("message", (message: FromThread) => {
      if (message.type === "event") thread.onEvent(message.event);
      else if (message.type === "done") thread.end?.({ record: message.record });
      else if (message.type === "failed") thread.end?.({ error: errorFrom(message.error) });
    });
    worker.on("error", (error) => lose(error instanceof Error ? error.message : String(error)));
    worker.on("exit", (code) => lose(`exit code ${code}`));
    threads[place] = thread;
    return thread;
  };
  const take = async (signal: AbortSignal): Promise<number> => {
    while (free.size === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    if (signal.aborted) {
      waiting.shift()?.();
      throw cancelled();
    }
    const [place] = free;
    free.delete(place!);
    return place!;
  };
  const leave = (place: number): void => {
    free.add(place);
    waiting.shift()?.();
  };
  /** Ends a thread under its job. The next job gets a new one, however long this one takes to be gone. */
  const give = async (thread: Thread, error: Error): Promise<void> => {
    const place = threads.indexOf(thread);
    if (place >= 0) threads[place] = undefined;
    thread.end?.({ error });
    await thread.worker.terminate();
  };
  return {
    async run({ id, label, content }, { where, signal, onStart, onEvent }) {
      const place = await take(signal);
      let thread: Thread;
      try {
        thread = threads[place] ?? start(place);
      } catch (error) {
        leave(place);
        throw error;
      }
      let timer: NodeJS.Timeout | undefined;
      const abort = (): void => {
        thread.worker.postMessage({ type: "abort" } satisfies ToThread);
        timer = setTimeout(() => {
          void give(thread, cancelled());
        }, graceMs);
      };
      signal.addEventListener("abort", abort, { once: true });
      try {
        return await new Promise<JobRecord>((resolve, reject) => {
          thread.end = (outcome) => ("record" in outcome ? resolve(outcome.record) : reject(outcome.error));
          thread.onEvent = onEvent;
          thread.label = label;
          onStart(where(place));
          thread.worker.postMessage({ type: "run", id, label, where: where(place), content } satisfies ToThread);
        });
      } finally {
        thread.end = undefined;
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        leave(place);
      }
    },
    async kill(error) {
      const running = threads.filter((thread) => thread?.end !== undefined);
      await Promise.all(running.map((thread) => give(thread!, error(thread!.label))));
    },
    async close() {
      await Promise.all(threads.map((thread) => thread?.worker.terminate()));
    },
  };
}
