/** What a pool and its threads say to each other. A thread is told what a job is, never code. */
import type { Fault, RunEvent } from "@secateur/core";
import type { JobContent, JobRecord } from "../job/job.ts";

/** What a thread is started with. */
export interface ThreadData {
  /** Of the store. */
  readonly place: string;
  readonly cwd: string;
  /** Of the memory that the process may take; absent: no limit. */
  readonly shareBytes: number | undefined;
}

/** To a thread. */
export type ToThread =
  | {
      readonly type: "run";
      readonly id: string;
      readonly label: string;
      readonly where: string;
      /** Of a job that was read and looked up a moment ago, so that it need not be again. */
      readonly content?: JobContent | undefined;
    }
  | { readonly type: "abort" };

/** An error as data: threads copy messages, and would lose its code. */
export interface ErrorData {
  readonly code: string;
  readonly message: string;
  readonly fault: Fault;
  readonly details: Readonly<Record<string, unknown>>;
}

/** From a thread. */
export type FromThread =
  | { readonly type: "event"; readonly event: RunEvent }
  | { readonly type: "done"; readonly record: JobRecord }
  | { readonly type: "failed"; readonly error: ErrorData };
