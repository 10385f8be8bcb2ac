/** What commander says too little about. */

import { badUsage } from "@secateur/run";
import { type Command, CommanderError } from "commander";

/** A better error for a flag that is on or off and was given a value, `--first-order=false`; others as they are. */
export function explainUsage(error: unknown, command: Command): unknown {
  if (!(error instanceof CommanderError)) return error;
  const [, flag, value] = /unknown option '(--[^=']+)=(.*)'/.exec(error.message) ?? [];
  const isSwitch = command.options.some(({ long, required, optional }) => long === flag && !required && !optional);
  if (flag === undefined || !isSwitch) return error;
  const opposite = flag.startsWith("--no-") ? flag.replace("--no-", "--") : flag.replace("--", "--no-");
  const hasOpposite = command.options.some(({ long }) => long === opposite);
  const instead = value === "false" && hasOpposite ? opposite : flag;
  return badUsage(`${flag} takes no value, found '${value}'; write ${instead}`);
}
