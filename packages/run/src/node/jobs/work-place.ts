/** Where the jobs of a command are run, from its flags: in this process, in threads of it, or on a queue. */
import type { RunEvent } from "@secateur/core";
import {
  type Executor,
  findRecord,
  inProcess,
  inThreads,
  type Job,
  type JobEvent,
  onQueue,
  openPassingStore,
  openStore,
  parseQueueAddress,
  removePassingStore,
  type Shard,
  type Store,
} from "@secateur/jobs";
import { badUsage, resultGone } from "../../errors.ts";
import type { Session } from "../../session.ts";
import { type JobHost, jobHost } from "./job-host.ts";

/** What --store, --workers, --queue and --shard say. */
export interface WorkFlags {
  /** Absolute path of the store. */
  readonly store?: string | undefined;
  /** Threads; 1: this process itself. */
  readonly workers?: number | undefined;
  /** Address of a queue. */
  readonly queue?: string | undefined;
  readonly shard?: Shard | undefined;
}

/** A store and what runs jobs beside it. */
export interface WorkPlace {
  readonly store: Store;
  /** What runs the jobs. A queue is asked for workers only where some of them are not finished. @throws ERR_QUEUE, ERR_STORE_NOT_SHARED */
  executor(jobs: readonly Job[]): Promise<Executor>;
  /** Of jobs that run in this very thread; absent where they run elsewhere. */
  readonly host?: JobHost;
  readonly shard?: Shard;
  close(): Promise<void>;
}

/** The file that threads start: beside this one, compiled or not. */
export const threadEntry: URL = new URL(
  import.meta.url.endsWith(".ts") ? "./job-thread.ts" : "./job-thread.js",
  import.meta.url,
);

/** Whether a command's work goes through a store at all. */
export function asksForJobs({ store, workers, queue, shard }: WorkFlags): boolean {
  return [store, workers, queue, shard].some((flag) => flag !== undefined);
}

/** Puts the store away that a command made for itself, once all its work is done: of what was interrupted or failed the finished part stays, for the same command. */
export async function clearWorkStore(flags: WorkFlags, fallback: string): Promise<void> {
  if (asksForJobs(flags) && flags.store === undefined) await removePassingStore(fallback);
}

/**
 * Opens the store and the executor.
 *
 * @param spec.fallback - absolute path of the store where none is named
 * @throws ERR_USAGE for flags that contradict each other; ERR_STORE, ERR_QUEUE, ERR_STORE_NOT_SHARED
 */
export async function openWorkPlace(spec: {
  flags: WorkFlags;
  fallback: string;
  /** Whether the store at the fallback is of this command alone, see `clearWorkStore`; default: it stays. */
  isPassing?: boolean;
  cwd: string;
  session: Session;
  /** The file that threads start; default: the one of workers. */
  entry?: URL;
  onEvent: (event: JobEvent) => void;
}): Promise<WorkPlace> {
  const { flags, cwd, session, entry = threadEntry, onEvent } = spec;
  const { queue, workers, shard } = flags;
  refuseContradictions(flags);
  const address = queue === undefined ? undefined : parseQueueAddress(queue);
  const { store: named } = flags;
  const store =
    named === undefined && spec.isPassing
      ? await openPassingStore(spec.fallback)
      : await openStore(named ?? spec.fallback);
  // Progress of several runs at once is that of their jobs; their stages would be taken for those of one run.
  const onRunEvent = (event: RunEvent): void => {
    if (event.type === "note") session.onEvent(event);
  };
  if (address) {
    let queue: Promise<Executor> | undefined;
    const { signal } = session;
    return {
      store,
      async executor(jobs) {
        if (await areFinished(store, jobs)) return nothingToDo;
        queue ??= onQueue({ address, store, cwd, signal, onEvent });
        return await queue;
      },
      close: async () => await (await queue?.catch(() => undefined))?.close(),
    };
  }
  const part = shard ? { shard } : {};
  if (workers !== undefined && workers > 1) {
    const executor = inThreads({ store, entry, threads: workers, cwd, onRunEvent });
    return { store, executor: async () => executor, ...part, close: () => executor.close() };
  }
  const { jobKinds } = await import("./kinds/job-kinds.ts");
  const host = jobHost({ cwd, session });
  const executor = inProcess({ store, kinds: jobKinds(host), onRunEvent });
  return { store, executor: async () => executor, host, ...part, close: () => host.close() };
}

/** Asked before anything is opened. @throws ERR_USAGE, ERR_QUEUE for an address that is none */
export function refuseContradictions({ queue, workers, shard, store }: WorkFlags): void {
  if (queue === undefined) return;
  parseQueueAddress(queue);
  const [other] = [workers !== undefined ? "--workers" : "", shard ? "--shard" : ""].filter((flag) => flag !== "");
  if (other) {
    throw badUsage(
      `${other} and --queue both say where jobs run; give one of them (SECATEUR_QUEUE counts as --queue)`,
      {
        other,
      },
    );
  }
  if (store === undefined) {
    throw badUsage(
      "--queue needs --store: a folder that this machine and all workers see, through which data and results go",
    );
  }
}

async function areFinished(store: Store, jobs: readonly Job[]): Promise<boolean> {
  for (const { id } of jobs) if (!(await findRecord(store, id))) return false;
  return true;
}

/** Of a plan all of whose jobs are finished. */
const nothingToDo: Executor = {
  submit: ({ label }) => Promise.reject(resultGone(label)),
  close: async () => {},
};
