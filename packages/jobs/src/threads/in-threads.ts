/** Jobs in several threads of this process. */
import type { RunEvent } from "@secateur/core";
import { describeJob } from "../job/perform-job.ts";
import type { Executor } from "../plan/run-plan.ts";
import type { Store } from "../store/store.ts";
import { progressText } from "./progress-text.ts";
import { threadPool } from "./thread-pool.ts";

/**
 * An executor of so many threads.
 *
 * @param spec.entry - the file that calls `serveJobs`
 * @param spec.cwd - the folder from which jobs look for plugins
 */
export function inThreads(spec: {
  store: Store;
  entry: URL;
  threads: number;
  cwd: string;
  onRunEvent?: (event: RunEvent) => void;
}): Executor {
  const { store, entry, threads, cwd, onRunEvent = () => {} } = spec;
  const pool = threadPool({ entry, size: threads, store: store.place, cwd });
  let last: Promise<void> = Promise.resolve();
  return {
    async submit(job, { signal, onEvent }) {
      const handedOut = performance.now();
      let waitedMs = 0;
      let at = "";
      // One after the other, so that threads begin them in their order.
      const described = last.then(() => describeJob(store, job));
      last = described.catch(() => {});
      await described;
      const record = await pool.run(
        { id: job.id, label: job.label },
        {
          where: (thread) => `thread ${thread + 1}`,
          signal,
          onStart(where) {
            at = where;
            waitedMs = performance.now() - handedOut;
            onEvent({ type: "started", job, where });
          },
          onEvent(event) {
            const text = progressText(event);
            if (text === undefined) onRunEvent(event);
            else onEvent({ type: "progress", job, where: at, text });
          },
        },
      );
      return { record, waitedMs };
    },
    close: () => pool.close(),
  };
}
