/** A run that was finished before it was asked to go on: what it wrote says for what it was asked, so nothing is left to do. */
import { createHash } from "node:crypto";
import type { Session } from "../../session.ts";

/** What a command prints where its run is finished already. */
export interface FinishedRun {
  readonly finished: true;
  /** Absolute path of what that run wrote. */
  readonly out: string;
}

/** SHA-256 of everything that decides a result, hexadecimal. @param request - JSON, the same for the same run */
export function requestHash(request: string): string {
  return createHash("sha256").update(request).digest("hex");
}

/** Says that nothing is left to do. */
export function finishedRun(out: string, session: Session): FinishedRun {
  const message = `${out} is what this very run gave: it is finished, and nothing is written`;
  session.onEvent({ type: "note", level: "info", code: "finished", message });
  return { finished: true, out };
}

/** Whether a command's result is that of a run that was finished before. */
export function isFinishedRun(document: object): document is FinishedRun {
  return "finished" in document;
}
