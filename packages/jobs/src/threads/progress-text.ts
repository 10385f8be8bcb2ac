import type { RunEvent } from "@secateur/core";

/** How far a job is, in a few words; undefined for what is no progress. */
export function progressText(event: RunEvent): string | undefined {
  if (event.type !== "progress") return undefined;
  const { task, done, total } = event;
  return total === undefined || total === 0 ? task : `${task} ${Math.floor((100 * done) / total)} %`;
}
