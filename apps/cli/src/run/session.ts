/** What one run of a command shares: kernels, seed, signal, and who listens to its events. */

import { createRunContext, isPruneError, type RunEvent } from "@secateur/core";
import { checkOutput } from "@secateur/formats";
import { plainText, profileText } from "@secateur/report/text";
import { type HeldNotes, holdNotes, type KernelChoice, profileRun, type Session } from "@secateur/run";
import { type EventLog, openEventLog } from "@secateur/run/node/event-log";
import { openKernels } from "@secateur/run/node/open/open-kernels";
import type { ProgressBar } from "../progress/progress-bar.ts";
import { createProgressLines } from "../progress/progress-lines.ts";
import type { Terminal } from "../terminal.ts";
import { absolutePath } from "./absolute-path.ts";

/** The flags every command that computes has. */
export interface SessionFlags {
  readonly seed?: number;
  readonly kernels?: KernelChoice;
  readonly threads?: number;
  readonly profile?: boolean;
  readonly events?: string;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** What a session is made from. */
interface SessionSpec {
  readonly flags: SessionFlags;
  readonly terminal: Terminal;
  /** Whether an existing event log may be replaced. */
  readonly overwrite: boolean;
  /** Whether an existing event log is continued; default false. */
  readonly appendEvents?: boolean;
}

/** Runs `work` with a session and takes everything down again, whatever happens. */
export async function withSession<T>(spec: SessionSpec, work: (session: Session) => Promise<T>): Promise<T> {
  const { flags } = spec;
  const kernelChoice = flags.kernels ?? "wasm";
  const { kernels: opened, close } = await openKernels(kernelChoice, flags.threads);
  let profile = flags.profile ? profileRun(opened, () => performance.now()) : undefined;
  const { kernels } = profile ?? { kernels: opened };
  try {
    return await withListeners(spec, async (listen) => {
      const onEvent = (event: RunEvent): void => {
        profile?.onEvent(event);
        listen(event);
      };
      const seed = flags.seed ?? 0;
      const { signal } = spec.terminal;
      const context = () => createRunContext({ seed, kernels, signal, onEvent });
      return await work({ kernels, kernelChoice, seed, signal, onEvent, context });
    });
  } catch (error) {
    // A call that cannot be run gets one message.
    if (isPruneError(error) && error.fault === "input") profile = undefined;
    throw error;
  } finally {
    if (profile) spec.terminal.stderr.write(profileText(profile.parts()));
    await close();
  }
}

/** Runs `work` with the listeners that the flags ask for: progress on a terminal, a log, notes. */
async function withListeners<T>(
  spec: SessionSpec,
  work: (onEvent: (event: RunEvent) => void) => Promise<T>,
): Promise<T> {
  const { flags, terminal } = spec;
  const isShown = terminal.stderr.isTTY === true && !flags.json && !flags.quiet;
  const log = await openLog(spec);
  const bar = isShown ? await progressBar(terminal.stderr) : undefined;
  const hasLines = !isShown && !flags.json && !flags.quiet;
  const lines = hasLines ? createProgressLines(terminal.stderr, () => performance.now()) : undefined;
  const notes = holdNotes((text) => (bar ? bar.print(text) : terminal.stderr.write(`${text}\n`)));
  try {
    return await work(listener({ log, bar, lines, notes, isQuiet: flags.quiet === true }));
  } catch (error) {
    // A call that cannot be run gets one message: what was found on the way is no news of a run.
    if (isPruneError(error) && error.fault === "input") notes.drop();
    throw error;
  } finally {
    notes.release();
    bar?.clear();
    const lost = await log?.close();
    if (lost) terminal.stderr.write(`warning: --events: the log is not whole (${plainText(lost.message)})\n`);
  }
}

/** Loaded where it is drawn: twenty modules that a call in a script has no use for. */
async function progressBar(stream: NodeJS.WritableStream): Promise<ProgressBar> {
  const { createProgressBar } = await import("../progress/progress-bar.ts");
  return createProgressBar(stream);
}

async function openLog(spec: SessionSpec): Promise<EventLog | undefined> {
  const { flags, terminal, overwrite, appendEvents = false } = spec;
  if (flags.events === undefined) return undefined;
  const path = absolutePath(terminal, flags.events);
  await checkOutput(path, { overwrite: overwrite || appendEvents });
  return await openEventLog(path, { append: appendEvents });
}

function listener(spec: {
  log: EventLog | undefined;
  bar: ProgressBar | undefined;
  lines: ((event: RunEvent) => void) | undefined;
  notes: HeldNotes;
  isQuiet: boolean;
}): (event: RunEvent) => void {
  const { log, bar, lines, notes, isQuiet } = spec;
  return (event) => {
    log?.write(event);
    if (event.type !== "note") notes.release();
    bar?.handle(event);
    lines?.(event);
    if (event.type !== "note" || event.level === "debug" || isQuiet) return;
    // Notes quote names from files, which must not steer the terminal.
    const message = plainText(event.message);
    notes.print(event.level === "warn" ? `warning: ${message}` : message);
  };
}
