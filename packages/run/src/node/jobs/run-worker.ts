/** `secateur worker` and `secateur status`: who serves a queue, and what is in it. */
import {
  emptyQueue,
  isNoStore,
  openStore,
  parseQueueAddress,
  type QueueStatus,
  queueStatus,
  serveQueue,
  type WorkerEvent,
} from "@secateur/jobs";
import { formatBytes, formatTable, plainText } from "@secateur/report/text";
import { badUsage } from "../../errors.ts";
import { workerPackages } from "./job-packages.ts";
import { threadEntry } from "./work-place.ts";

/** Which queue, and the store beside it. */
interface QueuePlace {
  readonly queue?: string | undefined;
  /** Absolute. */
  readonly store?: string | undefined;
  readonly cwd: string;
}

/** How a worker is run. */
export interface WorkerSettings extends QueuePlace {
  /** Jobs at a time. */
  readonly jobs: number;
  readonly memoryBytes?: number | undefined;
  /** Ends after so many seconds without a job; default: never. */
  readonly idleSeconds?: number | undefined;
  readonly signal: AbortSignal;
  readonly onEvent: (event: WorkerEvent) => void;
}

/** Serves a queue until the signal. @throws ERR_USAGE, ERR_QUEUE, ERR_STORE, ERR_STORE_NOT_SHARED */
export async function runWorker(settings: WorkerSettings): Promise<{ done: number; failed: number }> {
  const { cwd, jobs, memoryBytes, idleSeconds, signal, onEvent } = settings;
  const { address, store } = placeOf(settings);
  let isNew = false;
  const opened = await openStore(store, { make: false }).catch(async (error) => {
    if (!isNoStore(error)) throw error;
    isNew = true;
    return await openStore(store);
  });
  if (isNew) onEvent({ type: "made", place: store });
  return await serveQueue({
    ...{ address, store: opened, entry: threadEntry, threads: jobs, memoryBytes, cwd, signal, onEvent },
    idleMs: idleSeconds === undefined ? undefined : 1000 * idleSeconds,
    packages: await workerPackages(cwd),
  });
}

/** A queue as it is, and how many jobs were taken out of it before where that was asked. */
export type StatusDocument = QueueStatus & { readonly removed?: number };

/**
 * Looks at a queue.
 *
 * @param place.empty - takes out first what waits or failed
 * @throws ERR_USAGE, ERR_QUEUE, ERR_STORE where there is no store
 */
export async function runStatus(place: QueuePlace & { readonly empty?: boolean }): Promise<StatusDocument> {
  const { address, store } = placeOf(place);
  const { cwd } = place;
  const opened = await openStore(store, { make: false });
  const removed = place.empty ? { removed: await emptyQueue({ address, cwd }) } : {};
  return { ...(await queueStatus({ address, store: opened, cwd })), ...removed };
}

/** What `secateur status` prints for people. */
export function statusText(document: StatusDocument): string {
  const { queue, waiting, active, delayed, failed, failures, workers, removed } = document;
  const emptied = removed === undefined ? "" : `${removed} jobs taken out of the queue\n`;
  const counts = `${emptied}${queue}: ${waiting} jobs waiting, ${active} running, ${delayed} put off, ${failed} failed in the last hour\n`;
  const reasons = failures.map(({ label, reason }) => `  ${plainText(label)}: ${plainText(reason)}\n`).join("");
  const table = formatTable(
    [{ title: "worker" }, { title: "done" }, { title: "memory" }, { title: "runs now", wrap: 60 }],
    workers.map((one) =>
      [one.where, String(one.done), formatBytes(one.memoryBytes), one.running.join(", ")].map(plainText),
    ),
  );
  return `${counts}${reasons}${workers.length === 0 ? "no workers\n" : table}`;
}

/** What a worker's event is for people; labels come from other machines, and must not steer the terminal. */
export function workerText(event: WorkerEvent): string {
  return plainText(wordsOf(event));
}

function wordsOf(event: WorkerEvent): string {
  switch (event.type) {
    case "ready":
      return `${event.where}: ready`;
    case "started":
    case "finished":
      return `${event.type} ${event.label}`;
    case "back":
      return `given back ${event.label}`;
    case "failed":
      return `failed ${event.label}: ${event.message}`;
    case "left":
      return `left ${event.label} to other workers: ${event.reason}`;
    case "made":
      return `made a new store at ${event.place}: where another was meant, its path is mistyped or its disk is not mounted`;
    case "found":
      return "the queue answers again";
    case "lost":
      return `the connection to the queue was lost (${event.reason}); it is tried again`;
    default:
      return event satisfies never;
  }
}

function placeOf({ queue, store }: QueuePlace): { address: ReturnType<typeof parseQueueAddress>; store: string } {
  if (queue === undefined) {
    throw badUsage(
      "--queue is missing; give the address of the queue, such as redis://HOST:6379, or set SECATEUR_QUEUE",
    );
  }
  if (store === undefined)
    throw badUsage("--store is missing; give the folder that submitters and workers share, or set SECATEUR_STORE");
  return { address: parseQueueAddress(queue), store };
}
