/** What a queue holds and who serves it. */
import { foreignQueue } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { isMessage } from "./message.ts";
import { openServer, refuseForeign } from "./open-queue.ts";
import type { QueueAddress } from "./queue-address.ts";
import { listWorkers, type WorkerRecord } from "./worker-record.ts";

/** Jobs by state, and workers. */
export interface QueueStatus {
  readonly queue: string;
  readonly store: string;
  readonly waiting: number;
  readonly active: number;
  /** For other workers, or for another try. */
  readonly delayed: number;
  readonly failed: number;
  /** Of the jobs that failed in the last hour, newest first, at most ten. */
  readonly failures: readonly { readonly label: string; readonly reason: string }[];
  readonly workers: readonly WorkerRecord[];
}

/** Looks at a queue; changes nothing. @throws ERR_QUEUE */
export async function queueStatus(spec: { address: QueueAddress; store: Store; cwd: string }): Promise<QueueStatus> {
  const { address, store, cwd } = spec;
  const server = await openServer({ address, cwd, onLost: () => {} });
  const queue = server.queue();
  try {
    await refuseForeign(queue, address);
    const counts = await queue.getJobCounts("waiting", "prioritized", "active", "delayed");
    // What was called off did not fail, and a probe is no run.
    const failed = (await queue.getJobs(["failed"], 0, 999)).filter(
      ({ name, data, failedReason }) => isMessage(name, data) && !data.probe && codeOf(failedReason) !== "ERR_ABORTED",
    );
    return {
      ...{ queue: address.shown, store: store.place },
      waiting: (counts["waiting"] ?? 0) + (counts["prioritized"] ?? 0),
      ...{ active: counts["active"] ?? 0, delayed: counts["delayed"] ?? 0, failed: failed.length },
      failures: failed
        .slice(0, 10)
        .map(({ data, failedReason }) => ({ label: data.label, reason: messageOf(failedReason) })),
      // One queue has many spellings; those who share the store and serve another say so themselves.
      workers: await listWorkers(store),
    };
  } finally {
    await queue.close();
  }
}

/**
 * Takes everything out of a queue that waits, is put off or failed; what runs goes on, and finished work stays in the store.
 *
 * @returns how many jobs were taken out
 * @throws ERR_QUEUE, also where jobs of another program are in it
 */
export async function emptyQueue(spec: { address: QueueAddress; cwd: string }): Promise<number> {
  const { address, cwd } = spec;
  const server = await openServer({ address, cwd, onLost: () => {} });
  const queue = server.queue();
  try {
    await refuseForeign(queue, address);
    // Some may have gone since they were listed.
    const found = await queue.getJobs(["waiting", "prioritized", "delayed", "failed"]);
    const jobs = found.filter((job) => job !== undefined && job !== null);
    // All are looked at before one is removed.
    const other = jobs.find(({ name, data }) => !isMessage(name, data));
    if (other) throw foreignQueue(address.shown, other.name);
    // One that a worker takes meanwhile is locked, and goes on.
    const gone = await Promise.all(
      jobs.map((job) =>
        job.remove().then(
          () => 1,
          () => 0,
        ),
      ),
    );
    return gone.reduce<number>((sum, one) => sum + one, 0);
  } finally {
    await queue.close();
  }
}

function codeOf(reason: string): unknown {
  return errorIn(reason).code;
}

function messageOf(reason: string): string {
  const { message } = errorIn(reason);
  return typeof message === "string" ? message : reason;
}

/** An error as data; of the queue's own words nothing. */
function errorIn(reason: string): { readonly code?: unknown; readonly message?: unknown } {
  try {
    return (JSON.parse(reason) ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  } catch {
    return {};
  }
}
