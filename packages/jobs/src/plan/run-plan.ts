/** A graph of jobs, run by whatever executor: those whose predecessors are finished are handed out, finished ones never again. */
import { setMaxListeners } from "node:events";
import { isPruneError, type PruneError } from "@secateur/core";
import { badPlan, cancelled } from "../errors.ts";
import type { Hash, Job, JobRecord } from "../job/job.ts";
import { findRecord } from "../job/perform-job.ts";
import type { Store } from "../store/store.ts";

/** What happens to jobs, as plain data. */
export type JobEvent =
  | { readonly type: "reused" | "started"; readonly job: Job; readonly where: string }
  | { readonly type: "finished"; readonly job: Job; readonly record: JobRecord; readonly waitedMs: number }
  | { readonly type: "failed"; readonly job: Job; readonly error: PruneError }
  /** How far a running job is; `text` is for people. */
  | { readonly type: "progress"; readonly job: Job; readonly where: string; readonly text: string }
  /** Something about the executor that people should know. */
  | { readonly type: "note"; readonly level: "info" | "warn"; readonly code: string; readonly message: string };

/** What became of a job. */
export type JobOutcome =
  | {
      readonly state: "finished" | "reused";
      readonly job: Job;
      readonly record: JobRecord;
      /** Milliseconds between being handed out and being begun; 0 of one that was reused. */
      readonly waitedMs: number;
    }
  | { readonly state: "failed" | "skipped" | "cancelled"; readonly job: Job; readonly error: PruneError };

/** Runs single jobs somewhere. */
export interface Executor {
  /**
   * Runs a job whose predecessors are finished; called for many at once.
   *
   * @returns once the result is in the store: its record, and how long it waited to be begun
   * @throws what the job throws; ERR_ABORTED after an abort
   */
  submit(
    job: Job,
    around: { readonly signal: AbortSignal; readonly onEvent: (event: JobEvent) => void },
  ): Promise<{ readonly record: JobRecord; readonly waitedMs: number }>;
  /** Gives back what it holds: threads, connections. */
  close(): Promise<void>;
}

/** What a plan is run with. */
export interface PlanSpec {
  /** Predecessors stand before those that wait for them. */
  readonly jobs: readonly Job[];
  readonly store: Store;
  readonly executor: Executor;
  /** An abort ends the jobs at their next safe points; what is finished stays. */
  readonly signal: AbortSignal;
  readonly onEvent?: (event: JobEvent) => void;
}

/**
 * Begins a plan. A job that fails costs those that wait for it (they are skipped), and no others.
 *
 * @returns the outcome of every job, by its id, as promises that never reject but for defects
 * @throws ERR_PLAN for a job that waits for one that does not stand before it
 */
export function startPlan(spec: PlanSpec): ReadonlyMap<Hash, Promise<JobOutcome>> {
  const { jobs } = spec;
  // Every job that is handed out listens to it: Node warns of more than ten, which are no leak here.
  const signal = AbortSignal.any([spec.signal]);
  setMaxListeners(0, signal);
  const seen = new Set<Hash>();
  for (const { id, content, label } of jobs) {
    const missing = content.after.find((one) => !seen.has(one));
    if (missing !== undefined) throw badPlan(label, missing);
    seen.add(id);
  }
  // All are looked up before one is handed out, so that they are handed out in their order, however fast the store answers for each.
  const found = Promise.all([...seen].map(async (id) => [id, await findRecord(spec.store, id)] as const));
  const records = found.then((entries) => new Map(entries));
  const outcomes = new Map<Hash, Promise<JobOutcome>>();
  for (const job of jobs) {
    if (outcomes.has(job.id)) continue;
    const before = job.content.after.map((id) => outcomes.get(id)!);
    const outcome = runOne({ ...spec, signal }, { job, before, records });
    outcome.catch(() => {}); // a defect is thrown to whoever asks for it
    outcomes.set(job.id, outcome);
  }
  return outcomes;
}

/** Runs a plan to its end. @returns the outcomes in the order of the jobs */
export async function runPlan(spec: PlanSpec): Promise<readonly JobOutcome[]> {
  const outcomes = startPlan(spec);
  return await Promise.all(spec.jobs.map(({ id }) => outcomes.get(id)!));
}

interface Turn {
  readonly job: Job;
  readonly before: readonly Promise<JobOutcome>[];
  readonly records: Promise<ReadonlyMap<Hash, JobRecord | undefined>>;
}

async function runOne(spec: PlanSpec, { job, before, records }: Turn): Promise<JobOutcome> {
  const { executor, signal, onEvent = () => {} } = spec;
  try {
    const found = (await records).get(job.id);
    for (const outcome of await Promise.all(before)) {
      if ("error" in outcome && !found) return { state: "skipped", job, error: outcome.error };
    }
    if (found) {
      onEvent({ type: "reused", job, where: found.where });
      return { state: "reused", job, record: found, waitedMs: 0 };
    }
    if (signal.aborted) throw cancelled();
    const { record, waitedMs } = await executor.submit(job, { signal, onEvent });
    onEvent({ type: "finished", job, record, waitedMs });
    return { state: "finished", job, record, waitedMs };
  } catch (error) {
    if (!isPruneError(error)) throw error;
    // What a job itself says of being interrupted does not know that finished ones are kept.
    if (error.code === "ERR_ABORTED") return { state: "cancelled", job, error: signal.aborted ? cancelled() : error };
    onEvent({ type: "failed", job, error });
    return { state: "failed", job, error };
  }
}
