/** What a thread of a pool does: waits for the id of a job, runs it, says what became of it. */
import { parentPort, workerData } from "node:worker_threads";
import { type JobKinds, performJob, readJob } from "../job/perform-job.ts";
import { openStore } from "../store/open-store.ts";
import { errorData } from "./error-data.ts";
import type { FromThread, ThreadData, ToThread } from "./messages.ts";

/** Progress within a job is told this often at most: a message costs both sides time. */
const progressMs = 250;

/**
 * Serves the jobs that a pool hands to this thread. To be called once, by the file that the pool starts.
 *
 * @param kindsIn - what the thread can run: functions of its own program, which look for plugins from a folder and, where the process has a limit, keep to their share of it
 */
export async function serveJobs(kindsIn: (cwd: string, shareBytes: number | undefined) => JobKinds): Promise<void> {
  if (!parentPort) throw new Error("serveJobs runs in a thread that a pool started");
  const port = parentPort;
  const say = (message: FromThread): void => port.postMessage(message);
  const { place, cwd, shareBytes } = workerData as ThreadData;
  const kinds = kindsIn(cwd, shareBytes);
  const store = await openStore(place);
  let running = new AbortController();
  port.on("message", (message: ToThread) => {
    if (message.type === "abort") {
      running.abort();
      return;
    }
    running = new AbortController();
    void runOne(message, running.signal);
  });
  const runOne = async (
    { id, label, where, content }: ToThread & { type: "run" },
    signal: AbortSignal,
  ): Promise<void> => {
    let told = Number.NEGATIVE_INFINITY;
    try {
      const job = content ? { id, label, content } : await readJob(store, id, label);
      const record = await performJob(
        { job, kinds, where, isNew: content !== undefined },
        {
          ...{ store, signal },
          onEvent(event) {
            const now = performance.now();
            if (event.type === "progress" && now - told < progressMs) return;
            if (event.type === "progress") told = now;
            say({ type: "event", event });
          },
        },
      );
      say({ type: "done", record });
    } catch (error) {
      say({ type: "failed", error: errorData(error) });
    }
  };
}
