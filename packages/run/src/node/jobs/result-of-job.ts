/** One job to its end, and what it gave. */
import type { RunContext } from "@secateur/core";
import { type Job, type JobEvent, readResult, runPlan } from "@secateur/jobs";
import type { JobNote } from "../layers-apart/job-notes.ts";
import type { WorkPlace } from "./work-place.ts";

/** Runs the job, or finds it finished; tells what it noted, and `onEvent` how far it is. @throws its error; ERR_ABORTED where the context is aborted */
export async function resultOfJob<T extends { readonly notes: readonly JobNote[] }>(
  job: Job,
  place: Pick<WorkPlace, "store" | "executor">,
  ctx: RunContext,
  onEvent?: (event: JobEvent) => void,
): Promise<T> {
  const { store } = place;
  const executor = await place.executor([job]);
  const [outcome] = await runPlan({
    jobs: [job],
    store,
    executor,
    signal: ctx.signal,
    ...(onEvent ? { onEvent } : {}),
  });
  if ("error" in outcome!) throw outcome.error;
  const result = (await readResult(store, job.id, outcome!.record)) as unknown as T;
  for (const note of result.notes) ctx.report(note);
  return result;
}
