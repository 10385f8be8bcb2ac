/** From the text of --task to the task: ours, or one of an installed plugin. */
import {
  badOption,
  type EntryOf,
  isPruneError,
  joinTaskParts,
  optionProperties,
  type PluginEntry,
  type Task,
  taskParts,
} from "@secateur/core";
import type { FoundEntry } from "../../plugins/found-entry.ts";
import { optionValue } from "../../plugins/option-schema.ts";
import { resolveOptions } from "../../plugins/resolve-options.ts";
import { findEntry, installedEntries } from "./find-entry.ts";
import { firstPartyPlugins } from "./first-party.ts";

/** A task that was named, and where its parts come from. */
export interface FoundTask {
  readonly task: Task;
  readonly sources: readonly FoundEntry[];
}

type TaskEntry = EntryOf<"task">;

/**
 * @param text - NAME or NAME:KEY=VALUE,...; several with weights, 0.7*NAME+0.3*NAME, where a network has several outputs
 * @param from - the folder from which plugins are looked for
 * @throws ERR_UNKNOWN_NAME, ERR_OPTION, ERR_PLUGIN, ERR_PLUGIN_LOAD
 */
export async function findTask(text: string, from: string): Promise<FoundTask> {
  const parts = await Promise.all(
    taskParts(text).map(async (part) => {
      const found = await namedEntry(part.name, from);
      return { ...part, task: await taskOf(found.entry, part.options), found };
    }),
  );
  return { task: joinTaskParts(parts), sources: parts.map(({ found }) => found) };
}

/**
 * The task that a file names. Of what is installed only plugins are loaded, by the keyword in their manifests: a file comes from anywhere, and must
 * not say which other packages are run.
 *
 * @returns undefined where none of ours and no plugin has one of its parts
 * @throws ERR_OPTION
 */
export async function findRecordedTask(text: string, from: string): Promise<Task | undefined> {
  const is = (entry: PluginEntry): entry is TaskEntry => entry.kind === "task";
  const own = (await Promise.all(firstPartyPlugins.map((one) => one.load()))).flatMap(({ entries }) =>
    entries.filter(is),
  );
  const entries = [...own, ...(await installedEntries(from, is)).map(({ entry }) => entry)];
  const parts = [];
  for (const part of taskParts(text)) {
    const entry = entries.find(({ name }) => name === part.name);
    if (!entry) return undefined;
    parts.push({ ...part, task: await taskOf(entry, part.options) });
  }
  return joinTaskParts(parts);
}

async function taskOf(entry: TaskEntry, options: Readonly<Record<string, string>>): Promise<Task> {
  const properties = optionProperties(entry.options);
  const typed = Object.entries(options).map(([key, value]) => [key, optionValue(value, properties[key] ?? {})]);
  return entry.create((await resolveOptions(entry, Object.fromEntries(typed))) as never);
}

/** A name may have a colon, PACKAGE:NAME; a value without its key, as in NAME:0.9, reads the same and is told apart here. */
async function namedEntry(name: string, from: string): Promise<FoundEntry<TaskEntry>> {
  try {
    return await findEntry({ name, from, kinds: ["task"] });
  } catch (error) {
    const colon = name.lastIndexOf(":");
    if (colon < 1 || !isPruneError(error) || error.code !== "ERR_UNKNOWN_NAME") throw error;
    const known = await findEntry({ name: name.slice(0, colon), from, kinds: ["task"] }).catch(() => undefined);
    if (known === undefined || known.entry.name !== name.slice(0, colon)) throw error;
    const keys = Object.keys(optionProperties(known.entry.options));
    const advice =
      keys.length === 0 ? "it has no options, leave that out" : `give KEY=VALUE, options: ${keys.join(", ")}`;
    throw badOption(`task ${known.entry.name}`, `found '${name.slice(colon + 1)}'; ${advice}`, { name, keys });
  }
}
