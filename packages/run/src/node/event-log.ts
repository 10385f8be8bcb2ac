/** A run's events as JSON lines, for programs that watch it. Every line is whole, so an interrupted log is still readable. */
import { type FileHandle, open } from "node:fs/promises";
import { finished } from "node:stream/promises";
import type { RunEvent } from "@secateur/core";

/** Writes events to a file until closed. */
export interface EventLog {
  write(event: RunEvent): void;
  /** Flushes. What went wrong while writing costs no result, so it is given back rather than thrown. */
  close(): Promise<Error | undefined>;
}

/** Progress within one task is written at most this often; all other events always. */
const progressEveryMs = 100;

/**
 * Opens an event log.
 *
 * @param path - absolute; its place has been checked
 * @param options.append - go on after what is there (a resumed run) instead of replacing it
 */
export async function openEventLog(path: string, options: { append: boolean }): Promise<EventLog> {
  const handle: FileHandle = await open(path, options.append ? "a" : "w");
  const stream = handle.createWriteStream();
  const done = finished(stream).then(
    () => undefined,
    (error: Error) => error,
  );
  const started = performance.now();
  let lastTask = "";
  let lastWritten = Number.NEGATIVE_INFINITY;
  return {
    write(event) {
      const atMs = performance.now() - started;
      if (event.type === "progress") {
        const isDone = event.done === event.total;
        if (event.task === lastTask && !isDone && atMs - lastWritten < progressEveryMs) return;
        lastTask = event.task;
        lastWritten = atMs;
      }
      stream.write(`${JSON.stringify({ atMs: Math.round(atMs), ...event })}\n`);
    },
    async close() {
      stream.end();
      return await done;
    },
  };
}
