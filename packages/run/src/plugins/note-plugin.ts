import type { Session } from "../session.ts";
import type { FoundEntry } from "./found-entry.ts";

/** Says which of several packages of one name was taken. */
export function notePlugin({ note }: Pick<FoundEntry, "note">, session: Pick<Session, "onEvent">): void {
  if (note !== undefined) session.onEvent({ type: "note", level: "warn", code: "plugin-hidden", message: note });
}
