/** The job that holds columns of gradient rows while another process solves over them: it goes to that process's meeting and answers until the end. */
import { freemem, hostname } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { aborted } from "@secateur/core";
import {
  type Hash,
  type Job,
  type JobContent,
  type JobKind,
  type Json,
  joinMeeting,
  type MeetingPlace,
  makeJob,
  type Store,
} from "@secateur/jobs";
import { type ColumnShard, columnShard, columnShardMethods, panelColumns } from "@secateur/solvers-chita";
import { badJob } from "../../errors.ts";
import type { KernelChoice } from "../../session.ts";
import type { JobHost } from "../jobs/job-host.ts";
import { openNpyColumns } from "./npy-columns.ts";

/** The name of the kind. */
export const columnsKindName = "columns";

/** What a job of this kind holds. */
export interface ColumnsSettings {
  readonly seed: number;
  readonly kernels: KernelChoice;
  readonly place: MeetingPlace;
  /** The name under which its shard is brought. */
  readonly name: string;
  /** Its panels, [from, to) of those of all columns. */
  readonly from: number;
  readonly to: number;
  /** Bytes of rows that stay in memory; default: a quarter of what is free where it is run, at most 3 GiB. Less where the worker's own limit asks for it: it decides no bit. */
  readonly residentBytes?: number | undefined;
  /** In a thread of the process that solves: the files of all rows. On a queue the inputs have those of the shard. */
  readonly paths?: readonly string[];
  /** The column of all with which the files begin; default 0. */
  readonly first?: number;
}

const badColumnsJob = (reason: string): Error => badJob("a job that holds columns", reason);

/** Answered beside the methods of a shard: the most memory that the process had, in bytes. */
export const peakMethod = "peak";

/** The memory of the kernels ends at 4 GiB, and takes more than rows. */
export const mostResident: number = 3 * 2 ** 30;

/**
 * The kind. Its result says nothing: what the columns gave is in the solution.
 *
 * @param spec.readsPaths - whether jobs may name files of this machine: those of a process's own threads, never those of a queue
 */
export function columnsKind(host: JobHost, { readsPaths }: { readsPaths: boolean }): JobKind {
  return async (content, { store, signal, onEvent }) => {
    const settings = checkedSettings(content.settings);
    const { place, name, from, to, paths, first = 0 } = settings;
    const residentBytes = residentOf(settings, host.shareBytes);
    if ((Object.keys(content.inputs).length === 0) !== readsPaths || (paths !== undefined) !== readsPaths) {
      throw badColumnsJob(readsPaths ? "it names no files" : "it names files of this machine rather than of the store");
    }
    const { kernels } = await host.session(settings, { signal, onEvent });
    const source = await openNpyColumns(paths ?? (await viewRows(store, content.inputs)));
    const shard = columnShard({
      ...{ source, panel: panelColumns, residentBytes, kernels, range: { from, to }, first },
      async pause() {
        await nextTurn();
        if (signal.aborted) throw aborted(signal.reason);
      },
    });
    try {
      await joinMeeting({
        ...{ place, signal, names: [name], where: `${hostname()}:${process.pid}` },
        async answer(_name, method, argument) {
          if (method === peakMethod) return peakMemory();
          if (!columnShardMethods.includes(method as keyof ColumnShard))
            throw badColumnsJob("it is asked for what no shard does");
          const given = await (shard[method as keyof ColumnShard] as (one: unknown) => Promise<unknown>)(argument);
          // Files that are linked into the store may have been written to while they were read: the store looks again.
          if (method === "result" && paths === undefined) await viewRows(store, content.inputs);
          return given;
        },
      });
    } finally {
      shard.release();
      source.close();
    }
    return { result: null };
  };
}

/** Of rows in memory: what was asked for, or a share of what is free, and within what a worker with a limit has for each of its jobs. */
function residentOf({ residentBytes, from, to }: ColumnsSettings, shareBytes: number | undefined): number {
  const wanted = residentBytes ?? Math.min(mostResident, shareBytes === undefined ? freemem() / 4 : mostResident);
  if (shareBytes === undefined) return wanted;
  return Math.max(0, Math.min(wanted, shareBytes - besideRows - bytesPerColumn * (to - from) * panelColumns));
}

/** What a shard's thread takes beside rows: its program, its kernels, a panel that passes. */
const besideRows = 192 * 2 ** 20;
/** Weights and candidates of a shard, and copies of them that are on their way. */
const bytesPerColumn = 32;

/** Bytes that this process had resident at most. */
export function peakMemory(): number {
  return 1024 * process.resourceUsage().maxRSS;
}

/** A job of this kind. @param spec.rows - on a queue: hashes of the .npy files whose columns side by side have those of the shard; else none */
export function columnsJob(
  settings: ColumnsSettings,
  { packages, rows }: { packages: JobContent["packages"]; rows: readonly Hash[] },
): Job {
  const content = { kind: columnsKindName, settings: settings as unknown as Json, after: [], packages };
  // In the order of their names, which have equally many digits.
  const inputs = Object.fromEntries(rows.map((hash, place) => [`rows-${String(place).padStart(6, "0")}`, hash]));
  return makeJob({ ...content, inputs }, `columns of shard ${settings.name}`);
}

/** The store's files of a shard, checked against their hashes, in their order. */
async function viewRows(store: Store, inputs: JobContent["inputs"]): Promise<readonly string[]> {
  const names = Object.keys(inputs).sort();
  const folder = await store.view(Object.fromEntries(names.map((name) => [`${name}.npy`, inputs[name]!])));
  return names.map((name) => join(folder, `${name}.npy`));
}

function checkedSettings(value: unknown): ColumnsSettings {
  const settings = (value ?? {}) as ColumnsSettings;
  const { place, name, from, to, residentBytes = 0, paths = [], first = 0 } = settings;
  const { host, port, key } = place ?? {};
  const areWhole = [from, to, port, first].every((one) => Number.isSafeInteger(one) && one >= 0);
  if (!areWhole || from >= to || first > from * panelColumns || to > 2 ** 40 / panelColumns)
    throw badColumnsJob("its run of panels is none");
  if (typeof host !== "string" || port > 65_535 || !/^[0-9a-f]{64}$/.test(key ?? "")) {
    throw badColumnsJob("it says no place to go to");
  }
  const isText = [name, ...paths].every((one) => typeof one === "string");
  if (!isText || !(residentBytes >= 0)) throw badColumnsJob("its name, files or memory are none");
  return settings;
}
