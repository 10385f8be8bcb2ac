/** The SHA-256 of files. Large ones are hashed in threads, as many at a time as there are processors: one core does little more than a gigabyte a second. */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { cancelled } from "../errors.ts";
import type { Hash } from "../job/job.ts";

/** The file that threads start. It lies beside this one, in the sources and where they are joined: everything joined lies in dist itself. */
const threadEntry = new URL(import.meta.url.endsWith(".ts") ? "./hash-thread.ts" : "./hash-thread.js", import.meta.url);

/** Below, starting a thread takes longer than hashing. */
const largeBytes = 2 ** 26;
const pieceBytes = 2 ** 22;

let running = 0;
const waiting: (() => void)[] = [];

/** @throws what the system says of a file that cannot be read; ERR_ABORTED */
export async function hashFile(path: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Hash> {
  if (signal?.aborted) throw cancelled();
  if ((await stat(path)).size < largeBytes) return hashFileHere(path);
  while (running >= availableParallelism()) await new Promise<void>((resolve) => waiting.push(resolve));
  running += 1;
  try {
    return await hashInThread(path, signal);
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

/** In this thread, which does nothing else meanwhile. */
export function hashFileHere(path: string): Hash {
  const hash = createHash("sha256");
  const piece = new Uint8Array(pieceBytes);
  const file = openSync(path, "r");
  try {
    for (let read = readSync(file, piece); read > 0; read = readSync(file, piece)) hash.update(piece.subarray(0, read));
  } finally {
    closeSync(file);
  }
  return hash.digest("hex");
}

async function hashInThread(path: string, signal: AbortSignal | undefined): Promise<Hash> {
  if (signal?.aborted) throw cancelled();
  const thread = new Worker(threadEntry, { workerData: path });
  let stop = (): void => {};
  const hashing = new Promise<Hash>((resolve, reject) => {
    stop = () => {
      reject(cancelled());
      void thread.terminate();
    };
    signal?.addEventListener("abort", stop, { once: true });
    thread.once("message", resolve);
    thread.once("error", reject);
    thread.once("exit", (code) => reject(new Error(`hashing ${path} ended with exit code ${code}`)));
  });
  return await hashing.finally(() => signal?.removeEventListener("abort", stop));
}
