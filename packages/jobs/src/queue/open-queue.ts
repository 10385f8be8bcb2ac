/** BullMQ's classes on the server of an address: Redis, or PostgreSQL by the same interface. */
import type { Queue, QueueEvents, Worker, WorkerOptions } from "bullmq";
import { foreignQueue } from "../errors.ts";
import { checkServer } from "./check-server.ts";
import { loadBullMq } from "./load-packages.ts";
import { isMessage, type Message } from "./message.ts";
import type { QueueAddress } from "./queue-address.ts";

/** What a job gives back to the queue; its result is in the store. */
export interface Answer {
  readonly waitedMs: number;
}

export type JobQueue = Queue<Message, Answer>;

/** Makes a queue's parts. */
export interface QueueServer {
  readonly bullmq: typeof import("bullmq");
  queue(): JobQueue;
  events(): QueueEvents;
  worker(
    run: ConstructorParameters<typeof Worker<Message, Answer>>[1],
    options: Omit<WorkerOptions, "connection">,
  ): Worker<Message, Answer>;
}

/**
 * Checks the server and opens it.
 *
 * @param spec.onLost - told when the connection is lost; it comes back by itself
 * @throws ERR_QUEUE
 */
export async function openServer(spec: {
  address: QueueAddress;
  cwd: string;
  onLost: (reason: string) => void;
}): Promise<QueueServer> {
  const { address, cwd, onLost } = spec;
  const bullmq = await loadBullMq(address, cwd);
  await checkServer(address, cwd);
  const isRedis = address.backend === "redis";
  // Commands wait for a server that is away for a while: it is only left when whoever uses it ends.
  const connection = isRedis
    ? {
        ...address.connection,
        maxRetriesPerRequest: null,
        retryStrategy: (times: number) => Math.min(2000, 100 * times),
      }
    : { ...address.connection, migrate: true, max: 4 };
  const options = { connection: connection as never };
  const factory = isRedis ? [] : [bullmq.createPostgresBackend as never];
  const heard = <T extends { on(event: "error", listener: (error: Error) => void): unknown }>(part: T): T => {
    part.on("error", (error) => {
      const text = error.message || String((error as { code?: string }).code);
      // Of a job that was given to another meanwhile, or a server that came back without it: its result is in the store, and nothing is lost.
      if (!/^(Missing (key|lock) for job|could not renew lock for job)/i.test(text)) onLost(text);
    });
    return part;
  };
  return {
    bullmq,
    queue: () => heard(new bullmq.Queue<Message, Answer>(address.name, options, ...(factory as []))),
    events: () => heard(new bullmq.QueueEvents(address.name, options, ...(factory as []))),
    worker: (run, more) =>
      heard(new bullmq.Worker<Message, Answer>(address.name, run, { ...options, ...more }, ...(factory as []))),
  };
}

/** Looks at some jobs of the queue, and at what it says of itself. @throws ERR_QUEUE where one is of another program */
export async function refuseForeign(queue: JobQueue, { shown }: QueueAddress): Promise<void> {
  try {
    await queue.getVersion();
    for (const job of await queue.getJobs(["waiting", "active", "delayed", "prioritized"], 0, 19)) {
      if (job && !isMessage(job.name, job.data)) throw foreignQueue(shown, job.name);
    }
  } catch (error) {
    // A key of its name is no part of a queue, which the server says in words and in no other way.
    const { message: text = "" } = error as { message?: string };
    throw /\bWRONGTYPE\b/.test(text) ? foreignQueue(shown, "a key of this name") : error;
  }
}
