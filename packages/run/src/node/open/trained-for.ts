/** The task that a network was trained for, from the record in its file. */
import type { RunEvent, Task } from "@secateur/core";
import { findRecordedTask } from "../plugins/find-task.ts";
import { readRecord } from "../retrain/training-record.ts";

/**
 * @param spec.path - for messages
 * @param spec.from - the folder from which plugins are looked for
 * @param spec.onEvent - told what is taken where nobody names another, and where the task is not to be had
 */
export async function trainedFor(spec: {
  path: string;
  metadata: Readonly<Record<string, string>>;
  from: string;
  onEvent: (event: RunEvent) => void;
}): Promise<Task | undefined> {
  const { path, metadata, from, onEvent } = spec;
  const text = readRecord(metadata)?.task;
  if (text === undefined) return undefined;
  const trained = `${path} was trained for the task '${text.slice(0, 100)}'`;
  const told = (level: "info" | "warn", what: string): void =>
    onEvent({ type: "note", level, code: "task", message: `${trained}, ${what}` });
  const otherwise = "another is chosen from network and data";
  try {
    const task = await findRecordedTask(text, from);
    if (task) told("info", "which is taken where the data have targets and --task names no other");
    else told("warn", `which no installed plugin has; ${otherwise}`);
    return task;
  } catch (error) {
    // Options that the task of today refuses, or a plugin that fails: what was asked for needs neither.
    told("warn", `which cannot be made (${error instanceof Error ? error.message : String(error)}); ${otherwise}`);
    return undefined;
  }
}
