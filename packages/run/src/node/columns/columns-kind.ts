/** The job that holds columns of gradient rows while another process solves over them: it goes to that process's meeting and answers until the end. */
import { hostname } from "node:os";
import process from "node:process";
import {
  decodeJson,
  type Hash,
  type Job,
  type JobContent,
  type JobKind,
  type Json,
  joinMeeting,
  type MeetingPlace,
  makeJob,
} from "@secateur/jobs";
import { type ColumnShard, columnShard, columnShardMethods, type PanelRange } from "@secateur/solvers-chita";
import type { JobHost, PortableSetting } from "../jobs/job-host.ts";
import { openNpyColumns } from "./npy-columns.ts";

/** The name of the kind. */
export const columnsKindName = "columns";

/** What a job of this kind holds. */
export interface ColumnsSettings extends Pick<PortableSetting, "seed" | "kernels"> {
  readonly place: MeetingPlace;
  /** Runs of panels, by the name under which they are brought. */
  readonly shards: readonly { readonly name: string; readonly range: PanelRange }[];
  readonly panel: number;
  /** Bytes of rows that stay in memory, a shard. */
  readonly residentBytes: number;
  /** The files of the rows, in order: paths of this machine, or names within the store's files. */
  readonly paths: readonly string[];
}

/** Answered beside the methods of a shard: the most memory that the process had, in bytes. */
export const peakMethod = "peak";

/** The kind. Its result says nothing: what the columns gave is in the solution. */
export function columnsKind(host: JobHost): JobKind {
  return async (content, { store, signal, onEvent }) => {
    const settings = content.settings as unknown as ColumnsSettings;
    const { place, shards: held, panel, residentBytes, paths } = settings;
    const { kernels } = await host.session(settings, { signal, onEvent });
    const files = content.inputs["files"];
    const folder =
      files === undefined
        ? ""
        : `${await store.view(decodeJson(await store.get(files)) as Readonly<Record<string, Hash>>)}/`;
    const source = await openNpyColumns(paths.map((path) => `${folder}${path}`));
    const shards = new Map(
      held.map(({ name, range }) => [name, columnShard({ source, range, panel, residentBytes, kernels })] as const),
    );
    try {
      await joinMeeting({
        ...{ place, signal, names: [...shards.keys()], where: `${hostname()}:${process.pid}` },
        async answer(name, method, argument) {
          if (method === peakMethod) return peakMemory();
          if (!columnShardMethods.includes(method as keyof ColumnShard)) throw new Error(`no method ${method}`);
          return await (shards.get(name)![method as keyof ColumnShard] as (one: unknown) => Promise<unknown>)(argument);
        },
      });
    } finally {
      for (const shard of shards.values()) shard.release();
      source.close();
    }
    return { result: null };
  };
}

/** Bytes that this process had resident at most. */
export function peakMemory(): number {
  return 1024 * process.resourceUsage().maxRSS;
}

/** A job of this kind. @param spec.files - hash of the list of files in the store, where `paths` are names within it */
export function columnsJob(
  settings: ColumnsSettings,
  { packages, files }: { packages: JobContent["packages"]; files?: Hash },
): Job {
  const content = {
    ...{ kind: columnsKindName, settings: settings as unknown as Json, after: [], packages },
    inputs: files === undefined ? {} : { files },
  };
  const names = settings.shards.map(({ name }) => name).join(", ");
  return makeJob(content, `columns of ${settings.shards.length === 1 ? "shard" : "shards"} ${names}`);
}
