/** From whatever was thrown to one message on stderr and an exit code. */
import { isPruneError } from "@secateur/core";
import { badUsage } from "@secateur/run";
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
  if (error instanceof CommanderError) return reportUsage(error, command, terminal);
  if (isPruneError(error)) {
    terminal.stderr.write(`${command}: ${error.message} [${error.code}]\n`);
    if (error.code === "ERR_ABORTED") return exitCodes.interrupted;
    if (error.code === "ERR_PLUGIN_LOAD" || error.code === "ERR_PLUGIN_CRASH") terminal.stderr.write(causes(error));
    return error.fault === "input" ? exitCodes.badInput : exitCodes.failed;
  }
  // Not one of ours: a defect, so everything that helps to find it is shown.
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  terminal.stderr.write(`${command}: failed unexpectedly; please report this\n${detail}\n${causes(error)}`);
  return exitCodes.failed;
}

/** Commander's messages in our form: one line, and where to read more. */
function reportUsage(error: CommanderError, command: string, terminal: Terminal): number {
  if (error.exitCode === 0) return exitCodes.done; // --help and --version have been printed
  if (error.code === "commander.help") return exitCodes.badInput; // no command: the help has been printed
  const message = error.message
    .replace(/^error: /, "")
    .replace(/\s*\(Did you mean one of (.*)\?\)/, "; did you mean one of $1?")
    .replace(/\s*\(Did you mean (.*)\?\)/, "; did you mean '$1'?")
    .replace(
      /too many arguments for '.*'\. Expected (\d+) arguments? but got (\d+)\./,
      "found $2 arguments, allowed is $1",
    )
    .replace(/\s+/g, " ");
  const period = message.endsWith("?") ? "" : ";";
  // What was typed may be as long and odd as a name in a file, so it becomes one bounded line the same way.
  const line = badUsage(`${message}${period} see '${command} --help'`).message;
  terminal.stderr.write(`${command}: ${line} [ERR_USAGE]\n`);
  return exitCodes.badInput;
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
