/** Where the shards of the columns are: in this process, in threads of it, or with the workers of a queue. */
import { mkdtemp, rm } from "node:fs/promises";
import { freemem, hostname, tmpdir } from "node:os";
import { basename, join } from "node:path";
import {
  type Brought,
  encodeJson,
  isMemberLost,
  type Job,
  type JobOutcome,
  openMeeting,
  startPlan,
} from "@secateur/jobs";
import { type ColumnShard, columnShard, columnShardMethods, cutPanels, panelColumns } from "@secateur/solvers-chita";
import type { Session } from "../../session.ts";
import { jobPackages } from "../jobs/job-packages.ts";
import { openWorkPlace, type WorkFlags } from "../jobs/work-place.ts";
import { columnsJob, peakMemory, peakMethod } from "./columns-kind.ts";
import { type NpyColumns, openNpyColumns } from "./npy-columns.ts";

/** How columns are spread. */
export interface ColumnSettings {
  /** How many shards; there are no more than panels of columns. */
  readonly shards: number;
  readonly work: WorkFlags;
  /** By which workers of a queue reach this machine; default: its name. */
  readonly listen?: string | undefined;
  /** Bytes of rows that a worker keeps in memory; the others are read again at every pass. Default: half of the free memory of this machine over the workers, at most 3 GiB. */
  readonly memoryBytes?: number | undefined;
  readonly cwd: string;
}

/** Who held columns, and the most memory that its process had. */
export interface ColumnPlace {
  readonly where: string;
  readonly shards: number;
  readonly peakBytes: number;
}

/** The memory of the kernels ends at 4 GiB, and takes more than rows. */
const mostResident = 3 * 2 ** 30;

/**
 * Runs `solve` on the shards, wherever they are; again from the start where a worker was lost and another took its place.
 *
 * @param spec.paths - absolute, of the files of the rows
 * @throws ERR_QUEUE, ERR_STORE, ERR_MEETING, what `solve` and the shards throw
 */
export async function withColumns<T>(
  spec: ColumnSettings & { paths: readonly string[]; session: Session },
  solve: (shards: readonly ColumnShard[]) => Promise<T>,
): Promise<{ solved: T; places: readonly ColumnPlace[] }> {
  const { work, paths } = spec;
  const source = await openNpyColumns(paths);
  try {
    const isHere = work.queue === undefined && (work.workers ?? 1) === 1;
    return isHere ? await here({ ...spec, source }, solve) : await elsewhere({ ...spec, source }, solve);
  } finally {
    source.close();
  }
}

type Spec = ColumnSettings & { paths: readonly string[]; session: Session; source: NpyColumns };

async function here<T>(spec: Spec, solve: (shards: readonly ColumnShard[]) => Promise<T>) {
  const { source, session, shards: count } = spec;
  const { kernels } = session;
  const ranges = cutPanels(source.size, count);
  const residentBytes = residentOf(spec, 1) / ranges.length;
  const shards = ranges.map((range) => columnShard({ source, range, panel: panelColumns, residentBytes, kernels }));
  try {
    const solved = await solve(shards);
    return { solved, places: [{ where: "this process", shards: shards.length, peakBytes: peakMemory() }] };
  } finally {
    for (const shard of shards) shard.release();
  }
}

function residentOf({ memoryBytes }: ColumnSettings, workers: number): number {
  return memoryBytes ?? Math.min(mostResident, freemem() / 2 / workers);
}

