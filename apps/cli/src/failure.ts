/** From whatever was thrown to one message on stderr and an exit code. */
import { isPruneError } from "@secateur/core";
import { CommanderError } from "commander";
import type { Terminal } from "./terminal.ts";

/** The exit codes of the command line. */
export const exitCodes = { done: 0, failed: 1, badInput: 2, interrupted: 130 } as const;

/**
 * Prints what went wrong, once, and returns the exit code.
 *
 * @param error - what a command threw
 * @param command - for the message's beginning, for example "secateur prune"
 */
export function reportFailure(error: unknown, command: string, terminal: Terminal): number {
  // Help and versions have been printed, the help of a call without a command too.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.badInput;
  if (isPruneError(error)) {
    terminal.stderr.write(`${command}: ${error.message} [${error.code}]\n`);
    if (error.code === "ERR_ABORTED") return exitCodes.interrupted;
    if (error.fault === "input") return exitCodes.badInput;
    // A plugin's own defect: its author needs the place.
    if (error.code === "ERR_PLUGIN_LOAD" || error.code === "ERR_PLUGIN_CRASH") terminal.stderr.write(causes(error));
    return exitCodes.failed;
  }
  // Not one of ours: a defect, so everything that helps to find it is shown.
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  terminal.stderr.write(`${command}: failed unexpectedly; please report this\n${detail}\n${causes(error)}`);
  return exitCodes.failed;
}

function causes(error: unknown): string {
  let text = "";
  for (let cause = causeOf(error); cause !== undefined; cause = causeOf(cause)) {
    text += `caused by ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}\n`;
  }
  return text;
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}
