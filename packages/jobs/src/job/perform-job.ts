/** Runs one job: what it reads comes from the store, what it gives goes there, and a record says that it is done. */
import { isPruneError, type RunEvent } from "@secateur/core";
import { notReproduced, unknownKind } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { decodeJson, encodeInOrder, encodeJson, type Json } from "./canonical-json.ts";
import { contentJson, type Hash, hashOf, type Job, type JobContent, type JobRecord } from "./job.ts";

/** What a job works with. */
export interface JobSurroundings {
  readonly store: Store;
  /** Aborts at the job's next safe point. */
  readonly signal: AbortSignal;
  onEvent(event: RunEvent): void;
}

/** How jobs of one kind are run. What it gives depends on nothing but its content. */
export type JobKind = (content: JobContent, around: JobSurroundings) => Promise<{ result: Json; measured?: Json }>;

/** The kinds that a program knows, by name. */
export type JobKinds = Readonly<Record<string, JobKind>>;

/** Where the record of a finished job lies in a store. */
export function recordName(id: Hash): string {
  return `results/${id}`;
}

/** The record of a job; undefined where it is not finished, or where a power cut left a part of the record. */
export async function findRecord(store: Store, id: Hash): Promise<JobRecord | undefined> {
  const bytes = await store.read(recordName(id));
  if (!bytes) return undefined;
  try {
    const record = decodeJson(bytes) as Partial<JobRecord> | null;
    return typeof record?.result === "string" ? (record as JobRecord) : undefined;
  } catch {
    return undefined;
  }
}

/** Of bytes that are not there, or not what they were. */
const lost: ReadonlySet<string> = new Set(["ERR_BLOB_MISSING", "ERR_BLOB_DAMAGED"]);

/** The result of a finished job. A damaged one counts as not finished from then on. @throws ERR_BLOB_MISSING, ERR_BLOB_DAMAGED */
export async function readResult(store: Store, id: Hash, record: JobRecord): Promise<Json> {
  try {
    return decodeJson(await store.get(record.result));
  } catch (error) {
    if (isPruneError(error) && lost.has(error.code)) await store.remove(recordName(id));
    throw error;
  }
}

/** Puts what a job is into the store, under its id. */
export async function describeJob(store: Store, job: Job): Promise<void> {
  await store.put(encodeJson(contentJson(job.content)));
}

/** What a job is, from the store. @throws ERR_BLOB_MISSING, ERR_BLOB_DAMAGED */
export async function readJob(store: Store, id: Hash, label: string): Promise<Job> {
  return { id, label, content: decodeJson(await store.get(id)) as unknown as JobContent };
}

/**
 * Runs a job that is not finished and keeps what it gives.
 *
 * @param spec.where - who runs it, for people
 * @param spec.isNew - whether it was not finished a moment ago; default: that is looked up
 * @returns the record, new or found
 * @throws ERR_JOB_KIND, ERR_NOT_REPRODUCED, what the kind throws, what the store throws
 */
export async function performJob(
  spec: { job: Job; kinds: JobKinds; where: string; isNew?: boolean },
  around: JobSurroundings,
): Promise<JobRecord> {
  const { job, kinds, where } = spec;
  const { store } = around;
  const before = spec.isNew ? undefined : await findRecord(store, job.id);
  if (before) return before;
  const kind = Object.hasOwn(kinds, job.content.kind) ? kinds[job.content.kind] : undefined;
  if (!kind) throw unknownKind(job.content.kind, Object.keys(kinds));
  const started = performance.now();
  const { result, measured = {} } = await kind(job.content, around);
  const ms = performance.now() - started;
  const bytes = encodeInOrder(result);
  // Somebody may have finished it meanwhile, where a lock was lost: the same bytes, or something is wrong.
  const other = await findRecord(store, job.id);
  if (other && other.result !== hashOf(bytes)) {
    throw notReproduced({ label: job.label, before: other.result, now: hashOf(bytes) });
  }
  if (other) return other;
  const record = { result: await store.put(bytes), measured, where, ms };
  await store.write(recordName(job.id), encodeJson(record));
  return record;
}
