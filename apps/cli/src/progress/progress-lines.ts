import type { RunEvent } from "@secateur/core";
import { followProgress } from "@secateur/report/text";

/** Logs of long runs stay short, and nobody waits longer for a sign of life. */
const EVERY_MS = 10_000;

/** What a run does, as a line every ten seconds: for logs and pipes, which have no bar. @param now - ms */
export function createProgressLines(stream: NodeJS.WritableStream, now: () => number): (event: RunEvent) => void {
  const follow = followProgress(now);
  let last = now();
  let printed = "";
  return (event) => {
    const line = follow(event);
    if (line === undefined || now() - last < EVERY_MS) return;
    const done = line.fraction === undefined ? "" : `${Math.floor(100 * line.fraction)} % `;
    const text = `${done}${line.text}\n`;
    // A method that solves several times ends each time with the same words.
    if (text === printed) return;
    last = now();
    printed = text;
    stream.write(text);
  };
}