async function elsewhere<T>(spec: Spec, solve: (shards: readonly ColumnShard[]) => Promise<T>) {
  const { work, paths, session, source, listen, cwd } = spec;
  const ranges = cutPanels(source.size, spec.shards);
  const isQueued = work.queue !== undefined;
  // On a queue each shard is a job of its own, as many workers at a time as there are shards.
  const holders = isQueued ? ranges.length : Math.min(work.workers!, ranges.length);
  const own = isQueued || work.store !== undefined ? undefined : await mkdtemp(join(tmpdir(), "secateur-columns-"));
  const meeting = await openMeeting({ host: isQueued ? (listen ?? hostname()) : "127.0.0.1" });
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  session.signal.addEventListener("abort", abort);
  const place = await openWorkPlace({
    ...{
      flags: { ...work, workers: work.queue === undefined ? holders : undefined },
      fallback: own ?? "",
      cwd,
      session,
    },
    onEvent: (event) => event.type === "note" && session.onEvent(event),
  });
  try {
    const named = ranges.map((range, index) => ({ name: String(index + 1), range }));
    const packages = await jobPackages({ session, found: [], data: "npy:", cwd });
    const files: Record<string, string> = {};
    if (isQueued) for (const path of paths) files[basename(path)] = await place.store.putFile(path);
    const stored = isQueued ? { files: await place.store.put(encodeJson(files)) } : {};
    const jobs = Array.from({ length: holders }, (_, holder) => {
      const shards = named.filter((_one, index) => Math.floor((index * holders) / ranges.length) === holder);
      return columnsJob(
        {
          ...{ place: meeting.place, shards, panel: panelColumns, seed: session.seed, kernels: session.kernelChoice },
          residentBytes: residentOf(spec, holders) / shards.length,
          paths: isQueued ? paths.map((path) => basename(path)) : paths,
        },
        { packages, ...stored },
      );
    });
    const executor = await place.executor(jobs);
    const outcomes = startPlan({ jobs, store: place.store, executor, signal: stop.signal });
    const failed = firstFailure(jobs, outcomes);
    const solved = await Promise.race([failed, again(spec, { meeting, names: named.map(({ name }) => name), solve })]);
    await meeting.close();
    await Promise.all(outcomes.values());
    return solved;
  } finally {
    session.signal.removeEventListener("abort", abort);
    stop.abort();
    await meeting.close();
    await place.close();
    if (own !== undefined) await rm(own, { recursive: true, force: true });
  }
}

/** Solves on what members bring; from the start with others where one was lost, to the same bytes. */
async function again<T>(
  { session, work }: Spec,
  spec: {
    meeting: Awaited<ReturnType<typeof openMeeting>>;
    names: readonly string[];
    solve: (shards: readonly ColumnShard[]) => Promise<T>;
  },
): Promise<{ solved: T; places: readonly ColumnPlace[] }> {
  const { meeting, names, solve } = spec;
  const note = (code: string, message: string): void => session.onEvent({ type: "note", level: "warn", code, message });
  for (;;) {
    const brought = await meeting.all(names, {
      signal: session.signal,
      // Threads come by themselves.
      onMissing: (missing) =>
        work.queue !== undefined &&
        note(
          "columns-missing",
          `nobody holds the columns of ${missing.join(", ")} yet: a shard needs a worker's job of its own (secateur worker --jobs N)`,
        ),
    });
    try {
      const solved = await solve(brought.map(remoteShard));
      const places = new Map<string, ColumnPlace>();
      for (const one of brought) {
        const peakBytes = (await one.call(peakMethod)) as number;
        places.set(one.where, { where: one.where, shards: (places.get(one.where)?.shards ?? 0) + 1, peakBytes });
      }
      return { solved, places: [...places.values()] };
    } catch (error) {
      if (!isMemberLost(error) || session.signal.aborted) throw error;
      note("columns-lost", `${(error as Error).message}; the solve begins again when another worker holds them`);
    }
  }
}

function remoteShard(brought: Brought): ColumnShard {
  return Object.fromEntries(
    columnShardMethods.map((method) => [method, (argument: unknown) => brought.call(method, argument)]),
  ) as unknown as ColumnShard;
}

/** Rejects with the error of the first job that fails; never resolves. */
async function firstFailure(jobs: readonly Job[], outcomes: ReadonlyMap<string, Promise<JobOutcome>>): Promise<never> {
  return await new Promise((_resolve, reject) => {
    for (const { id } of jobs) {
      void outcomes.get(id)!.then(
        (outcome) => "error" in outcome && reject(outcome.error),
        (defect) => reject(defect),
      );
    }
  });
}
