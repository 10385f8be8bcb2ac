import type { RunEvent } from "@secateur/core";

/** What a job notes. */
export type JobNote = Extract<RunEvent, { type: "note" }>;

/** Keeps notes for the result, so that whoever finds it in the store later is told them too; other events go on as they come. */
export function holdJobNotes(onEvent: (event: RunEvent) => void): {
  readonly notes: readonly JobNote[];
  hear(event: RunEvent): void;
} {
  const notes: JobNote[] = [];
  return {
    notes,
    hear(event) {
      if (event.type === "note") notes.push(event);
      else onEvent(event);
    },
  };
}
