/** --units: what is kept or removed together, and in which pattern. */
import { soleOfEvery } from "@secateur/run";
import { type Command, Option } from "commander";
import { badFlagValue } from "../errors.ts";

/** Single weights, or `keep` of every `of` neighbouring inputs of a row. */
export type UnitsFlag = "weights" | { readonly keep: number; readonly of: number };

const allowed = "weights, or of-every:KEEP/OF such as of-every:2/4 (keeps 2 of every 4 inputs of a row)";

/** Adds the flag. */
export function addUnitsFlag(command: Command): void {
  command.addOption(new Option("--units <units>", `${allowed} (default: weights)`).argParser(parseUnits));
}

function parseUnits(text: string): UnitsFlag {
  const units = text === "weights" ? text : soleOfEvery([text]);
  if (!units) throw badFlagValue({ flag: "--units", found: text, allowed });
  return units;
}
