/** Jobs one after the other in this thread: nothing to start, and nothing that could be in two places. */

import type { RunEvent } from "@secateur/core";
import { cancelled } from "../errors.ts";
import { type JobKinds, performJob } from "../job/perform-job.ts";
import type { Store } from "../store/store.ts";
import { progressText } from "../threads/progress-text.ts";
import type { Executor } from "./run-plan.ts";

/** An executor that runs jobs itself, one at a time, in the order in which they come. @param spec.onRunEvent - told what happens within jobs */
export function inProcess(spec: { store: Store; kinds: JobKinds; onRunEvent?: (event: RunEvent) => void }): Executor {
  const { store, kinds, onRunEvent = () => {} } = spec;
  const where = "this process";
  let last: Promise<unknown> = Promise.resolve();
  return {
    async submit(job, { signal, onEvent }) {
      const handedOut = performance.now();
      const turn = last.then(async () => {
        if (signal.aborted) throw cancelled();
        const waitedMs = performance.now() - handedOut;
        onEvent({ type: "started", job, where });
        const tell = (event: RunEvent): void => {
          const text = progressText(event);
          if (text === undefined) onRunEvent(event);
          else onEvent({ type: "progress", job, where, text });
        };
        const record = await performJob({ job, kinds, where }, { store, signal, onEvent: tell });
        return { record, waitedMs };
      });
      last = turn.catch(() => {});
      return await turn;
    },
    close: async () => {},
  };
}
