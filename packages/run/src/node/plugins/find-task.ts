/** From the text of --task to the task: ours, or one of an installed plugin. */
import { joinTaskParts, optionProperties, type Task, taskParts } from "@secateur/core";
import type { FoundEntry } from "../../plugins/found-entry.ts";
import { optionValue } from "../../plugins/option-schema.ts";
import { resolveOptions } from "../../plugins/resolve-options.ts";
import { findEntry } from "./find-entry.ts";

/** A task that was named, and where its parts come from. */
export interface FoundTask {
  readonly task: Task;
  readonly sources: readonly FoundEntry[];
}

/**
 * @param text - NAME or NAME:KEY=VALUE,...; several with weights, 0.7*NAME+0.3*NAME, where a network has several outputs
 * @param from - the folder from which plugins are looked for
 * @throws ERR_UNKNOWN_NAME, ERR_OPTION, ERR_PLUGIN, ERR_PLUGIN_LOAD
 */
export async function findTask(text: string, from: string): Promise<FoundTask> {
  const parts = await Promise.all(
    taskParts(text).map(async (part) => {
      const found = await findEntry({ name: part.name, from, kinds: ["task"] });
      const { entry } = found;
      const properties = optionProperties(entry.options);
      const typed = Object.entries(part.options).map(([key, value]) => [
        key,
        optionValue(value, properties[key] ?? {}),
      ]);
      const task = entry.create((await resolveOptions(entry, Object.fromEntries(typed))) as never);
      return { ...part, task, found };
    }),
  );
  return { task: joinTaskParts(parts), sources: parts.map(({ found }) => found) };
}
