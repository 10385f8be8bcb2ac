/** The jobs of a command with one view of all workers, and a report of what ran where. */
import { type Job, type JobEvent, type JobOutcome, type Json, readResult, startPlan } from "@secateur/jobs";
import type { Session } from "../../session.ts";
import type { WorkPlace } from "./work-place.ts";

/** One job, as reports show it. It is no part of a result: it differs between runs. */
export interface JobReport {
  readonly job: string;
  readonly state: JobOutcome["state"];
  /** Who computed it, now or in an earlier run. */
  readonly where?: string;
  /** Milliseconds between being handed out and being begun. */
  readonly waitedMs?: number;
  /** Milliseconds that computing it took. */
  readonly ms?: number;
}

/** Jobs that were handed out. */
export interface RunningJobs {
  /** What a job gave and what was measured along the way. @throws its error */
  result(job: Job): Promise<{ result: Json; measured: Json }>;
  /** Every job that is over, in the order of the plan. */
  report(): readonly JobReport[];
}

/** Hands jobs out; progress of all of them goes to the session as one. */
export async function startJobs(spec: {
  jobs: readonly Job[];
  place: Pick<WorkPlace, "store" | "executor">;
  session: Session;
}): Promise<RunningJobs> {
  const { jobs, place, session } = spec;
  const { store } = place;
  const executor = await place.executor(jobs);
  const running = new Map<string, string>();
  const reports = new Map<string, JobReport>();
  let done = 0;
  const onEvent = (event: JobEvent): void => {
    if (event.type === "note") {
      session.onEvent(event);
      return;
    }
    const { id, label } = event.job;
    if (event.type === "progress") running.set(id, `${label} (${event.where}: ${event.text})`);
    else if (event.type === "started") running.set(id, `${label} (${event.where})`);
    else {
      running.delete(id);
      done += 1;
    }
    session.onEvent({ type: "progress", task: shown([...running.values()]), done, total: jobs.length, values: {} });
  };
  const outcomes = startPlan({ jobs, store, executor, signal: session.signal, onEvent });
  return {
    async result({ id }) {
      const outcome = await outcomes.get(id)!;
      reports.set(id, reportOf(outcome));
      if ("error" in outcome) throw outcome.error;
      const { record } = outcome;
      return { result: await readResult(store, id, record), measured: record.measured };
    },
    report: () => jobs.flatMap(({ id }) => reports.get(id) ?? []),
  };
}

/** At most three of the running jobs, for one line. */
function shown(running: readonly string[]): string {
  const more = running.length > 3 ? ` and ${running.length - 3} more` : "";
  return running.length === 0 ? "jobs" : `${running.slice(0, 3).join(", ")}${more}`;
}

function reportOf(outcome: JobOutcome): JobReport {
  const { job, state } = outcome;
  if ("error" in outcome) return { job: job.label, state };
  const { record, waitedMs } = outcome;
  return { job: job.label, state, where: record.where, waitedMs, ms: record.ms };
}
