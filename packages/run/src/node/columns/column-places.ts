/** Where the shards of the columns are: in this process, in threads of it, or with the workers of a queue. */
import { mkdtemp, rm } from "node:fs/promises";
import { freemem, hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { aborted } from "@secateur/core";
import { type Brought, isMemberLost, type JobOutcome, type Meeting, openMeeting, startPlan } from "@secateur/jobs";
import {
  type ColumnShard,
  columnShard,
  columnShardMethods,
  cutPanels,
  type PanelRange,
  panelColumns,
} from "@secateur/solvers-chita";
import type { Session } from "../../session.ts";
import { jobPackages } from "../jobs/job-packages.ts";
import { openWorkPlace, type WorkFlags } from "../jobs/work-place.ts";
import { columnsJob, mostResident, peakMemory, peakMethod } from "./columns-kind.ts";
import { type NpyColumns, openNpyColumns } from "./npy-columns.ts";
import { rowStorer } from "./stored-rows.ts";

/** How columns are spread. */
export interface ColumnSettings {
  /** At most so many shards: no more than panels of columns, and where there is no queue no more than workers. */
  readonly shards: number;
  readonly work: WorkFlags;
  /** By which workers of a queue reach this machine; default: its name, and any free port. */
  readonly listen?: { readonly host: string; readonly port?: number } | undefined;
  /** Bytes of rows that a shard keeps in memory; the others are read again at every pass. Default: a share of the free memory where it is, at most 3 GiB. */
  readonly memoryBytes?: number | undefined;
  readonly cwd: string;
}

/** Who held columns, and the most memory that its process had. */
export interface ColumnPlace {
  readonly where: string;
  readonly shards: number;
  /** 0 where it could not be asked. */
  readonly peakBytes: number;
}

/** The file that threads start: beside this one, compiled or not. */
const threadEntry = new URL(
  import.meta.url.endsWith(".ts") ? "./column-thread.ts" : "./column-thread.js",
  import.meta.url,
);

/** Workers that are done have so long to say so; the result does not wait for them longer. */
const settleMs = 5000;

type Spec = ColumnSettings & {
  readonly session: Session;
  readonly source: NpyColumns;
  readonly paths: readonly string[];
};
type Solve<T> = (shards: readonly ColumnShard[]) => Promise<T>;

/** What was solved, and where. */
interface Solved<T> {
  readonly solved: T;
  readonly places: readonly ColumnPlace[];
}

/**
 * Runs `solve` on the shards, wherever they are; again from the start where a worker was lost and another took its place.
 *
 * @param spec.paths - absolute, of the files of the rows
 * @throws ERR_QUEUE, ERR_STORE, ERR_MEETING, what `solve` and the shards throw
 */
export async function withColumns<T>(spec: Omit<Spec, "source">, solve: Solve<T>): Promise<Solved<T>> {
  const { work, paths } = spec;
  const source = await openNpyColumns(paths);
  try {
    const panels = cutPanels(source.size, spec.shards);
    const shards = work.queue === undefined ? Math.min(panels.length, work.workers ?? 1) : panels.length;
    const whole = { ...spec, source };
    if (work.queue === undefined && shards === 1) return await solveHere(whole, solve);
    return await solveElsewhere(whole, { ranges: cutPanels(source.size, shards), solve });
  } finally {
    source.close();
  }
}

async function solveHere<T>({ source, session, memoryBytes }: Spec, solve: Solve<T>): Promise<Solved<T>> {
  const { kernels, signal } = session;
  const residentBytes = memoryBytes ?? Math.min(mostResident, freemem() / 2);
  const [range] = cutPanels(source.size, 1);
  const shard = columnShard({
    ...{ source, range: range!, panel: panelColumns, residentBytes, kernels },
    // A signal is heard between panels.
    async pause() {
      await nextTurn();
      if (signal.aborted) throw aborted(signal.reason);
    },
  });
  try {
    const solved = await solve([shard]);
    return { solved, places: [{ where: "this process", shards: 1, peakBytes: peakMemory() }] };
  } finally {
    shard.release();
  }
}

/** Opens what members need, one thing after the other, and closes in turn what was opened; closing throws nothing over a result. */
async function solveElsewhere<T>(
  spec: Spec,
  { ranges, solve }: { ranges: readonly PanelRange[]; solve: Solve<T> },
): Promise<Solved<T>> {
  const { work, session, source, listen, cwd, paths, memoryBytes } = spec;
  const isQueued = work.queue !== undefined;
  const stop = new AbortController();
  const signal = AbortSignal.any([session.signal, stop.signal]);
  const undo: (() => unknown)[] = [() => stop.abort()];
  try {
    const own = isQueued || work.store !== undefined ? "" : await mkdtemp(join(tmpdir(), "secateur-columns-"));
    if (own !== "") undo.push(() => rm(own, { recursive: true, force: true }));
    const place = await openWorkPlace({
      ...{ flags: { ...work, workers: isQueued ? undefined : ranges.length }, fallback: own, cwd, session },
      entry: threadEntry,
      onEvent: (event) => event.type === "note" && session.onEvent(event),
    });
    undo.push(() => place.close());
    const meeting = await openMeeting(isQueued ? (listen ?? { host: hostname() }) : { host: "127.0.0.1" });
    undo.push(() => meeting.close());
    const packages = await jobPackages({ session, found: [], data: "npy:", cwd });
    const local = isQueued ? {} : { paths, residentBytes: Math.min(mostResident, freemem() / 2 / ranges.length) };
    const storeRows = rowStorer({ store: place.store, source, signal, ranges: isQueued ? ranges : [] });
    const jobs = [];
    for (const [index, { from, to }] of ranges.entries()) {
      const settings = {
        ...{
          seed: session.seed,
          kernels: session.kernelChoice,
          place: meeting.place,
          name: String(index + 1),
          from,
          to,
        },
        ...local,
        ...(memoryBytes === undefined ? {} : { residentBytes: memoryBytes }),
      };
      const { rows, ...first } = isQueued ? await storeRows({ from, to }) : { rows: [] };
      jobs.push(columnsJob({ ...settings, ...first }, { packages, rows }));
    }
    const executor = await place.executor(jobs);
    const outcomes = [...startPlan({ jobs, store: place.store, executor, signal }).values()];
    const names = ranges.map((_range, index) => String(index + 1));
    const solving = solveTogether({ session, signal, meeting, names, isQueued, solve });
    try {
      const result = await Promise.race([firstFailure(outcomes), solving]);
      await meeting.close();
      await within(Promise.allSettled(outcomes), undefined);
      return result;
    } finally {
      stop.abort();
      await meeting.close();
      await solving.catch(() => {});
    }
  } finally {
    for (const one of undo.reverse()) await Promise.resolve(one()).catch(() => {});
  }
}

/** Solves on what members bring; from the start with others where one was lost, to the same bytes. */
export async function solveTogether<T>(spec: {
  session: Session;
  signal: AbortSignal;
  meeting: Meeting;
  names: readonly string[];
  isQueued: boolean;
  solve: Solve<T>;
}): Promise<Solved<T>> {
  const { session, signal, meeting, names, isQueued, solve } = spec;
  const note = (code: string, message: string): void => session.onEvent({ type: "note", level: "warn", code, message });
  for (;;) {
    const brought = await meeting.all(names, {
      signal,
      onMissing(missing) {
        const shown =
          missing.length > 8 ? `${missing.slice(0, 8).join(", ")} and ${missing.length - 8} more` : missing.join(", ");
        const message = `nobody holds shard ${shown} of the columns yet: each takes a worker's job of its own as long as the solve lasts, and two solves at a time need as many as both have`;
        // Threads come by themselves.
        if (isQueued) note("columns-missing", message);
      },
    });
    let solved: T;
    try {
      solved = await solve(brought.map(remoteShard));
    } catch (error) {
      if (!isMemberLost(error) || signal.aborted) throw error;
      note("columns-lost", `${(error as Error).message}; the solve begins again then`);
      continue;
    }
    return { solved, places: await placesOf(brought) };
  }
}

/** Asks members for the most memory that they had; one that is gone cannot say. */
async function placesOf(brought: readonly Brought[]): Promise<readonly ColumnPlace[]> {
  const places = new Map<string, ColumnPlace>();
  for (const { where, call } of brought) {
    const asked = call(peakMethod) as Promise<number>;
    const peakBytes = await within(
      asked.catch(() => 0),
      0,
    );
    places.set(where, { where, shards: (places.get(where)?.shards ?? 0) + 1, peakBytes });
  }
  return [...places.values()];
}

/** What it gives, or something else where it takes too long. */
async function within<T, E>(work: Promise<T>, otherwise: E): Promise<T | E> {
  let late: NodeJS.Timeout | undefined;
  const end = new Promise<E>((resolve) => {
    late = setTimeout(() => resolve(otherwise), settleMs);
  });
  return await Promise.race([work, end]).finally(() => clearTimeout(late));
}

function remoteShard(brought: Brought): ColumnShard {
  return Object.fromEntries(
    columnShardMethods.map((method) => [method, (argument: unknown) => brought.call(method, argument)]),
  ) as unknown as ColumnShard;
}

/** Rejects with the error of the first job that fails; never resolves. */
async function firstFailure(outcomes: readonly Promise<JobOutcome>[]): Promise<never> {
  return await new Promise((_resolve, reject) => {
    for (const one of outcomes) void one.then((outcome) => "error" in outcome && reject(outcome.error), reject);
  });
}
